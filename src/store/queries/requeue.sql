-- Runs that were not settled count for nothing: their jobs wait again. Of those that share a coalesce key one waits,
-- and none where its like waits already.
with held as materialized (
    select j.id, j.coalesce_key
    from berth.jobs j
    where j.state = 'running'
      and (
          j.worker = any ($1::uuid[])
          or ($2 and not exists (select from berth.workers w where w.id = j.worker))
          or (j.id, j.claim_id) in (select c.id, c.claim_id from unnest($4::uuid[], $5::uuid[]) c (id, claim_id))
      )
    order by j.id
    for no key update
),
again as (
    select
        h.id,
        h.coalesce_key is not null
            and (
                row_number() over (partition by h.coalesce_key order by h.id) > 1
                or exists (select from berth.jobs w where w.coalesce_key = h.coalesce_key and w.state = 'queued')
            ) as superseded
    from held h
)
update berth.jobs j
set state = case when again.superseded then 'cancelled' else 'queued' end,
    finished_at = case when again.superseded then now() end,
    claim_id = null,
    worker = null,
    dispatched_at = null,
    attempt = case when $3 then j.attempt else j.attempt - 1 end,
    unsettled = case when $3 then j.unsettled + 1 else j.unsettled end,
    last_error = case when $3 then 'the process died while the job ran' else j.last_error end
from again
where j.id = again.id
