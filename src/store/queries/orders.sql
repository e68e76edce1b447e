select
    o.id, o.customer_id, c.email, c.name as customer_name, o.phase, o.version, o.currency as "currency!: String",
    o.subtotal, o.discount, o.tax, o.total, o.stripe_session_id, o.checkout_url, o.is_renewal,
    o.credit, o.renewal_of_hosting_id, o.changes_account_id, o.coupon_id, o.coupon_code, o.cart_version, o.customer_snapshot, o.tax_note, o.session_version,
    o.hold_reason, o.failure, host(o.client_ip) as client_ip, o.created_at, o.expires_at, o.paid_at, o.completed_at
from berth.orders o
join berth.customers c on c.id = o.customer_id
where o.id = any ($1)
