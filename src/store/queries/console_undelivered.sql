select
    berth.show_id('ord_', o.id) as "id!", o.phase, c.id::text as "customer_id!", c.email,
    (
        select string_agg(n.name || case when n.units > 1 then ' ×' || n.units else '' end, ', ')
        from (
            select i.name, count(*) as units from berth.order_items i where i.order_id = o.id group by i.name order by i.name
        ) n
    ) as what,
    o.total::text as "total!", o.currency::text as "currency!", o.is_renewal, o.created_at as "created_at: At",
    o.paid_at as "paid_at: At", o.completed_at as "completed_at: At"
from berth.orders o
join berth.customers c on c.id = o.customer_id
where o.phase in ('awaiting_payment', 'held', 'processing')
order by o.id
limit $1
