-- Everything that /metrics reads every few seconds, a row a sample: its family, the values of its labels, its value.
-- $1 are the queues. What may be many rows is counted up to a limit. The time is asked for as a value, by which an index can
-- be entered; of a table that is joined it would be compared with every row.
with recursive c as materialized (
    select berth.now() as now, now() as machine
),
-- Redis holds some thousand of a queue at most.
given as materialized (
    select j.queue, j.class, j.run_at
    from berth.jobs j
    where j.state = 'queued' and j.dispatched_at is not null and j.run_at <= (select now from c)
    limit 50000
),
owed as materialized (
    select q.queue, w.class, w.run_at
    from unnest($1::text[]) q (queue)
    cross join lateral (
        select j.class, j.run_at
        from berth.jobs j
        where j.queue = q.queue and j.state = 'queued' and j.dispatched_at is null
          and j.run_at <= (select now from c)
        order by j.run_at
        limit 10000
    ) w
),
due as materialized (
    select
        q.queue,
        case k.class when 0 then 'urgent' when 1 then 'normal' else 'bulk' end as class,
        count(w.run_at) as jobs,
        min(w.run_at) as oldest
    from unnest($1::text[]) q (queue)
    cross join unnest(array[0, 1, 2]::int2[]) k (class)
    left join (select * from given union all select * from owed) w on w.queue = q.queue and w.class = k.class
    group by q.queue, k.class
),
dead as materialized (
    select kind, last_error like 'quarantined:%' as quarantined
    from berth.jobs
    where state = 'dead'
    limit 10000
),
way as materialized (
    select a.phase, h.at
    from berth.hosting_accounts a
    join berth.account_history h on h.account_id = a.id and h.version = a.version
    where a.phase in ('pending', 'provisioning', 'suspending', 'unsuspending', 'changing', 'terminating', 'failed')
    limit 10000
),
unpaid as materialized (
    select a.expires_at
    from berth.hosting_accounts a
    where a.phase = 'active' and not a.exempt and a.expires_at < (select now from c)
    order by a.expires_at
    limit 10000
),
late as materialized (
    select g.look_at from berth.agenda g where g.look_at < (select now from c) order by g.look_at limit 10000
),
charging as materialized (
    select state, sent_at from berth.charges where state in ('sent', 'in_doubt') limit 10000
),
-- Who waits for its turn is not late before that (both times are the machine's in production).
unsent as materialized (
    select greatest(created_at, turn_at) as since
    from berth.mails
    where accepted_at is null and refused_at is null and withdrawn_at is null and emptied_at is null
    limit 10000
),
unsettled as materialized (
    select outcome, received_at from berth.stripe_events where outcome in ('pending', 'parked') limit 10000
),
-- The sweeps that have ever run, one after the other by the index.
sweep as (
    (select t.name from berth.ticks t order by t.name limit 1)
    union all
    select (select t.name from berth.ticks t where t.name > sweep.name order by t.name limit 1)
    from sweep
    where sweep.name is not null
)
select 'berth_jobs_due' as "family!", queue as one, class as other, jobs::numeric as "value!" from due
union all
select 'berth_jobs_due_oldest_seconds', queue, class, coalesce(extract(epoch from c.now - oldest), 0) from due, c
union all
select 'berth_relay_lag_seconds', q.queue, null, coalesce(extract(epoch from max(c.now - o.run_at)), 0)
from c, unnest($1::text[]) q (queue)
left join owed o on o.queue = q.queue
group by q.queue
union all
select 'berth_jobs_running', kind, null, count(*) from berth.jobs where state = 'running' group by kind
union all
select 'berth_jobs_dead', kind, null, count(*) from dead where not quarantined group by kind
union all
select 'berth_jobs_quarantined', kind, null, count(*) from dead where quarantined group by kind
union all
select 'berth_workers_live', null, null, count(*) from berth.workers, c where lease_until >= c.machine
union all
select 'berth_sweep_last_run_seconds', s.name, null,
    extract(epoch from c.now - (select max(t.due_at) from berth.ticks t where t.name = s.name))
from sweep s, c
where s.name is not null
union all
select 'berth_alerts_open', kind, null, count(*) from berth.alerts where resolved_at is null group by kind
union all
select 'berth_stripe_events_unsettled', o.outcome, null, count(u.received_at)
from unnest(array['pending', 'parked']) o (outcome)
left join unsettled u on u.outcome = o.outcome
group by o.outcome
union all
select 'berth_stripe_events_pending_oldest_seconds', null, null,
    coalesce(extract(epoch from max(c.machine - u.received_at)), 0)
from c
left join unsettled u on u.outcome = 'pending'
union all
select 'berth_webhook_silence_seconds', null, null, extract(epoch from c.machine - e.received_at)
from c
cross join lateral (
    select received_at from berth.stripe_events where found_at is null order by received_at desc limit 1
) e
union all
select 'berth_accounts_on_the_way', phase, null, count(*) from way group by phase
union all
select 'berth_accounts_on_the_way_oldest_seconds', phase, null, extract(epoch from max(c.now - at)) from way, c group by phase
union all
select 'berth_accounts_past_end', null, null, count(*) from unpaid
union all
select 'berth_accounts_past_end_oldest_seconds', null, null, coalesce(extract(epoch from max(c.now - u.expires_at)), 0)
from c
left join unpaid u on true
union all
select 'berth_renewals_late', null, null, count(*) from late, c where late.look_at < c.now - interval '15 minutes'
union all
select 'berth_renewals_late_oldest_seconds', null, null, coalesce(extract(epoch from max(c.now - l.look_at)), 0)
from c
left join late l on true
union all
select 'berth_charges_under_way', s.state, null, count(h.sent_at)
from unnest(array['sent', 'in_doubt']) s (state)
left join charging h on h.state = s.state
group by s.state
union all
select 'berth_charges_under_way_oldest_seconds', s.state, null, coalesce(extract(epoch from max(c.now - h.sent_at)), 0)
from c, unnest(array['sent', 'in_doubt']) s (state)
left join charging h on h.state = s.state
group by s.state
union all
select 'berth_mails_waiting', null, null, count(*) from unsent
union all
select 'berth_mails_waiting_oldest_seconds', null, null, greatest(coalesce(extract(epoch from max(c.machine - u.since)), 0), 0)
from c
left join unsent u on true
union all
select 'berth_server_broken', name, null, (broken_since is not null)::int from berth.servers
union all
select 'berth_server_takes_accounts', name, null,
    (
        state = 'active' and drained_at is null and broken_since is null
        and not coalesce(full_until > c.machine, false)
    )::int
from berth.servers, c
union all
select 'berth_server_capacity_accounts', name, null, capacity from berth.servers where capacity is not null
union all
select 'berth_database_archive_failing', null, null,
    coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)::int
from pg_stat_archiver
where current_setting('archive_mode') <> 'off'
