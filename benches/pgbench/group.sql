-- Fifty events at once, otherwise as in single.sql: each statement is for all of them.
select 50 * nextval('bench.numbers') as n \gset

-- The events arrive.
begin;
insert into berth.stripe_events (id, type, payload, outcome)
select 'evt_' || n, 'checkout.session.completed', convert_to(replace(body, '{NUMBER}', lpad(n::text, 12, '0')), 'UTF8'), 'pending'
from bench.body, generate_series(:n::bigint, :n::bigint + 49) n
on conflict (id) do nothing;
insert into berth.jobs (id, kind, queue, class, payload, once_key, run_at, dispatched_at)
select bench.id(1, n), 'complete_checkout', 'payments', 1, jsonb_build_object('event_id', 'evt_' || n),
       'event:' || 'evt_' || n, c.now, now()
from generate_series(:n::bigint, :n::bigint + 49) n, (select berth.now() as now) c
on conflict do nothing;
end;

-- complete_checkout
begin;
update berth.jobs
set state = 'running', claim_id = gen_random_uuid(), worker = bench.id(9, 1), attempt = attempt + 1
where id = any (array(select bench.id(1, n) from generate_series(:n::bigint, :n::bigint + 49) n)) and state = 'queued';
select payload from berth.stripe_events where id = any (array(select 'evt_' || n from generate_series(:n::bigint, :n::bigint + 49) n));
select o.*, c.email, c.name
from berth.orders o
join berth.customers c on c.id = o.customer_id
where o.id = any (array(select bench.id(0, n) from generate_series(:n::bigint, :n::bigint + 49) n));
select * from berth.order_items where order_id = any (array(select bench.id(0, n) from generate_series(:n::bigint, :n::bigint + 49) n)) order by order_id, position;
update berth.jobs
set state = 'done', finished_at = now(), unsettled = 0
where id = any (array(select bench.id(1, n) from generate_series(:n::bigint, :n::bigint + 49) n)) and state = 'running';
update berth.orders
set phase = 'processing', version = version + 1, paid_at = now()
where id = any (array(select bench.id(0, n) from generate_series(:n::bigint, :n::bigint + 49) n)) and phase = 'pending' and version = 1;
insert into berth.order_history (order_id, version, from_phase, to_phase, reason, job_id, at)
select bench.id(0, n), 2, 'pending', 'processing', 'paid', bench.id(1, n), now()
from generate_series(:n::bigint, :n::bigint + 49) n;
insert into berth.payments (id, order_id, state, currency, amount, stripe_session_id, stripe_payment_intent_id, created_at)
select bench.id(2, n), bench.id(0, n), 'succeeded', 'USD', 4.99, 'cs_' || n, 'pi_' || n, now()
from generate_series(:n::bigint, :n::bigint + 49) n
on conflict do nothing;
insert into berth.hosting_accounts
    (id, customer_id, order_id, order_item_id, phase, service_id, service_name, service_type, plan_name, billing_cycle,
     package, pool, created_at)
select bench.id(3, n), o.customer_id, o.id, i.id, 'pending', i.service_id, i.name, i.service_type, i.plan_name,
       i.billing_cycle, i.package, i.pool, now()
from generate_series(:n::bigint, :n::bigint + 49) n
join berth.order_items i on i.id = bench.id(0, n)
join berth.orders o on o.id = i.order_id
on conflict (order_item_id) do nothing;
insert into berth.account_history (account_id, version, from_phase, to_phase, reason, job_id, at)
select bench.id(3, n), 1, null, 'pending', 'order paid', bench.id(1, n), now()
from generate_series(:n::bigint, :n::bigint + 49) n;
insert into berth.mails (id, dedupe_key, kind, about, customer_id, context)
select bench.id(4, n), 'order_confirmation:' || n, 'order_confirmation', bench.id(0, n), bench.id(0, n),
       jsonb_build_object('order_id', n, 'total', '4.99', 'currency', 'USD')
from generate_series(:n::bigint, :n::bigint + 49) n
on conflict (dedupe_key) do nothing;
update berth.stripe_events set outcome = 'applied' where id = any (array(select 'evt_' || n from generate_series(:n::bigint, :n::bigint + 49) n)) and outcome = 'pending';
update berth.orders set stripe_session_id = stripe_session_id where id = any (array(select bench.id(0, n) from generate_series(:n::bigint, :n::bigint + 49) n));
insert into berth.jobs (id, kind, queue, class, payload, once_key, serial, run_at, dispatched_at, caused_by)
select bench.id(5, n), 'provision_account', 'provisioning', 0, jsonb_build_object('account_id', n), null,
       'account:' || n, now(), now(), bench.id(1, n)
from generate_series(:n::bigint, :n::bigint + 49) n
union all
select bench.id(6, n), 'send_mail', 'mail', 1, jsonb_build_object('mail_id', n), 'mail:' || n, null,
       now(), now(), bench.id(1, n)
from generate_series(:n::bigint, :n::bigint + 49) n
on conflict do nothing;
end;

-- provision_account
begin;
update berth.jobs
set state = 'running', claim_id = gen_random_uuid(), worker = bench.id(9, 1), attempt = attempt + 1
where id = any (array(select bench.id(5, n) from generate_series(:n::bigint, :n::bigint + 49) n)) and state = 'queued';
select a.*, c.email, c.name
from berth.hosting_accounts a
join berth.customers c on c.id = a.customer_id
where a.id = any (array(select bench.id(3, n) from generate_series(:n::bigint, :n::bigint + 49) n));
select n, exists (select from berth.hosting_accounts where server = 'local' and username = 'bh' || n)
from generate_series(:n::bigint, :n::bigint + 49) n;
update berth.hosting_accounts a
set phase = 'provisioning', version = version + 1, server = 'local', username = 'bh' || m.n,
    sealed_password = repeat(md5(m.n::text), 3), intended_at = now()
from (select n, bench.id(3, n) as id from generate_series(:n::bigint, :n::bigint + 49) n) m
where a.id = m.id and version = 1 and phase = 'pending';
insert into berth.account_history (account_id, version, from_phase, to_phase, reason, job_id, at)
select bench.id(3, n), 2, 'pending', 'provisioning', 'intended', bench.id(5, n), now()
from generate_series(:n::bigint, :n::bigint + 49) n;
update berth.jobs
set state = 'done', finished_at = now(), unsettled = 0
where id = any (array(select bench.id(5, n) from generate_series(:n::bigint, :n::bigint + 49) n)) and state = 'running';
select id from berth.jobs where serial = any (array(select 'account:' || n from generate_series(:n::bigint, :n::bigint + 49) n)) and state = 'queued';
select id from berth.orders where id = any (array(select bench.id(0, n) from generate_series(:n::bigint, :n::bigint + 49) n)) order by id for no key update;
update berth.hosting_accounts
set phase = 'active', version = version + 1, activated_at = now(), billing_anchor = now(), expires_at = now() + interval '1 month'
where id = any (array(select bench.id(3, n) from generate_series(:n::bigint, :n::bigint + 49) n)) and version = 2 and phase = 'provisioning';
insert into berth.account_history (account_id, version, from_phase, to_phase, reason, job_id, at)
select bench.id(3, n), 3, 'provisioning', 'active', 'provisioned', bench.id(5, n), now()
from generate_series(:n::bigint, :n::bigint + 49) n;
insert into berth.mails (id, dedupe_key, kind, about, customer_id, context)
select bench.id(7, n), 'welcome:' || n, 'welcome', bench.id(3, n), bench.id(0, n),
       jsonb_build_object('account_id', n, 'username', 'bh' || n)
from generate_series(:n::bigint, :n::bigint + 49) n
on conflict (dedupe_key) do nothing;
update berth.hosting_accounts a
set remote_id = 'bh' || m.n, site_url = 'http://bh' || m.n || '.invalid/', nameservers = '{ns1.shop.test,ns2.shop.test}'
from (select n, bench.id(3, n) as id from generate_series(:n::bigint, :n::bigint + 49) n) m
where a.id = m.id;
update berth.orders o
set phase = 'completed', version = version + 1, completed_at = now()
where o.id = any (array(select bench.id(0, n) from generate_series(:n::bigint, :n::bigint + 49) n)) and o.phase = 'processing'
  and not exists (
      select
      from berth.order_items i
      left join berth.hosting_accounts a on a.order_item_id = i.id
      where i.order_id = o.id and a.phase is distinct from 'active'
  );
insert into berth.order_history (order_id, version, from_phase, to_phase, reason, at)
select bench.id(0, n), 3, 'processing', 'completed', 'all accounts active', now()
from generate_series(:n::bigint, :n::bigint + 49) n;
insert into berth.jobs (id, kind, queue, class, payload, once_key, run_at, dispatched_at, caused_by)
select bench.id(8, n), 'send_mail', 'mail', 1, jsonb_build_object('mail_id', n), 'mail:' || 'w' || n,
       now(), now(), bench.id(5, n)
from generate_series(:n::bigint, :n::bigint + 49) n
on conflict do nothing;
end;

-- send_mail, of the confirmations
begin;
update berth.jobs
set state = 'running', claim_id = gen_random_uuid(), worker = bench.id(9, 1), attempt = attempt + 1
where id = any (array(select bench.id(6, n) from generate_series(:n::bigint, :n::bigint + 49) n)) and state = 'queued';
select m.*, c.email, c.name
from berth.mails m
join berth.customers c on c.id = m.customer_id
where m.id = any (array(select bench.id(4, n) from generate_series(:n::bigint, :n::bigint + 49) n));
update berth.mails set attempts = attempts + 1, attempted_at = now() where id = any (array(select bench.id(4, n) from generate_series(:n::bigint, :n::bigint + 49) n));
update berth.jobs
set state = 'done', finished_at = now(), unsettled = 0
where id = any (array(select bench.id(6, n) from generate_series(:n::bigint, :n::bigint + 49) n)) and state = 'running';
update berth.mails set accepted_at = now(), response = '250 taken' where id = any (array(select bench.id(4, n) from generate_series(:n::bigint, :n::bigint + 49) n)) and accepted_at is null;
end;

-- send_mail, of the welcomes
begin;
update berth.jobs
set state = 'running', claim_id = gen_random_uuid(), worker = bench.id(9, 1), attempt = attempt + 1
where id = any (array(select bench.id(8, n) from generate_series(:n::bigint, :n::bigint + 49) n)) and state = 'queued';
select m.*, c.email, c.name
from berth.mails m
join berth.customers c on c.id = m.customer_id
where m.id = any (array(select bench.id(7, n) from generate_series(:n::bigint, :n::bigint + 49) n));
update berth.mails set attempts = attempts + 1, attempted_at = now() where id = any (array(select bench.id(7, n) from generate_series(:n::bigint, :n::bigint + 49) n));
update berth.jobs
set state = 'done', finished_at = now(), unsettled = 0
where id = any (array(select bench.id(8, n) from generate_series(:n::bigint, :n::bigint + 49) n)) and state = 'running';
update berth.mails set accepted_at = now(), response = '250 taken' where id = any (array(select bench.id(7, n) from generate_series(:n::bigint, :n::bigint + 49) n)) and accepted_at is null;
end;
