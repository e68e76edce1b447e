-- An account that has ended is good for nothing more, whatever was paid for.
select 'renewal ' || berth.show_id('ord_', r.order_id) || ' is paid until ' || r.period_end || ', its account '
    || berth.show_id('acc_', a.id) || ' until ' || a.expires_at as "line!"
from berth.renewals r
join berth.hosting_accounts a on a.id = r.account_id
where r.phase = 'paid'
  and a.phase not in ('terminating', 'terminated')
  and (a.expires_at is null or a.expires_at < r.period_end)
union all
select 'renewal ' || berth.show_id('ord_', r.order_id) || ' is ' || r.phase || ', its order ' || o.phase
from berth.renewals r
join berth.orders o on o.id = r.order_id
where (r.phase = 'paid') <> (o.phase = 'completed')
limit $1
