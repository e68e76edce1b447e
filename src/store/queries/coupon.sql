-- The use that the customer's own unpaid order from the cart holds counts for nobody: whoever checks the cart out again
-- gets that order, or it is withdrawn and its use given back in the same commit.
select
    c.id, c.code, c.discount_type, c.percentage, c.fixed, c.starts_at, c.ends_at, c.max_uses, c.max_uses_per_customer,
    c.minimum_spend, c.services, c.cycles, c.active, c.uses - own.of_cart as "uses!", c.created_by, c.created_at,
    c.updated_at, own.uses - own.of_cart as "uses_by_customer!"
from berth.coupons c
cross join lateral (
    select
        count(*)::int as uses,
        (count(*) filter (where r.state = 'reserved' and o.cart_version is not null and o.phase = 'pending'))::int
            as of_cart
    from berth.coupon_redemptions r
    join berth.orders o on o.id = r.order_id
    where r.coupon_id = c.id and r.customer_id = $3 and r.state <> 'released'
) own
where c.id = $1 or c.code = $2
