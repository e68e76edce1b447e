-- While a charge may be under way, a job charges it or asks what became of it.
select 'charge ' || berth.show_id('chg_', h.id) || ' of ' || berth.show_id('ord_', h.order_id) || ' is ' || h.state
    || ', and no job will end it' as "line!"
from berth.charges h
where h.answered_at is null
  and not exists (
      select
      from berth.jobs j
      where j.kind in ('charge_renewal', 'resolve_charge')
        and j.payload ->> 'order_id' = berth.show_id('ord_', h.order_id)
        and j.state in ('queued', 'running')
  )
union all
select 'renewal ' || berth.show_id('ord_', r.order_id) || ' is ' || r.phase || ' without a charge under way'
from berth.renewals r
where r.phase in ('charging', 'in_doubt')
  and not exists (select from berth.charges h where h.order_id = r.order_id and h.answered_at is null)
limit $1
