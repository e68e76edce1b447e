select 'order ' || berth.show_id('ord_', o.id) || ' is ' || o.phase || ', its coupon ' || o.coupon_code || ' is '
    || coalesce(r.state, 'not redeemed') as "line!"
from berth.orders o
left join berth.coupon_redemptions r on r.order_id = o.id
where o.coupon_id is not null
  and (
      r.order_id is null
      or r.coupon_id <> o.coupon_id
      or (r.state = 'committed') <> (o.paid_at is not null)
      or r.state = 'reserved' and o.phase in ('failed', 'cancelled', 'rejected', 'withdrawn')
  )
union all
select 'order ' || berth.show_id('ord_', o.id) || ' has no coupon, and a redemption that is ' || r.state
from berth.coupon_redemptions r
join berth.orders o on o.id = r.order_id
where o.coupon_id is null
limit $1
