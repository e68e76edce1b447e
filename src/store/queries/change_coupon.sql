-- Answers whether it could be changed; nothing where there is no such coupon.
with held as materialized (
    select id, $7::int is null or uses <= $7::int as fits
    from berth.coupons
    where id = $1
    for no key update
),
changed as (
    update berth.coupons c
    set discount_type = $2,
        percentage = $3,
        fixed = $4,
        starts_at = $5,
        ends_at = $6,
        max_uses = $7,
        max_uses_per_customer = $8,
        minimum_spend = $9,
        services = $10,
        cycles = $11,
        active = $12,
        updated_at = berth.now()
    from held
    where c.id = held.id and held.fits
)
select fits as "fits!" from held
