-- A line, or more of the line that has its key. Writes nothing where a bound would be passed.
insert into berth.cart_items
    (id, customer_id, line_key, service_id, quantity, addon_ids, configuration, domain,
     price_override, override_currency, override_by, override_reason, override_until, added_at, updated_at)
select
    $1, $2, $3, $4, $5::int, $6, $7, $8,
    $9, $10::text, $11, $12, $13, berth.now(), berth.now()
where $5::int between 1 and $14::int
  and (select count(*) from berth.cart_items i where i.customer_id = $2 and i.line_key <> $3) < $15::bigint
on conflict (customer_id, line_key) do update
set quantity = cart_items.quantity + excluded.quantity,
    domain = coalesce(cart_items.domain, excluded.domain),
    updated_at = excluded.updated_at
where cart_items.quantity + excluded.quantity <= $14::int
