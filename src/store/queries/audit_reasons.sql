-- The later ones of the list weigh more.
select 'account ' || berth.show_id('acc_', a.id) || ' shows ' || coalesce(a.suspension_reason, 'no reason') || ', of '
    || coalesce(nullif(array_to_string(a.suspension_reasons, ', '), ''), 'none') as "line!"
from berth.hosting_accounts a
where a.suspension_reason is distinct from (
    select r.reason
    from unnest(a.suspension_reasons) r (reason)
    order by array_position(array['non_payment', 'staff', 'dispute', 'fraud', 'abuse'], r.reason) desc
    limit 1
)
union all
select 'account ' || berth.show_id('acc_', a.id) || ' is ' || a.phase || ', and nothing keeps it so'
from berth.hosting_accounts a
where a.phase = 'suspended' and a.suspension_reasons = '{}'
limit $1
