insert into berth.order_items
    (id, order_id, position, service_id, name, service_type, plan_name, billing_cycle, package, pool,
     price, discount, tax, total, setup_fee, tax_rate, tax_category, configuration, addons, domain,
     trial_days, renewal_price)
select
    n.id, $1, n.position - 1, n.service_id, n.name, n.service_type, n.plan_name, n.billing_cycle, n.package, n.pool,
    n.price, n.discount, n.tax, n.total, n.setup_fee, n.tax_rate, n.tax_category,
    coalesce(nullif(n.configuration, 'null'), '{}'), coalesce(nullif(n.addons, 'null'), '[]'), n.domain,
    n.trial_days, n.renewal_price
from unnest(
        $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
        $10::numeric[], $11::numeric[], $12::numeric[], $13::numeric[], $14::numeric[], $15::numeric[], $16::text[],
        $17::jsonb[], $18::jsonb[], $19::text[], $20::int[], $21::numeric[]
    ) with ordinality n (
        id, service_id, name, service_type, plan_name, billing_cycle, package, pool,
        price, discount, tax, total, setup_fee, tax_rate, tax_category,
        configuration, addons, domain, trial_days, renewal_price, position
    )
