-- Live accounts with all that a renewal reads: `bench.accounts` of them, `bench.due` of which are to be invoiced now. They were
-- bought over fifty months, and due are those of some hours of each month; or, with `bench.scattered`, one in so many wherever
-- it lies. It is noon of 10 June 2030 by the business clock.
set timezone = 'UTC';
-- References are right by making; checking them would be most of the time.
set session_replication_role = replica;
set synchronous_commit = off;
update berth.clock set clock_offset = timestamptz '2030-06-10 12:00:00Z' - now();

create schema bench;
-- Ids in the order of their numbers, as UUIDv7 are in the order of time; one series for every kind of row.
create function bench.id(kind int, n bigint) returns uuid
language sql immutable strict parallel safe
as $$ select (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;

create table bench.seeds as
select
    n, number::text as number, s.is_due,
    bench.id(1, n) as customer, bench.id(2, n) as bought_by, bench.id(3, n) as item, bench.id(4, n) as account,
    s.expires_at, s.expires_at - interval '1 month' as bought_at
from (
        select a.accounts, a.due, gcd(gcd(a.accounts, a.due), 50) as months,
            current_setting('bench.scattered', true) is not distinct from 'on' as scattered
        from (
            select current_setting('bench.accounts')::bigint as accounts, current_setting('bench.due')::bigint as due
        ) a
    ) c,
    generate_series(1, c.accounts) n,
    lateral (select lpad(n::text, 8, '0') as number) t,
    lateral (
        select
            case
                when c.scattered then n % (c.accounts / c.due) = 0
                else (n - 1) % (c.accounts / c.months) < c.due / c.months
            end as is_due
    ) d,
    lateral (
        select
            d.is_due,
            timestamptz '2030-06-10 12:00:00Z'
                -- Due are those whose seventh day before their end has come; four days later, their third.
                + case when d.is_due then interval '6 days 1 hour' else interval '12 days' end
                + interval '1 second' * (n % 80000) as expires_at
    ) s;

insert into berth.customers (id, email, name, stripe_customer_id, country, address, created_at)
select
    customer, 'customer' || number || '@customer.test', 'Erika Mustermann', 'cus_' || number, 'US',
    '{"line1": "1 Main Street", "city": "Springfield", "postal_code": "12345", "region": "IL"}', bought_at
from bench.seeds order by n;

insert into berth.orders
    (id, customer_id, phase, version, currency, subtotal, discount, tax, total, created_at, expires_at, paid_at,
     completed_at)
select bought_by, customer, 'completed', 3, 'USD', 4.99, 0, 0, 4.99, bought_at, bought_at + interval '1 day', bought_at, bought_at
from bench.seeds order by n;

insert into berth.order_items
    (id, order_id, position, service_id, name, service_type, plan_name, billing_cycle, package, pool,
     price, discount, tax, total, tax_category, domain)
select
    item, bought_by, 0, 'shared-monthly', 'Shared Hosting - Monthly', 'shared', 'starter', 'monthly', 'shared-starter',
    'shared', 4.99, 0, 0, 4.99, 'hosting', 'site' || number || '.test'
from bench.seeds order by n;

insert into berth.hosting_accounts
    (id, customer_id, order_id, order_item_id, phase, version, service_id, service_name, service_type, plan_name,
     billing_cycle, package, pool, server, username, intended_at, remote_id, site_url, domain, created_at, activated_at,
     billing_anchor, expires_at)
select
    account, customer, bought_by, item, 'active', 3, 'shared-monthly', 'Shared Hosting - Monthly', 'shared', 'starter',
    'monthly', 'shared-starter', 'shared', 'site', 'b' || number, bought_at, 'b' || number, 'http://site' || number || '.test',
    'site' || number || '.test', bought_at, bought_at, bought_at, expires_at
from bench.seeds order by n;

insert into berth.account_history (account_id, version, from_phase, to_phase, reason, at)
select account, h.version, h.from_phase, h.to_phase, h.reason, bought_at
from bench.seeds,
    (values (1, null, 'pending', 'paid'), (2, 'pending', 'provisioning', 'begun'), (3, 'provisioning', 'active', 'made'))
        h (version, from_phase, to_phase, reason)
order by n, h.version;

insert into berth.cards
    (id, customer_id, brand, last4, exp_month, exp_year, expires_at, saved_at, default_since)
select 'pm_' || number, customer, 'visa', '4242', 12, 2034, '2035-01-01 00:00:00Z', bought_at, bought_at
from bench.seeds order by n;

-- The others have their turn after all that is measured.
insert into berth.agenda (account_id, look_at)
select
    account,
    timestamptz '2030-06-10 12:00:00Z' + case when is_due then -interval '1 minute' else interval '5 days' end
        + interval '1 millisecond' * (n % 60000)
from bench.seeds order by n;

drop table bench.seeds;
reset session_replication_role;
