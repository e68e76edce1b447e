-- A job whose like waits already becomes that one. The waiting row is locked, so that no run of it begins before this
-- commit: a run that began before would not see what it was asked for. One that was never tried is due as soon as the
-- soonest that was asked for; one that failed keeps its pause.
with c as materialized (
    select berth.now() as now
),
asked as (
    select n.coalesce_key, min(coalesce(n.run_at, c.now)) as run_at
    from unnest($1::text[], $2::timestamptz[]) n (coalesce_key, run_at), c
    group by n.coalesce_key
),
waiting as materialized (
    select j.id, case when j.attempt = 0 then least(j.run_at, asked.run_at) else j.run_at end as run_at, c.now
    from asked
    join berth.jobs j on j.coalesce_key = asked.coalesce_key and j.state = 'queued', c
    order by j.id
    for no key update of j
)
update berth.jobs j
set run_at = w.run_at,
    -- Given to Redis again: whoever took it while it was locked has dropped it.
    dispatched_at = case when w.run_at <= w.now and (j.class = 0 or j.queue <> all ($3::text[])) then now() end
from waiting w
where j.id = w.id
returning
    j.id, j.queue, j.class, j.run_at, j.coalesce_key as "coalesce_key!", j.dispatched_at is not null as "dispatched!"
