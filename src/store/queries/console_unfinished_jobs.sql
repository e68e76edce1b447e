-- Each branch by the index of its state: of those that have ended, only what has a key of its own is found.
with found as (
    select id from berth.jobs where state = 'running' and serial = any ($2)
    union
    select id from berth.jobs where state = 'queued' and serial = any ($2)
    union
    select id from berth.jobs where once_key = any ($3) and state <> 'done'
    union
    select id
    from berth.jobs
    where state = 'queued'
      and coalesce_key in (
          'sync_checkout:' || $1, 'expire_checkout:' || $1, 'charge_renewal:' || $1, 'resolve_charge:' || $1
      )
    union
    select id from berth.jobs where state = 'running' and payload ->> 'order_id' = $1
    union
    select id from berth.jobs where state = 'dead' and (serial = any ($2) or payload ->> 'order_id' = $1)
)
select
    j.id, j.kind, j.state,
    -- A snoozed run has given its attempt back; the one that runs is not over.
    case when j.state = 'running' then j.attempt - 1 else j.attempt end as "attempt!",
    j.run_at as "run_at: At", j.last_error, j.serial, j.once_key
from found f
join berth.jobs j on j.id = f.id
-- What brings an account on, before what looks at it.
order by
    j.kind in ('reconcile_account', 'reset_password'),
    case j.state when 'running' then 0 when 'queued' then 1 when 'dead' then 2 else 3 end,
    j.run_at
