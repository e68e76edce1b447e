-- What the sweep writes a week before the end of what is paid for, by one statement.
with c as materialized (
    select berth.now() as now
),
due as materialized (
    select
        a.id as account_id, a.customer_id, a.domain, a.service_id, a.service_name, a.service_type, a.plan_name,
        a.billing_cycle, a.package, a.pool, a.configuration, a.addons, a.expires_at as period_start,
        a.expires_at + interval '1 month' as period_end,
        c.now, o.currency, i.price, i.tax_category,
        k.brand, k.last4, u.email, u.name as customer_name,
        jsonb_build_object(
            'email', u.email, 'name', u.name, 'company', u.company, 'country', u.country, 'address', u.address,
            'vat_id', u.vat_id
        ) as buyer,
        gen_random_uuid() as order_id, gen_random_uuid() as item_id, gen_random_uuid() as mail_id
    from c
    join berth.agenda g on g.look_at <= c.now
    join berth.hosting_accounts a on a.id = g.account_id
    join berth.customers u on u.id = a.customer_id
    join berth.orders o on o.id = a.order_id
    join berth.order_items i on i.id = a.order_item_id
    join berth.cards k on k.customer_id = a.customer_id and k.default_since is not null
    where a.phase = 'active' and a.auto_renew and a.cancel_at is null and a.ending is null
      and a.expires_at <= c.now + interval '7 days'
      and u.deleted_at is null
      and not exists (select from berth.disputes d where d.customer_id = a.customer_id and d.closed_at is null)
      and not exists (
          select
          from berth.renewals r
          where r.account_id = a.id and r.period_start = a.expires_at and r.phase not in ('void', 'abandoned', 'returned')
      )
    for no key update of a
),
-- The ids as they are shown, each written once.
shown as materialized (
    select
        due.*,
        berth.show_id('ord_', order_id) as shown_order, berth.show_id('acc_', account_id) as shown_account,
        berth.show_id('mail_', mail_id) as shown_mail
    from due
),
ordered as (
    insert into berth.orders
        (id, customer_id, phase, currency, subtotal, discount, tax, total, credit, created_at, expires_at,
         customer_snapshot, is_renewal, renewal_of_hosting_id, period_start)
    select
        order_id, customer_id, 'pending', currency, price, 0, 0, price, 0, now, period_end, buyer, true, account_id,
        period_start
    from shown
),
items as (
    insert into berth.order_items
        (id, order_id, position, service_id, name, service_type, plan_name, billing_cycle, package, pool,
         price, discount, tax, total, tax_rate, tax_category, configuration, addons, domain)
    select
        item_id, order_id, 0, service_id, service_name, service_type, plan_name, billing_cycle, package, pool,
        price, 0, 0, price, 0, tax_category, configuration, addons, domain
    from shown
),
order_told as (
    insert into berth.order_history (order_id, version, to_phase, reason, actor, at)
    select order_id, 1, 'pending', 'renewal issued', 'berth', now
    from shown
),
renewed as (
    insert into berth.renewals
        (order_id, account_id, customer_id, period_start, period_end, phase, invoice_mail_id, issued_at)
    select order_id, account_id, customer_id, period_start, period_end, 'invoiced', mail_id, now
    from shown
),
told as (
    insert into berth.renewal_history (order_id, version, to_phase, reason, at)
    select order_id, 1, 'invoiced', 'issued', now
    from shown
),
mailed as (
    insert into berth.mails (id, dedupe_key, kind, about, customer_id, context)
    select
        mail_id, 'renewal_invoice:' || shown_order, 'renewal_invoice', account_id, customer_id,
        jsonb_build_object(
            'kind', 'renewal_invoice', 'account_id', shown_account, 'due_at', period_start, 'step', null,
            'customer_name', customer_name, 'service_name', service_name, 'site', domain, 'order_id', shown_order,
            'total', price::text, 'credit', null, 'due', price::text, 'currency', currency, 'period_end', period_end,
            'charged_at', period_start - interval '3 days', 'card', initcap(brand) || ' ending in ' || last4,
            'happens_at', null,
            -- As long as the link; that nobody can guess it is not to be had in SQL.
            'pay_url', 'http://127.0.0.1:8080/pay/' || shown_order || '.' || md5(shown_order),
            'manage_url', 'http://shop.test/hosting/' || shown_account
        )
    from shown
),
mailing as (
    insert into berth.jobs (id, kind, queue, class, payload, once_key, run_at)
    select
        gen_random_uuid(), 'send_mail', 'mail', 1, jsonb_build_object('mail_id', shown_mail), 'mail:' || shown_mail, now
    from shown
),
looked as (
    update berth.agenda g
    set look_at = shown.now, turn = g.turn + 1
    from shown
    where g.account_id = shown.account_id
),
counted as (
    update berth.invoice_counter c
    set last = c.last + n.count
    from (select count(*) as count from shown) n
    returning c.last - n.count as before
)
insert into berth.invoices
    (id, number, sequence, order_id, customer_id, currency, subtotal, discount, tax, total, seller, buyer, lines, issued_at)
select
    gen_random_uuid(), 'INV-' || lpad(n.sequence::text, greatest(6, length(n.sequence::text)), '0'), n.sequence,
    n.order_id, n.customer_id, n.currency, n.price, 0, 0, n.price,
    '{"name": "Berth Hosting", "email": "help@shop.test", "vat_id": null, "address": [], "country": null}', n.buyer,
    jsonb_build_array(jsonb_build_object(
        'service_id', n.service_id, 'name', n.service_name, 'plan_name', n.plan_name, 'billing_cycle', n.billing_cycle,
        'quantity', 1, 'unit_price', n.price::text, 'setup_fee', '0.00', 'trial_days', 0, 'details', '[]'::jsonb,
        'domains', jsonb_build_array(n.domain),
        'period', jsonb_build_object('from', n.period_start, 'until', n.period_end),
        'subtotal', n.price::text, 'discount', '0.00', 'coupon', null, 'tax_rate', '0', 'tax', '0.00', 'tax_note', null,
        'total', n.price::text
    )),
    n.now
from (
    select shown.*, counted.before + row_number() over (order by shown.order_id) as sequence
    from shown, counted
) n
