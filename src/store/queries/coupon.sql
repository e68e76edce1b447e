select
    c.id, c.code, c.discount_type, c.percentage, c.fixed, c.starts_at, c.ends_at, c.max_uses, c.max_uses_per_customer,
    c.minimum_spend, c.services, c.cycles, c.active, c.uses, c.created_by, c.created_at, c.updated_at,
    (
        select count(*)
        from berth.coupon_redemptions r
        where r.coupon_id = c.id and r.customer_id = $3 and r.state <> 'released'
    ) as "uses_by_customer!",
    (
        select count(*)
        from berth.coupon_redemptions r
        where r.coupon_id = c.id and r.customer_id = $3 and r.state = 'reserved'
    ) as "reserved_by_customer!"
from berth.coupons c
where c.id = $1 or c.code = $2
