-- Paid sessions, as Stripe's stored events say: each has paid its order, if that is one of ours, or its money goes back.
with paid as (
    select
        e.id as event_id,
        convert_from(e.payload, 'UTF8')::jsonb -> 'data' -> 'object' as session
    from berth.stripe_events e
    where e.type in ('checkout.session.completed', 'checkout.session.async_payment_succeeded')
      and e.outcome in ('pending', 'applied')
      and e.emptied_at is null
)
select 'event ' || p.event_id || ' of order ' || berth.show_id('ord_', o.id) || ', which is ' || o.phase as "line!"
from paid p
join berth.orders o on o.stripe_session_id = p.session ->> 'id'
    or o.id = (select s.order_id from berth.checkout_sessions s where s.id = p.session ->> 'id')
where p.session ->> 'payment_status' in ('paid', 'no_payment_required')
  and o.phase not in ('held', 'rejected')
  and not exists (
      select
      from berth.payments y
      where y.order_id = o.id
        and y.stripe_session_id = p.session ->> 'id'
        and (y.state in ('surplus', 'refunded', 'credited') or y.state = 'succeeded' and o.phase in ('processing', 'completed'))
  )
union all
select 'event ' || e.id || ' of type ' || e.type || ' waits for a person: ' || coalesce(e.note, '')
from berth.stripe_events e
where e.outcome = 'parked' and e.type like 'checkout.session.%' and e.note is not null
limit $1
