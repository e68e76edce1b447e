with c as materialized (
    select berth.now() as now
)
insert into berth.jobs
    (id, kind, queue, class, payload, once_key, coalesce_key, serial, run_at, dispatched_at, caused_by, traceparent)
select
    n.id, n.kind, n.queue, n.class, n.payload::jsonb, n.once_key, n.coalesce_key, n.serial,
    coalesce(n.run_at, c.now),
    case when coalesce(n.run_at, c.now) <= c.now and (n.class = 0 or n.queue <> all ($11::text[])) then now() end,
    n.caused_by,
    n.traceparent
from unnest(
        $1::uuid[], $2::text[], $3::text[], $4::int2[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::timestamptz[], $10::uuid[], $12::text[]
    ) n (id, kind, queue, class, payload, once_key, coalesce_key, serial, run_at, caused_by, traceparent),
    c
on conflict do nothing
returning id, queue, class, run_at, dispatched_at is not null as "dispatched!"
