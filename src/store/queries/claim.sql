with run as materialized (
    -- Once for all rows: the time, and a commit that does not wait for the disk.
    select berth.now() as now, set_config('synchronous_commit', 'off', true) as setting
),
due as materialized (
    select j.id
    from berth.jobs j, run
    where j.id = any ($1::uuid[])
      and j.queue = $2
      and j.state = 'queued'
      and j.run_at <= run.now
      and (
          j.serial is null
          or j.id in (
              -- One of each serial, and none of a serial that runs: the others stay queued until it ends.
              select distinct on (w.serial) w.id
              from berth.jobs w
              where w.id = any ($1::uuid[])
                and w.state = 'queued'
                and w.serial is not null
                and not exists (
                    select from berth.jobs r where r.serial = w.serial and r.state = 'running'
                )
              order by w.serial, w.run_at, w.id
          )
      )
    for update of j skip locked
)
update berth.jobs j
set state = 'running', claim_id = $3, worker = $4, attempt = j.attempt + 1
from due, run
where j.id = due.id
returning
    j.id,
    j.kind,
    j.payload as "payload: Json<Box<RawValue>>",
    j.attempt,
    j.unsettled,
    j.serial,
    j.traceparent,
    j.run_at,
    run.now as "now!"
