-- What the sweep writes three days before the end of what is paid for, by one statement.
with c as materialized (
    select berth.now() as now
),
due as materialized (
    select a.id as account_id, c.now, r.order_id
    from c
    join berth.agenda g on g.look_at <= c.now
    join berth.hosting_accounts a on a.id = g.account_id
    join berth.renewals r on r.account_id = a.id and r.period_start = a.expires_at and r.phase = 'invoiced'
    join berth.customers u on u.id = a.customer_id
    join berth.cards k on k.customer_id = a.customer_id and k.default_since is not null and k.expires_at > c.now
    where a.phase = 'active' and a.auto_renew and a.cancel_at is null and a.ending is null
      and a.expires_at <= c.now + interval '3 days'
      and u.deleted_at is null
      and not exists (select from berth.disputes d where d.customer_id = a.customer_id and d.closed_at is null)
      and not exists (select from berth.charges h where h.order_id = r.order_id)
    for no key update of a
),
shown as materialized (
    select due.*, berth.show_id('ord_', order_id) as shown_order
    from due
)
insert into berth.jobs (id, kind, queue, class, payload, coalesce_key, serial, run_at)
select
    gen_random_uuid(), 'charge_renewal', 'payments', 2, jsonb_build_object('order_id', shown_order),
    'charge_renewal:' || shown_order, 'renewal:' || shown_order, now
from shown
