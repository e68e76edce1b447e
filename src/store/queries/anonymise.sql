-- Forgets who a customer was, unless something of theirs still runs; answers whether that is so, and nothing where
-- there is nobody to forget.
-- Kept: orders, payments, invoices with what they had to say of the buyer, and the accounts' rows, which are terminated.
with subject as materialized (
    select
        c.id,
        not exists (
            select from berth.hosting_accounts a where a.customer_id = c.id and a.phase <> 'terminated'
        )
        and not exists (
            select
            from berth.orders o
            where o.customer_id = c.id and o.phase in ('pending', 'awaiting_payment', 'held', 'processing')
        ) as idle
    from berth.customers c
    where c.id = $1 and c.deleted_at is null
),
forgotten as (
    update berth.customers c
    set email = c.id || '@deleted.invalid',
        name = null,
        company = null,
        country = null,
        address = null,
        vat_id = null,
        deleted_at = berth.now(),
        updated_at = now()
    from subject s
    where c.id = s.id and s.idle
    returning c.id
),
orders as (
    update berth.orders o
    set client_ip = null,
        -- What was paid has an invoice that says the same; what was not needs nobody's name.
        customer_snapshot = case when o.paid_at is null then null else o.customer_snapshot end
    from forgotten f
    where o.customer_id = f.id
),
carts as (
    delete from berth.carts c using forgotten f where c.customer_id = f.id
),
cards as (
    delete from berth.cards k using forgotten f where k.customer_id = f.id
),
tickets as (
    delete from berth.stream_tickets t using forgotten f where t.customer_id = f.id
),
mails as (
    update berth.mails m
    set context = m.context || '{"customer_name": null}'
    from forgotten f
    where m.customer_id = f.id and m.context ? 'customer_name'
)
select idle as "idle!" from subject
