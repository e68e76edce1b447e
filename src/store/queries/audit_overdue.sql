select 'job ' || berth.show_id('job_', id) || ' (' || kind || ') is ' || state || ', due since ' || run_at as "line!"
from berth.jobs
where state in ('queued', 'running') and run_at < berth.now() - make_interval(secs => $2)
limit $1
