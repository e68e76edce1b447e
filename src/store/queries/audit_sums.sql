-- A unit's price includes its set-up fee, so the prices sum to the subtotal; the table's checks see to it that no fee
-- is more than the price that it is part of.
select 'order ' || berth.show_id('ord_', o.id) || ' says ' || o.total || ', its units sum to ' || s.total as "line!"
from berth.orders o
join (
    select order_id, sum(price) as price, sum(discount) as discount, sum(tax) as tax, sum(total) as total
    from berth.order_items
    group by order_id
) s on s.order_id = o.id
where (o.subtotal, o.discount, o.tax, o.total) is distinct from (s.price, s.discount, s.tax, s.total)
limit $1
