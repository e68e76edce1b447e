with made as (
    insert into berth.orders
        (id, customer_id, phase, currency, subtotal, discount, tax, total, created_at, expires_at,
         idempotency_key, request_hash, coupon_id, coupon_code, cart_version, customer_snapshot, tax_note, client_ip,
         changes_account_id, credit)
    select
        $1, c.id, 'pending', $3::text, $4, $5, $6, $7, $8, $9,
        $10, $11, $12, $13, $14, $15, $16, $17::text::inet,
        $18, coalesce($19::numeric, 0)
    from berth.customers c
    where c.id = $2 and c.deleted_at is null
    on conflict do nothing
    returning id, version, created_at
)
insert into berth.order_history (order_id, version, from_phase, to_phase, reason, actor, at)
select id, version, null, 'pending', 'agreed', 'customer', created_at
from made
