-- What the account is made of is copied from it; what is paid for it was priced.
with n as materialized (
    select *
    from unnest(
        $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::numeric[], $6::numeric[], $7::numeric[], $8::numeric[],
        $9::numeric[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::jsonb[], $14::text[],
        $15::uuid[], $16::uuid[], $17::text[], $18::text[], $19::numeric[], $20::text[], $21::uuid[]
    ) n (
        order_id, account_id, customer_id, currency, subtotal, discount, tax, total,
        credit, created_at, period_start, period_end, customer_snapshot, tax_note,
        mail_id, item_id, service_id, name, tax_rate, tax_category, job_id
    )
),
ordered as (
    insert into berth.orders
        (id, customer_id, phase, currency, subtotal, discount, tax, total, credit, created_at, expires_at,
         customer_snapshot, tax_note, is_renewal, renewal_of_hosting_id, period_start)
    select
        n.order_id, n.customer_id, 'pending', n.currency, n.subtotal, n.discount, n.tax, n.total, n.credit,
        n.created_at, n.period_end, n.customer_snapshot, n.tax_note, true, n.account_id, n.period_start
    from n
    order by n.account_id
    on conflict do nothing
    returning id
),
items as (
    insert into berth.order_items
        (id, order_id, position, service_id, name, service_type, plan_name, billing_cycle, package, pool,
         price, discount, tax, total, tax_rate, tax_category, configuration, addons, domain)
    select
        n.item_id, n.order_id, 0, n.service_id, n.name, a.service_type, a.plan_name, a.billing_cycle, a.package, a.pool,
        n.subtotal, n.discount, n.tax, n.total, n.tax_rate, n.tax_category, a.configuration, a.addons, a.domain
    from ordered
    join n on n.order_id = ordered.id
    join berth.hosting_accounts a on a.id = n.account_id
),
order_told as (
    insert into berth.order_history (order_id, version, from_phase, to_phase, reason, job_id, actor, at)
    select n.order_id, 1, null, 'pending', 'renewal issued', n.job_id, 'berth', n.created_at
    from ordered
    join n on n.order_id = ordered.id
),
renewed as (
    insert into berth.renewals
        (order_id, account_id, customer_id, period_start, period_end, phase, invoice_mail_id, issued_at)
    select n.order_id, n.account_id, n.customer_id, n.period_start, n.period_end, 'invoiced', n.mail_id, n.created_at
    from ordered
    join n on n.order_id = ordered.id
    order by n.account_id
    on conflict do nothing
    returning order_id
),
told as (
    insert into berth.renewal_history (order_id, version, from_phase, to_phase, reason, job_id, at)
    select n.order_id, 1, null, 'invoiced', 'issued', n.job_id, n.created_at
    from renewed
    join n on n.order_id = renewed.order_id
)
select order_id as "order_id!" from renewed
