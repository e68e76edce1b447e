-- Two customers with everything that a customer can have, and what nobody but the program may read.
insert into berth.customers (id, email, name, stripe_customer_id)
values
    ('00000000-0000-4000-8000-000000000001', 'one@customer.test', 'One', 'cus_one'),
    ('00000000-0000-4000-8000-000000000002', 'two@customer.test', 'Two', 'cus_two');

insert into berth.coupons (id, code, discount_type, percentage, active, created_by)
values
    ('00000000-0000-4000-8000-0000000000c1', 'OPEN', 'percentage', 10, true, 'secret-staff'),
    ('00000000-0000-4000-8000-0000000000c2', 'SECRET', 'percentage', 10, false, 'secret-staff');

insert into berth.orders
    (id, customer_id, phase, currency, subtotal, discount, tax, total, stripe_session_id, idempotency_key, client_ip,
     coupon_id, coupon_code, customer_snapshot, created_at, expires_at, paid_at, checkout_url)
select
    ('00000000-0000-4000-8000-00000000010' || n)::uuid, ('00000000-0000-4000-8000-00000000000' || n)::uuid,
    'processing', 'USD', 4.99, 0, 0, 4.99, 'cs_' || n, 'secret-key', '192.0.2.99',
    '00000000-0000-4000-8000-0000000000c1', 'OPEN', '{}', now(), now(), now(), 'https://secret.test'
from generate_series(1, 2) n;

insert into berth.order_items
    (id, order_id, position, service_id, name, service_type, plan_name, billing_cycle, package, pool,
     price, discount, tax, total)
select
    ('00000000-0000-4000-8000-00000000020' || n)::uuid, ('00000000-0000-4000-8000-00000000010' || n)::uuid,
    0, 'shared-monthly', 'Shared Hosting', 'shared', 'starter', 'monthly', 'secret-package', 'secret-pool',
    4.99, 0, 0, 4.99
from generate_series(1, 2) n;

insert into berth.hosting_accounts
    (id, customer_id, order_id, order_item_id, phase, service_id, service_name, service_type, plan_name,
     billing_cycle, package, pool, server, username, sealed_password, remote_id, created_at, expires_at, failure)
select
    ('00000000-0000-4000-8000-00000000030' || n)::uuid, ('00000000-0000-4000-8000-00000000000' || n)::uuid,
    ('00000000-0000-4000-8000-00000000010' || n)::uuid, ('00000000-0000-4000-8000-00000000020' || n)::uuid,
    'active', 'shared-monthly', 'Shared Hosting', 'shared', 'starter',
    'monthly', 'secret-package', 'secret-pool', 'secret-server', 'name' || n, 'secret-password', 'secret-remote',
    now(), now(), 'secret-failure'
from generate_series(1, 2) n;

insert into berth.invoices
    (id, number, sequence, order_id, customer_id, currency, subtotal, discount, tax, total, seller, buyer, lines,
     issued_at)
select
    ('00000000-0000-4000-8000-00000000040' || n)::uuid, 'INV-00000' || n, n,
    ('00000000-0000-4000-8000-00000000010' || n)::uuid, ('00000000-0000-4000-8000-00000000000' || n)::uuid,
    'USD', 4.99, 0, 0, 4.99, '{}', '{}', '[]', now()
from generate_series(1, 2) n;

insert into berth.carts (customer_id, currency)
select ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'USD' from generate_series(1, 2) n;

insert into berth.cart_items
    (id, customer_id, line_key, service_id, quantity, price_override, override_currency, override_by,
     override_reason, override_until)
select
    ('00000000-0000-4000-8000-00000000050' || n)::uuid, ('00000000-0000-4000-8000-00000000000' || n)::uuid,
    'secret-line-key', 'shared-monthly', 1, 3.99, 'USD', 'secret-staff', 'secret-reason', now() + interval '1 day'
from generate_series(1, 2) n;

insert into berth.usage_samples (account_id, day, disk_bytes, inodes, at)
select ('00000000-0000-4000-8000-00000000030' || n)::uuid, '2030-01-10', n, n, now() from generate_series(1, 2) n;
