-- The branch that a state needs is the only one that is read: each has an index of its own but for what has ended.
with candidates as (
    (
        select id, kind, queue, payload, once_key, last_error
        from berth.jobs
        where state = 'queued' and dispatched_at is null and $1::text = 'queued'
    )
    union all
    (
        select id, kind, queue, payload, once_key, last_error
        from berth.jobs
        where state = 'queued' and dispatched_at is not null and $1::text = 'queued'
    )
    union all
    (
        select id, kind, queue, payload, once_key, last_error
        from berth.jobs
        where state = 'running' and $1::text = 'running'
    )
    union all
    (
        select id, kind, queue, payload, once_key, last_error from berth.jobs where state = 'dead' and $1::text = 'dead'
    )
    union all
    (
        select id, kind, queue, payload, once_key, last_error
        from (
            select id, kind, queue, payload, once_key, last_error, state
            from berth.jobs
            where ($1::text is null or $1::text in ('done', 'cancelled')) and ($5::uuid is null or id < $5)
            order by id desc
            limit $7
        ) newest
        where $1::text is null or state = $1
    )
)
select id as "id!"
from candidates
where ($2::text is null or kind = $2)
  and ($3::text is null or queue = $3)
  and ($4::text is null or payload::text ilike $4 or once_key ilike $4 or last_error ilike $4)
  and ($5::uuid is null or id < $5)
order by id desc
limit $6
