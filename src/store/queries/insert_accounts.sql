-- The account takes its unit's domain unless a live account has it. The order is paid: it cannot be refused for that,
-- so the account is made without, and the answer tells.
with wanted as materialized (
    select
        n.id, n.created_at, n.job_id, i.id as item_id, o.id as order_id, o.customer_id, i.domain,
        row_number() over (partition by lower(i.domain) order by i.id) = 1
            and not exists (
                select
                from berth.hosting_accounts a
                where lower(a.domain) = lower(i.domain) and a.domain is not null and a.phase <> 'terminated'
            ) as is_free
    from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::uuid[]) n (id, item_id, created_at, job_id)
    join berth.order_items i on i.id = n.item_id
    join berth.orders o on o.id = i.order_id
),
made as (
    insert into berth.hosting_accounts
        (id, customer_id, order_id, order_item_id, phase, service_id, service_name, service_type, plan_name,
         billing_cycle, package, pool, domain, configuration, addons, renewal_price, created_at)
    select
        w.id, w.customer_id, w.order_id, w.item_id, 'pending', i.service_id, i.name, i.service_type, i.plan_name,
        i.billing_cycle, i.package, i.pool, case when w.is_free then w.domain end, i.configuration, i.addons,
        i.renewal_price, w.created_at
    from wanted w
    join berth.order_items i on i.id = w.item_id
    order by i.id
    on conflict (order_item_id) do nothing
    returning id, version, created_at
),
told as (
    insert into berth.account_history (account_id, version, from_phase, to_phase, reason, job_id, at)
    select made.id, made.version, null, 'pending', 'order paid', w.job_id, made.created_at
    from made
    join wanted w on w.id = made.id
)
select made.id, case when not w.is_free then w.domain end as taken_domain
from made
join wanted w on w.id = made.id
