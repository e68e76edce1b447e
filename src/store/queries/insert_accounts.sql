with made as (
    insert into berth.hosting_accounts
        (id, customer_id, order_id, order_item_id, phase, service_id, service_name, service_type, plan_name,
         billing_cycle, package, pool, created_at)
    select
        n.id, o.customer_id, o.id, i.id, 'pending', i.service_id, i.name, i.service_type, i.plan_name,
        i.billing_cycle, i.package, i.pool, n.created_at
    from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) n (id, item_id, created_at)
    join berth.order_items i on i.id = n.item_id
    join berth.orders o on o.id = i.order_id
    order by i.id
    on conflict (order_item_id) do nothing
    returning id, version, created_at
)
insert into berth.account_history (account_id, version, from_phase, to_phase, reason, job_id, at)
select made.id, made.version, null, 'pending', 'order paid', n.job_id, made.created_at
from made
join unnest($1::uuid[], $4::uuid[]) n (id, job_id) on n.id = made.id
returning account_id
