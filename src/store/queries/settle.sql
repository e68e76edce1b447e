with c as materialized (
    select berth.now() as now
),
s as materialized (
    select
        s.*,
        c.now,
        -- A snooze whose deadline has passed.
        coalesce(s.give_up_after < 'infinity' and j.snooze_deadline <= c.now, false) as given_up,
        case when s.state = 'queued' then j.coalesce_key end as waits_as
    from c, unnest($1::uuid[], $2::uuid[], $3::text[], $4::float8[], $5::text[], $6::float8[])
        s (id, claim_id, state, due_in, error, give_up_after)
    join berth.jobs j on j.id = s.id and (j.claim_id = s.claim_id and j.state = 'running' or $7)
),
-- Of those that share a coalesce key one waits: a run that failed gives way to its like that was asked for meanwhile.
superseded as (
    select id
    from (
        select s.id, s.waits_as, row_number() over (partition by s.waits_as order by s.id) as place
        from s
        where s.waits_as is not null and not s.given_up
    ) waiting
    where place > 1
       or exists (select from berth.jobs w where w.coalesce_key = waiting.waits_as and w.state = 'queued')
)
update berth.jobs j
set state = case
        when s.given_up then 'dead'
        when superseded.id is not null then 'cancelled'
        else s.state
    end,
    run_at = coalesce(s.now + make_interval(secs => s.due_in), j.run_at),
    dispatched_at = null,
    -- A snooze is no attempt.
    attempt = case when s.give_up_after is not null then j.attempt - 1 else j.attempt end,
    snooze_deadline = case
        -- It waits for its turn: that is no trouble, and ends none.
        when s.give_up_after = 'infinity' then j.snooze_deadline
        when s.give_up_after is not null
            then coalesce(j.snooze_deadline, s.now + make_interval(secs => s.give_up_after))
    end,
    unsettled = 0,
    last_error = case
        when superseded.id is not null then concat_ws('; ', s.error, 'the same job waits already')
        else coalesce(s.error, j.last_error)
    end,
    finished_at = case when s.state <> 'queued' or s.given_up or superseded.id is not null then now() end
from c, s
left join superseded on superseded.id = s.id
where j.id = s.id and (j.claim_id = s.claim_id and j.state = 'running' or $7)
returning j.id, s.claim_id as "claim_id!", j.kind, j.state, j.last_error
