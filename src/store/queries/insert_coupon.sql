insert into berth.coupons
    (id, code, discount_type, percentage, fixed, starts_at, ends_at, max_uses, max_uses_per_customer,
     minimum_spend, services, cycles, active, created_by, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, berth.now(), berth.now())
on conflict do nothing
