-- The last period of an account that is paid for: what its last change has left of it, its last paid renewal's, or else the
-- one that it was bought with. Nothing of it is stored twice, so that nothing can drift. What went back of an order was not paid.
with orders as (
    -- The account's share of its first order is its item's.
    select o.id, case when o.total > 0 then i.total / o.total else 1 end as share
    from berth.hosting_accounts a
    join berth.order_items i on i.id = a.order_item_id
    join berth.orders o on o.id = a.order_id
    where a.id = $1
    union all
    select r.order_id, 1 from berth.renewals r where r.account_id = $1
    union all
    select c.order_id, 1 from berth.plan_changes c where c.account_id = $1 and c.order_id is not null
),
went_back as (
    select r.requested_at as at, r.amount * o.share as amount
    from orders o
    join berth.refunds r on r.order_id = o.id
    join berth.payments p on p.id = r.payment_id
    where r.state not in ('failed', 'cancelled') and p.state = 'succeeded'
    union all
    select d.opened_at, d.amount * o.share
    from orders o
    join berth.disputes d on d.order_id = o.id
    where d.status = 'lost'
)
select p.from_at as "from_at!: jiff_sqlx::Timestamp", p.until_at as "until_at!: jiff_sqlx::Timestamp",
    p.currency as "currency!: String", p.paid as "paid!"
from (
    select c.period_from as from_at, c.period_until as until_at, c.currency,
        -- What had gone back before was not counted when it was agreed.
        greatest(0, c.cost - coalesce((select sum(w.amount) from went_back w where w.at >= c.agreed_at), 0)) as paid,
        c.settled_at as at
    from berth.plan_changes c
    join berth.hosting_accounts a on a.id = c.account_id
    where c.account_id = $1 and c.outcome = 'made' and c.period_until = a.expires_at
    union all
    select r.period_start, r.period_end, o.currency, o.total * berth.kept_share(o.id), '-infinity'
    from berth.renewals r
    join berth.orders o on o.id = r.order_id
    join berth.hosting_accounts a on a.id = r.account_id
    where r.account_id = $1 and r.phase = 'paid' and r.period_end = a.expires_at
    union all
    select a.activated_at, a.expires_at, o.currency,
        case when i.price > 0 then i.total * (i.price - i.setup_fee) / i.price else 0 end * berth.kept_share(o.id),
        '-infinity'
    from berth.hosting_accounts a
    join berth.order_items i on i.id = a.order_item_id
    join berth.orders o on o.id = a.order_id
    where a.id = $1 and a.activated_at is not null
) p
where p.until_at > berth.now()
order by p.at desc, p.from_at desc
limit 1
