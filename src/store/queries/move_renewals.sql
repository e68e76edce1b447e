with c as materialized (
    select berth.now() as now
),
m as materialized (
    select *
    from unnest(
        $1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::int[], $8::bool[]
    ) m (order_id, version, from_phase, to_phase, reason, job_id, attempts, called_off)
),
held as materialized (
    select order_id
    from berth.renewals
    where order_id = any ($1::uuid[])
    order by order_id
    for no key update
),
moved as (
    update berth.renewals r
    set phase = m.to_phase,
        version = r.version + 1,
        attempts = m.attempts,
        called_off = m.called_off,
        settled_at = case
            when m.to_phase in ('paid', 'void', 'abandoned', 'returned') then coalesce(r.settled_at, c.now)
        end
    from m, held, c
    where r.order_id = m.order_id and held.order_id = r.order_id and r.version = m.version and r.phase = m.from_phase
    returning r.order_id, r.version
)
insert into berth.renewal_history (order_id, version, from_phase, to_phase, reason, job_id, at)
select moved.order_id, moved.version, m.from_phase, m.to_phase, m.reason, m.job_id, c.now
from c, moved
join m on m.order_id = moved.order_id
returning order_id
