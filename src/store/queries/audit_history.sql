select 'order ' || berth.show_id('ord_', o.id) || ' is ' || o.phase || ' at version ' || o.version || ', its history does not say so' as "line!"
from berth.orders o
where not exists (
    select from berth.order_history h
    where h.order_id = o.id and h.version = o.version and h.to_phase = o.phase
)
union all
select 'account ' || berth.show_id('acc_', a.id) || ' is ' || a.phase || ' at version ' || a.version || ', its history does not say so'
from berth.hosting_accounts a
where not exists (
    select from berth.account_history h
    where h.account_id = a.id and h.version = a.version and h.to_phase = a.phase
)
limit $1
