with made as (
    insert into berth.orders
        (id, customer_id, phase, currency, subtotal, discount, tax, total, created_at, expires_at,
         idempotency_key, request_hash)
    values ($1, $2, 'pending', $3, $4, $5, $6, $7, $8, $9, $10, $11)
    on conflict do nothing
    returning id, version, created_at
)
insert into berth.order_history (order_id, version, from_phase, to_phase, reason, at)
select id, version, null, 'pending', 'agreed', created_at
from made
