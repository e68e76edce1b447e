-- The last period of an account that is paid for: its last paid renewal's, or else the one that it was bought with. What went
-- back of its order, or was lost in a dispute, was not paid.
select p.from_at as "from_at!: jiff_sqlx::Timestamp", p.until_at as "until_at!: jiff_sqlx::Timestamp",
    p.currency as "currency!: String", p.paid as "paid!"
from (
    select r.period_start as from_at, r.period_end as until_at, o.currency, o.total * s.kept as paid
    from berth.renewals r
    join berth.orders o on o.id = r.order_id
    join berth.hosting_accounts a on a.id = r.account_id
    cross join lateral (select berth.kept_share(o.id) as kept) s
    where r.account_id = $1 and r.phase = 'paid' and r.period_end = a.expires_at
    union all
    select a.activated_at, a.expires_at, o.currency,
        case when i.price > 0 then i.total * (i.price - i.setup_fee) / i.price else 0 end * s.kept
    from berth.hosting_accounts a
    join berth.order_items i on i.id = a.order_item_id
    join berth.orders o on o.id = a.order_id
    cross join lateral (select berth.kept_share(o.id) as kept) s
    where a.id = $1 and a.activated_at is not null
) p
where p.until_at > berth.now()
order by p.from_at desc
limit 1
