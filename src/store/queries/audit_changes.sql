-- What is paid, or costs nothing, is being made: its job is on its way. And what became credit is credited.
select 'change ' || berth.show_id('chn_', c.id) || ' of account ' || berth.show_id('acc_', c.account_id)
    || ' is to be made, and no job makes it' as "line!"
from berth.plan_changes c
left join berth.orders o on o.id = c.order_id
where c.outcome is null
  and (c.order_id is null or o.phase = 'processing')
  and not exists (
      select
      from berth.jobs j
      where j.coalesce_key = 'change_package:' || berth.show_id('acc_', c.account_id)
        and j.state in ('queued', 'running')
  )
union all
select 'order ' || berth.show_id('ord_', o.id) || ' is ' || o.phase || ', its change is '
    || coalesce(c.outcome, 'open')
from berth.orders o
join berth.plan_changes c on c.order_id = o.id
where (o.phase = 'completed') <> (c.outcome is not distinct from 'made')
union all
select 'payment ' || berth.show_id('pay_', p.id) || ' of ' || p.amount || ' ' || p.currency || ' became credit, which '
    || 'its customer has not got'
from berth.payments p
where p.state = 'credited'
  and not exists (
      select
      from berth.credit_entries e
      where e.order_id = p.order_id and e.kind = 'overpayment' and e.amount = p.amount and e.currency = p.currency
  )
limit $1
