select
    count(*),
    percentile_cont(0.5) within group (order by extract(epoch from finished_at - created_at)::float8 * 1000),
    percentile_cont(0.99) within group (order by extract(epoch from finished_at - created_at)::float8 * 1000)
from berth.jobs
where kind = 'no_op' and state = 'done' and finished_at >= $1 and finished_at < $2
