-- What was done since then, but for what a person has confirmed: that was looked at.
with confirmed as materialized (
    select p.what, r.account_id
    from berth.fuse_plans p
    join berth.fuse_plan_rows r on r.plan_id = p.id
    where p.confirmed_at > $1
)
select
    (
        select count(*) from berth.renewals r
        where r.issued_at > $1
          and not exists (select from confirmed c where c.what = 'invoices' and c.account_id = r.account_id)
    ) as "invoices!",
    (
        select count(*) from berth.charges h
        join berth.renewals r on r.order_id = h.order_id
        where h.sent_at > $1
          and not exists (select from confirmed c where c.what = 'charges' and c.account_id = r.account_id)
    ) as "charges!",
    (
        select count(*) from berth.account_history h
        where h.at > $1 and h.to_phase = 'suspending' and h.from_phase <> h.to_phase
          and not exists (select from confirmed c where c.what = 'suspensions' and c.account_id = h.account_id)
    ) as "suspensions!",
    (
        select count(*) from berth.account_history h
        where h.at > $1 and h.to_phase = 'terminating' and h.from_phase <> h.to_phase
          and not exists (select from confirmed c where c.what = 'terminations' and c.account_id = h.account_id)
    ) as "terminations!"
