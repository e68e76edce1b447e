select 'invoice ' || i.number || ' says ' || i.total || ' ' || i.currency || ', order ' || berth.show_id('ord_', o.id)
    || ' says ' || o.total || ' ' || o.currency as "line!"
from berth.invoices i
join berth.orders o on o.id = i.order_id
where (i.customer_id, i.currency, i.subtotal, i.discount, i.tax, i.total)
    is distinct from (o.customer_id, o.currency, o.subtotal, o.discount, o.tax, o.total)
limit $1
