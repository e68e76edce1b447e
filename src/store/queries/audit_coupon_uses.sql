-- What was committed beyond the limit, after its use had been given back, is no use that counts.
select 'coupon ' || c.code || ' counts ' || c.uses || ' uses, its redemptions are ' || coalesce(r.uses, 0) as "line!"
from berth.coupons c
left join (
    select coupon_id, count(*) as uses
    from berth.coupon_redemptions
    where state in ('reserved', 'committed') and not beyond_limit
    group by coupon_id
) r on r.coupon_id = c.id
where c.uses <> coalesce(r.uses, 0)
limit $1
