select 'account ' || berth.show_id('acc_', a.id) || ' is ' || a.phase || ', its renewal '
    || berth.show_id('ord_', r.order_id) || ' is ' || r.phase as "line!"
from berth.hosting_accounts a
join berth.renewals r on r.account_id = a.id
-- One that was called off while it was charged waits for the charge's answer.
where a.phase in ('terminating', 'terminated') and r.settled_at is null and not r.called_off
union all
select 'account ' || berth.show_id('acc_', a.id) || ' was purged, and its secrets or its backup are still known'
from berth.hosting_accounts a
where a.purged_at is not null and (a.sealed_password is not null or a.backup_reference is not null)
limit $1
