-- What is charged is what the renewal's order owes; what a charge has brought is a payment.
select 'charge ' || berth.show_id('chg_', h.id) || ' is over ' || h.amount || ' ' || h.currency || ', its order '
    || berth.show_id('ord_', o.id) || ' owes ' || o.total - o.credit || ' ' || o.currency as "line!"
from berth.charges h
join berth.orders o on o.id = h.order_id
where (h.amount, h.currency) is distinct from (o.total - o.credit, o.currency)
union all
select 'charge ' || berth.show_id('chg_', h.id) || ' has succeeded by ' || h.stripe_payment_intent_id
    || ', which no payment names'
from berth.charges h
where h.state = 'succeeded'
  and not exists (
      select
      from berth.payments p
      where p.order_id = h.order_id and p.stripe_payment_intent_id = h.stripe_payment_intent_id
  )
limit $1
