select 'order ' || berth.show_id('ord_', s.order_id) || ' is ' || o.phase || ' and was paid on ' || s.id
    || ', which no payment names' as "line!"
from berth.checkout_sessions s
join berth.orders o on o.id = s.order_id
where s.state = 'paid'
  and o.phase not in ('held', 'rejected')
  and o.total > 0
  and not exists (select from berth.payments p where p.order_id = s.order_id and p.stripe_session_id = s.id)
limit $1
