-- One event, from its arrival to its last mail: the statements that Berth makes, in one transaction for the arrival
-- and one for each of its four jobs (claim, reads, checkpoint, effects, settlement).
select nextval('bench.numbers') as n \gset

-- The event arrives.
begin;
insert into berth.stripe_events (id, type, payload, outcome)
select 'evt_' || :n::bigint, 'checkout.session.completed', convert_to(replace(body, '{NUMBER}', lpad(:n::text, 12, '0')), 'UTF8'), 'pending'
from bench.body
on conflict (id) do nothing;
insert into berth.jobs (id, kind, queue, class, payload, once_key, run_at, dispatched_at)
values (bench.id(1, :n::bigint), 'complete_checkout', 'payments', 1, jsonb_build_object('event_id', 'evt_' || :n::bigint),
        'event:' || 'evt_' || :n::bigint, berth.now(), now())
on conflict do nothing;
end;

-- complete_checkout
begin;
update berth.jobs
set state = 'running', claim_id = gen_random_uuid(), worker = bench.id(9, 1), attempt = attempt + 1
where id = bench.id(1, :n::bigint) and state = 'queued';
select payload from berth.stripe_events where id = 'evt_' || :n::bigint;
select o.*, c.email, c.name
from berth.orders o
join berth.customers c on c.id = o.customer_id
where o.id = bench.id(0, :n::bigint);
select * from berth.order_items where order_id = bench.id(0, :n::bigint) order by position;
update berth.jobs
set state = 'done', finished_at = now(), unsettled = 0
where id = bench.id(1, :n::bigint) and state = 'running';
update berth.orders
set phase = 'processing', version = version + 1, paid_at = berth.now()
where id = bench.id(0, :n::bigint) and phase = 'pending' and version = 1;
insert into berth.order_history (order_id, version, from_phase, to_phase, reason, job_id, at)
values (bench.id(0, :n::bigint), 2, 'pending', 'processing', 'paid', bench.id(1, :n::bigint), berth.now());
insert into berth.payments (id, order_id, state, currency, amount, stripe_session_id, stripe_payment_intent_id, created_at)
values (bench.id(2, :n::bigint), bench.id(0, :n::bigint), 'succeeded', 'USD', 4.99, 'cs_' || :n::bigint, 'pi_' || :n::bigint, now())
on conflict do nothing;
insert into berth.hosting_accounts
    (id, customer_id, order_id, order_item_id, phase, service_id, service_name, service_type, plan_name, billing_cycle,
     package, pool, created_at)
select bench.id(3, :n::bigint), o.customer_id, o.id, i.id, 'pending', i.service_id, i.name, i.service_type, i.plan_name,
       i.billing_cycle, i.package, i.pool, now()
from berth.order_items i
join berth.orders o on o.id = i.order_id
where i.id = bench.id(0, :n::bigint)
on conflict (order_item_id) do nothing;
insert into berth.account_history (account_id, version, from_phase, to_phase, reason, job_id, at)
values (bench.id(3, :n::bigint), 1, null, 'pending', 'order paid', bench.id(1, :n::bigint), now());
insert into berth.mails (id, dedupe_key, kind, about, customer_id, context)
values (bench.id(4, :n::bigint), 'order_confirmation:' || :n::bigint, 'order_confirmation', bench.id(0, :n::bigint),
        bench.id(0, :n::bigint), jsonb_build_object('order_id', :n::bigint, 'total', '4.99', 'currency', 'USD'))
on conflict (dedupe_key) do nothing;
update berth.stripe_events set outcome = 'applied' where id = 'evt_' || :n::bigint and outcome = 'pending';
update berth.orders set stripe_session_id = stripe_session_id where id = bench.id(0, :n::bigint);
insert into berth.jobs (id, kind, queue, class, payload, once_key, serial, run_at, dispatched_at, caused_by)
values (bench.id(5, :n::bigint), 'provision_account', 'provisioning', 0, jsonb_build_object('account_id', :n::bigint), null,
        'account:' || :n::bigint, berth.now(), now(), bench.id(1, :n::bigint)),
       (bench.id(6, :n::bigint), 'send_mail', 'mail', 1, jsonb_build_object('mail_id', :n::bigint), 'mail:' || :n::bigint, null,
        berth.now(), now(), bench.id(1, :n::bigint))
on conflict do nothing;
end;

-- provision_account
begin;
update berth.jobs
set state = 'running', claim_id = gen_random_uuid(), worker = bench.id(9, 1), attempt = attempt + 1
where id = bench.id(5, :n::bigint) and state = 'queued';
select a.*, c.email, c.name
from berth.hosting_accounts a
join berth.customers c on c.id = a.customer_id
where a.id = bench.id(3, :n::bigint);
select exists (select from berth.hosting_accounts where server = 'local' and username = 'bh' || :n::bigint);
update berth.hosting_accounts
set phase = 'provisioning', version = version + 1, server = 'local', username = 'bh' || :n::bigint,
    sealed_password = repeat(md5(:n::text), 3), intended_at = now()
where id = bench.id(3, :n::bigint) and version = 1 and phase = 'pending';
insert into berth.account_history (account_id, version, from_phase, to_phase, reason, job_id, at)
values (bench.id(3, :n::bigint), 2, 'pending', 'provisioning', 'intended', bench.id(5, :n::bigint), berth.now());
update berth.jobs
set state = 'done', finished_at = now(), unsettled = 0
where id = bench.id(5, :n::bigint) and state = 'running';
select id from berth.jobs where serial = 'account:' || :n::bigint and state = 'queued';
select id from berth.orders where id = bench.id(0, :n::bigint) for no key update;
update berth.hosting_accounts
set phase = 'active', version = version + 1, activated_at = now(), billing_anchor = now(), expires_at = now() + interval '1 month'
where id = bench.id(3, :n::bigint) and version = 2 and phase = 'provisioning';
insert into berth.account_history (account_id, version, from_phase, to_phase, reason, job_id, at)
values (bench.id(3, :n::bigint), 3, 'provisioning', 'active', 'provisioned', bench.id(5, :n::bigint), berth.now());
insert into berth.mails (id, dedupe_key, kind, about, customer_id, context)
values (bench.id(7, :n::bigint), 'welcome:' || :n::bigint, 'welcome', bench.id(3, :n::bigint), bench.id(0, :n::bigint),
        jsonb_build_object('account_id', :n::bigint, 'username', 'bh' || :n::bigint))
on conflict (dedupe_key) do nothing;
update berth.hosting_accounts
set remote_id = 'bh' || :n::bigint, site_url = 'http://bh' || :n::bigint || '.invalid/', nameservers = '{ns1.shop.test,ns2.shop.test}'
where id = bench.id(3, :n::bigint);
update berth.orders o
set phase = 'completed', version = version + 1, completed_at = berth.now()
where o.id = bench.id(0, :n::bigint) and o.phase = 'processing'
  and not exists (
      select
      from berth.order_items i
      left join berth.hosting_accounts a on a.order_item_id = i.id
      where i.order_id = o.id and a.phase is distinct from 'active'
  );
insert into berth.order_history (order_id, version, from_phase, to_phase, reason, at)
values (bench.id(0, :n::bigint), 3, 'processing', 'completed', 'all accounts active', berth.now());
insert into berth.jobs (id, kind, queue, class, payload, once_key, run_at, dispatched_at, caused_by)
values (bench.id(8, :n::bigint), 'send_mail', 'mail', 1, jsonb_build_object('mail_id', :n::bigint), 'mail:' || 'w' || :n::bigint,
        berth.now(), now(), bench.id(5, :n::bigint))
on conflict do nothing;
end;

-- send_mail, of the confirmation
begin;
update berth.jobs
set state = 'running', claim_id = gen_random_uuid(), worker = bench.id(9, 1), attempt = attempt + 1
where id = bench.id(6, :n::bigint) and state = 'queued';
select m.*, c.email, c.name
from berth.mails m
join berth.customers c on c.id = m.customer_id
where m.id = bench.id(4, :n::bigint);
update berth.mails set attempts = attempts + 1, attempted_at = now() where id = bench.id(4, :n::bigint);
update berth.jobs
set state = 'done', finished_at = now(), unsettled = 0
where id = bench.id(6, :n::bigint) and state = 'running';
update berth.mails set accepted_at = now(), response = '250 taken' where id = bench.id(4, :n::bigint) and accepted_at is null;
end;

-- send_mail, of the welcome
begin;
update berth.jobs
set state = 'running', claim_id = gen_random_uuid(), worker = bench.id(9, 1), attempt = attempt + 1
where id = bench.id(8, :n::bigint) and state = 'queued';
select m.*, c.email, c.name
from berth.mails m
join berth.customers c on c.id = m.customer_id
where m.id = bench.id(7, :n::bigint);
update berth.mails set attempts = attempts + 1, attempted_at = now() where id = bench.id(7, :n::bigint);
update berth.jobs
set state = 'done', finished_at = now(), unsettled = 0
where id = bench.id(8, :n::bigint) and state = 'running';
update berth.mails set accepted_at = now(), response = '250 taken' where id = bench.id(7, :n::bigint) and accepted_at is null;
end;
