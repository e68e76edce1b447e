-- The unique index says so; this says so of what it leaves out as well: nothing that was called off is paid twice.
select 'account ' || berth.show_id('acc_', account_id) || ' has ' || count(*) || ' renewals from ' || period_start as "line!"
from berth.renewals
where phase not in ('void', 'abandoned', 'returned')
group by account_id, period_start
having count(*) > 1
union all
select 'account ' || berth.show_id('acc_', e.account_id) || ' is renewed from ' || e.period_start || ' and from '
    || l.period_start || ', which overlap'
from berth.renewals e
join berth.renewals l on l.account_id = e.account_id and l.period_start > e.period_start and l.period_start < e.period_end
where e.phase = 'paid' and l.phase = 'paid'
limit $1
