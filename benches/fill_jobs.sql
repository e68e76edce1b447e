insert into berth.jobs
    (id, kind, queue, class, state, attempt, payload, run_at, dispatched_at, claim_id, worker, created_at, finished_at)
select
    -- A UUIDv7 of that time.
    (
        lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0')
        || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15)
    )::uuid,
    'no_op', 'sweeps', 1, 'done', 1, '{}', at, at, gen_random_uuid(), gen_random_uuid(), at, at + interval '20 ms'
from generate_series(1, $1::bigint) n,
    lateral (select now() - interval '6 days' + n * (interval '6 days' / $1::float8) as at) t
