with c as materialized (
    select berth.now() as now
)
update berth.jobs j
set state = case
        when s.give_up_after is not null and j.snooze_deadline <= c.now then 'dead'
        else s.state
    end,
    run_at = coalesce(c.now + make_interval(secs => s.due_in), j.run_at),
    dispatched_at = null,
    -- A snooze is no attempt.
    attempt = case when s.give_up_after is not null then j.attempt - 1 else j.attempt end,
    snooze_deadline = case
        when s.give_up_after is not null
            then coalesce(j.snooze_deadline, c.now + make_interval(secs => s.give_up_after))
    end,
    unsettled = 0,
    last_error = coalesce(s.error, j.last_error),
    finished_at = case
        when s.state <> 'queued' or (s.give_up_after is not null and j.snooze_deadline <= c.now) then now()
    end
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::float8[], $5::text[], $6::float8[])
    s (id, claim_id, state, due_in, error, give_up_after), c
where j.id = s.id and (j.claim_id = s.claim_id and j.state = 'running' or $7)
returning j.id, s.claim_id as "claim_id!", j.kind, j.state, j.last_error
