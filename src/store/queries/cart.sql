-- One statement, so that the lines are those of the version.
select
    c.version, c.currency as "currency!: String", c.coupon_code, c.updated_at,
    i.id as "id?", i.line_key as "line_key?", i.service_id as "service_id?", i.quantity as "quantity?",
    i.addon_ids as "addon_ids?", i.configuration as "configuration?", i.domain, i.price_override,
    i.override_currency as "override_currency: String", i.override_by, i.override_reason, i.override_until,
    i.added_at as "added_at?", i.updated_at as "line_updated_at?"
from berth.carts c
left join berth.cart_items i on i.customer_id = c.customer_id
where c.customer_id = $1
order by i.added_at desc, i.id desc
