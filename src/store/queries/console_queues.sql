with open as (
    select queue, state, run_at, unsettled from berth.jobs where state = 'queued' and dispatched_at is null
    union all
    select queue, state, run_at, unsettled from berth.jobs where state = 'queued' and dispatched_at is not null
    union all
    select queue, state, run_at, unsettled from berth.jobs where state = 'running'
    union all
    select queue, state, run_at, unsettled from berth.jobs where state = 'dead'
)
select
    queue as "queue!",
    count(*) filter (where state = 'queued') as "waiting!",
    count(*) filter (where state = 'queued' and run_at <= berth.now()) as "due!",
    min(run_at) filter (where state = 'queued' and run_at <= berth.now()) as "oldest_due: At",
    count(*) filter (where state = 'running') as "running!",
    count(*) filter (where state = 'dead') as "dead!",
    count(*) filter (where state <> 'dead' and unsettled >= 2) as "quarantined!"
from open
group by queue
order by queue
