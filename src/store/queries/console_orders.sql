-- Orders that are not finished are found by the partial index of theirs, those in a phase that is their last among the newest.
with candidates as (
    (
        select id
        from berth.orders
        where phase in ('pending', 'awaiting_payment', 'held', 'processing') and phase = $1 and ($2::uuid is null or id < $2)
        order by id desc
        limit $3
    )
    union all
    (
        select id
        from (
            select id, phase
            from berth.orders
            where ($1::text is null or $1 not in ('pending', 'awaiting_payment', 'held', 'processing'))
              and ($2::uuid is null or id < $2)
            order by id desc
            limit case when $1::text is null then $3::int8 else 50000 end
        ) newest
        where $1::text is null or phase = $1
        order by id desc
        limit $3
    )
)
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
where o.id = any (array(select id from candidates))
order by o.id desc
