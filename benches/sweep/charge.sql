-- What the sweep writes three days before the end of what is paid for, by one statement.
with c as materialized (
    select berth.now() as now
),
due as materialized (
    select
        a.id as account_id, a.customer_id, a.domain, a.service_name, a.expires_at, c.now,
        r.order_id, r.period_end, o.currency, o.total, k.brand, k.last4, u.name as customer_name,
        gen_random_uuid() as mail_id
    from c
    join berth.agenda g on g.look_at <= c.now
    join berth.hosting_accounts a on a.id = g.account_id
    join berth.renewals r on r.account_id = a.id and r.period_start = a.expires_at and r.phase = 'invoiced'
    join berth.orders o on o.id = r.order_id
    join berth.customers u on u.id = a.customer_id
    join berth.cards k on k.customer_id = a.customer_id and k.default_since is not null and k.expires_at > c.now
    where a.phase = 'active' and a.auto_renew and a.cancel_at is null and a.ending is null
      and a.expires_at <= c.now + interval '3 days'
      and u.deleted_at is null
      and not exists (select from berth.disputes d where d.customer_id = a.customer_id and d.closed_at is null)
      and not exists (
          select
          from berth.notices n
          where n.account_id = a.id and n.due_at = a.expires_at and n.step = 'reminder_1'
      )
      and not exists (select from berth.charges h where h.order_id = r.order_id)
    for no key update of a
),
shown as materialized (
    select
        due.*,
        berth.show_id('ord_', order_id) as shown_order, berth.show_id('acc_', account_id) as shown_account,
        berth.show_id('mail_', mail_id) as shown_mail
    from due
),
noticed as (
    insert into berth.notices (account_id, due_at, step, mail_id, at)
    select account_id, expires_at, 'reminder_1', mail_id, now
    from shown
),
mailed as (
    insert into berth.mails (id, dedupe_key, kind, about, customer_id, context)
    select
        mail_id,
        'renewal_reminder:' || shown_account || ':' || to_char(expires_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ':reminder_1',
        'renewal_reminder', account_id, customer_id,
        jsonb_build_object(
            'kind', 'renewal_reminder', 'account_id', shown_account, 'due_at', expires_at, 'step', 'reminder_1',
            'customer_name', customer_name, 'service_name', service_name, 'site', domain, 'order_id', shown_order,
            'total', total::text, 'credit', null, 'due', total::text, 'currency', currency, 'period_end', period_end,
            'charged_at', now, 'card', initcap(brand) || ' ending in ' || last4, 'happens_at', null,
            'pay_url', 'http://127.0.0.1:8080/pay/' || shown_order || '.' || md5(shown_order),
            'manage_url', 'http://shop.test/hosting/' || shown_account
        )
    from shown
),
looked as (
    update berth.agenda g
    set look_at = shown.now, turn = g.turn + 1
    from shown
    where g.account_id = shown.account_id
)
insert into berth.jobs (id, kind, queue, class, payload, once_key, coalesce_key, serial, run_at)
select
    gen_random_uuid(), j.kind, j.queue, j.class, j.payload, j.once_key, j.coalesce_key, j.serial, s.now
from shown s,
    lateral (
        values
            ('send_mail', 'mail', 1, jsonb_build_object('mail_id', s.shown_mail), 'mail:' || s.shown_mail, null, null),
            ('charge_renewal', 'payments', 2, jsonb_build_object('order_id', s.shown_order), null,
             'charge_renewal:' || s.shown_order, 'renewal:' || s.shown_order)
    ) j (kind, queue, class, payload, once_key, coalesce_key, serial)
