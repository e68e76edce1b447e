-- Orders of one shared hosting each that wait to be paid, under the ids that `checkout_event.rs` knows.
with n as (
    select n, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid as id
    from generate_series(0, $1::bigint - 1) n
),
customers as (
    insert into berth.customers (id, email, name)
    select id, 'customer' || lpad(n::text, 12, '0') || '@customer.test', 'Erika Mustermann'
    from n
    returning id
),
orders as (
    insert into berth.orders
        (id, customer_id, phase, currency, subtotal, discount, tax, total, stripe_session_id, created_at, expires_at)
    select
        id, id, 'pending', 'USD', 4.99, 0, 0, 4.99,
        'cs_test_a1Xv7PqN0sYk3mW8eRtUoZb2LhJdFcGi5VnT4' || lpad(n::text, 12, '0'),
        now(), now() + interval '1 day'
    from n
    returning id
),
history as (
    insert into berth.order_history (order_id, version, from_phase, to_phase, reason, at)
    select id, 1, null, 'pending', 'agreed', now()
    from n
)
insert into berth.order_items
    (id, order_id, position, service_id, name, service_type, plan_name, billing_cycle, package, pool,
     price, discount, tax, total)
select
    id, id, 0, 'shared-monthly', 'Shared Hosting', 'shared', 'Starter', 'monthly', 'starter', 'shared',
    4.99, 0, 0, 4.99
from n
