insert into berth.order_items
    (id, order_id, position, service_id, name, service_type, plan_name, billing_cycle, package, pool,
     price, discount, tax, total)
select
    n.id, $1, n.position - 1, n.service_id, n.name, n.service_type, n.plan_name, n.billing_cycle, n.package, n.pool,
    n.price, n.discount, n.tax, n.total
from unnest(
        $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
        $10::numeric[], $11::numeric[], $12::numeric[], $13::numeric[]
    ) with ordinality n (
        id, service_id, name, service_type, plan_name, billing_cycle, package, pool,
        price, discount, tax, total, position
    )
