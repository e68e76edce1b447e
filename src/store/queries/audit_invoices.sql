-- Orders of before there were invoices carry no snapshot of their customer, and owe none. A renewal has its invoice before it
-- is paid.
select 'order ' || berth.show_id('ord_', o.id) || ' was paid and has no invoice' as "line!"
from berth.orders o
where o.paid_at is not null
  and o.customer_snapshot is not null
  -- A change is invoiced once it is made.
  and (o.changes_account_id is null or o.phase = 'completed')
  and not exists (select from berth.invoices i where i.order_id = o.id)
union all
select 'invoice ' || i.number || ' is of order ' || berth.show_id('ord_', o.id) || ', which was never paid'
from berth.invoices i
join berth.orders o on o.id = i.order_id
where o.paid_at is null and not o.is_renewal
union all
select 'renewal ' || berth.show_id('ord_', r.order_id) || ' has no invoice'
from berth.renewals r
join berth.orders o on o.id = r.order_id
where o.customer_snapshot is not null
  and not exists (select from berth.invoices i where i.order_id = r.order_id)
limit $1
