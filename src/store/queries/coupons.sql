select
    c.id, c.code, c.discount_type, c.percentage, c.fixed, c.starts_at, c.ends_at, c.max_uses, c.max_uses_per_customer,
    c.minimum_spend, c.services, c.cycles, c.active, c.uses, c.created_by, c.created_at, c.updated_at,
    0::bigint as "uses_by_customer!", 0::bigint as "reserved_by_customer!"
from berth.coupons c
where $1::uuid is null or c.id < $1
order by c.id desc
limit $2
