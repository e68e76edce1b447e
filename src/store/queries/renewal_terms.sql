-- What the next period of accounts is priced by.
select
    a.id, o.currency as "currency!: String", a.configuration, a.addons, a.service_type, a.plan_name, a.package, a.pool,
    coalesce(a.renewal_price, i.renewal_price) as renewal_price, i.tax_category,
    o.coupon_id, o.coupon_code,
    (
        select count(*)
        from berth.renewals r
        where r.account_id = a.id and r.phase not in ('void', 'abandoned', 'returned')
    ) as "renewals!",
    c.company, c.country as "country: String", c.address, c.vat_id
from berth.hosting_accounts a
join berth.order_items i on i.id = a.order_item_id
join berth.orders o on o.id = a.order_id
join berth.customers c on c.id = a.customer_id
where a.id = any ($1)
