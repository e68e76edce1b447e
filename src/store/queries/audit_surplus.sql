-- The job that gives it back is on its way, or it has gone back.
select 'payment ' || berth.show_id('pay_', p.id) || ' of ' || p.amount || ' ' || p.currency || ' for order '
    || berth.show_id('ord_', p.order_id) || ' is not owed, and no job gives it back' as "line!"
from berth.payments p
where p.state = 'surplus'
  and not exists (
      select
      from berth.jobs j
      where j.once_key = 'refund:' || berth.show_id('pay_', p.id) and j.state in ('queued', 'running')
  )
limit $1
