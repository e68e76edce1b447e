with c as materialized (
    select berth.now() as now
),
held as materialized (
    select id
    from berth.orders
    where id = any ($1::uuid[])
    order by id
    for no key update
),
moved as (
    update berth.orders o
    set phase = m.to_phase,
        version = o.version + 1,
        paid_at = case when m.to_phase in ('processing', 'completed') then coalesce(o.paid_at, c.now) else o.paid_at end,
        -- An order that renews an account is complete with its payment.
        completed_at = case when m.to_phase = 'completed' then coalesce(o.completed_at, c.now) else o.completed_at end,
        hold_reason = case when m.to_phase = 'held' then m.why else o.hold_reason end,
        failure = case when m.to_phase = 'failed' then m.why else o.failure end
    from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $8::text[]) m (id, version, from_phase, to_phase, why),
        held, c
    where o.id = m.id and held.id = o.id and (o.version = m.version and o.phase = m.from_phase or $7)
    returning o.id, o.version
)
insert into berth.order_history (order_id, version, from_phase, to_phase, reason, job_id, actor, at)
select moved.id, moved.version, m.from_phase, m.to_phase, m.reason, m.job_id, m.actor, c.now
from c, moved
join unnest($1::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $9::text[])
        m (id, from_phase, to_phase, reason, job_id, actor)
    on m.id = moved.id
returning order_id
