select 'job ' || berth.show_id('job_', id) || ' (' || kind || '): ' || coalesce(last_error, '') as "line!"
from berth.jobs
where state = 'dead'
limit $1
