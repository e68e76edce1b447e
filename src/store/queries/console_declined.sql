-- Whom a card was declined in the last day and who has not paid since, the newest first. Berth names its order in all that it has
-- Stripe charge; an event's contents are JSON that was read before it was stored.
with declined as materialized (
    select received_at, substring(convert_from(payload, 'UTF8') from 'ord_[0-9a-z]{26}') as shown
    from (
        select received_at, payload
        from berth.stripe_events
        where type = 'payment_intent.payment_failed' and emptied_at is null and received_at > now() - interval '1 day'
        order by received_at desc
        limit 500
    ) newest
),
named as materialized (
    select berth.read_id('ord_', shown) as id, max(received_at) as at
    from declined
    where shown is not null
    group by 1
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
from named
join berth.orders o on o.id = named.id
join berth.customers c on c.id = o.customer_id
where o.phase in ('pending', 'failed', 'cancelled')
order by named.at desc
limit $1
