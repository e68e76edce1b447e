-- A charge that may be under way is seen to: its own job runs, or another one asks Stripe what became of it.
select 'charge ' || berth.show_id('chg_', c.id) || ' of order ' || berth.show_id('ord_', c.order_id) || ' is ' || c.state
    || ' since ' || c.sent_at || ', and no job sees to it' as "line!"
from berth.charges c
where c.state in ('sent', 'in_doubt')
  and not exists (
      select
      from berth.jobs j
      where j.coalesce_key in (
              'charge_renewal:' || berth.show_id('ord_', c.order_id),
              'resolve_charge:' || berth.show_id('ord_', c.order_id)
          )
        and j.state in ('queued', 'running')
  )
limit $1
