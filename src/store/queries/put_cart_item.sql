-- The line as it should be from now on. Writes nothing where another line has its key.
update berth.cart_items i
set line_key = $3,
    service_id = $4,
    quantity = $5,
    addon_ids = $6,
    configuration = $7,
    domain = $8,
    price_override = $9,
    override_currency = $10,
    override_by = $11,
    override_reason = $12,
    override_until = $13,
    updated_at = berth.now()
where i.id = $1
  and i.customer_id = $2
  and not exists (
      select from berth.cart_items o where o.customer_id = $2 and o.line_key = $3 and o.id <> $1
  )
