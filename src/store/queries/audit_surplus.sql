-- What gives it back is on its way or has arrived, or has failed, which a person was told. Of what is asked for a job asks
-- Stripe.
select 'payment ' || berth.show_id('pay_', p.id) || ' of ' || p.amount || ' ' || p.currency || ' for order '
    || berth.show_id('ord_', p.order_id) || ' is not owed, and nothing gives it back' as "line!"
from berth.payments p
where p.state = 'surplus'
  and not exists (select from berth.refunds r where r.payment_id = p.id)
union all
select 'refund ' || berth.show_id('rfd_', r.id) || ' of ' || r.amount || ' ' || r.currency || ' is asked for, and no job sends it'
from berth.refunds r
where r.state = 'requested'
  and not exists (
      select
      from berth.jobs j
      where j.kind = 'sync_refunds'
        and j.payload ->> 'payment_id' = berth.show_id('pay_', r.payment_id)
        and j.state in ('queued', 'running')
  )
limit $1
