with found (place, sort, id, title, by) as (
    -- Stripe's ids, and what has a unique index.
    select 0, 'order', berth.show_id('ord_', o.id), o.phase, 'page at Stripe'
    from berth.checkout_sessions s
    join berth.orders o on o.id = s.order_id
    where s.id = $1
    union all
    select 0, 'order', berth.show_id('ord_', p.order_id), 'payment ' || p.state, 'payment at Stripe'
    from berth.payments p
    where p.stripe_payment_intent_id = $1
    union all
    select 0, 'order', berth.show_id('ord_', r.order_id), 'renewal ' || r.phase, 'payment at Stripe'
    from berth.renewals r
    where r.stripe_payment_intent_id = $1
    union all
    select 0, 'order', berth.show_id('ord_', r.order_id), 'refund ' || r.state, 'refund at Stripe'
    from berth.refunds r
    where r.stripe_refund_id = $1
    union all
    select 0, 'order', berth.show_id('ord_', d.order_id), 'dispute ' || d.status, 'dispute at Stripe'
    from berth.disputes d
    where d.id = $1
    union all
    select 0, 'event', e.id, e.type, 'event of Stripe'
    from berth.stripe_events e
    where e.id = $1
    union all
    select 0, 'customer', c.id::text, c.email, 'customer at Stripe'
    from berth.customers c
    where c.stripe_customer_id = $1
    union all
    select 0, 'order', berth.show_id('ord_', i.order_id), 'invoice ' || i.number, 'invoice'
    from berth.invoices i
    where i.number = upper($1) or i.number = $1
    union all
    select 0, 'order', berth.show_id('ord_', n.order_id), 'credit note ' || n.number, 'credit note'
    from berth.credit_notes n
    where n.number = upper($1) or n.number = $1
    union all
    select 0, 'server', s.name, s.driver, 'server'
    from berth.servers s
    where s.name = $1
    union all
    (
        select case when a.username = lower($1) or lower(a.domain) = lower($1) then 0 else 1 end, 'account',
            berth.show_id('acc_', a.id), concat_ws(' · ', a.service_name, a.username, a.domain, a.phase), 'account'
        from berth.hosting_accounts a
        where a.username ilike $2 or a.domain ilike $2
        order by a.id desc
        limit 20
    )
    union all
    (
        select case when lower(c.email) = lower($1) then 0 else 1 end, 'customer', c.id::text, concat_ws(' · ', c.email, c.name),
            'customer'
        from berth.customers c
        where c.email ilike $2 or c.name ilike $2 or c.company ilike $2
        order by c.created_at desc
        limit 20
    )
)
select distinct on (place, sort, id) sort as "sort!", id as "id!", title as "title!", by as "by!"
from found
order by place, sort, id
limit 50
