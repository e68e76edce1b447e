-- A renewal's unit is the account that it renews, which belongs to the order that bought it.
select 'unit ' || berth.show_id('itm_', i.id) || ' of order ' || berth.show_id('ord_', o.id) || ' has no account' as "line!"
from berth.orders o
join berth.order_items i on i.order_id = o.id
where o.paid_at is not null
  and o.changes_account_id is null
  and not o.is_renewal
  and not exists (select from berth.hosting_accounts a where a.order_item_id = i.id)
union all
select 'account ' || berth.show_id('acc_', a.id) || ' belongs to order ' || berth.show_id('ord_', o.id) || ', which was never paid'
from berth.hosting_accounts a
join berth.orders o on o.id = a.order_id
where o.paid_at is null
limit $1
