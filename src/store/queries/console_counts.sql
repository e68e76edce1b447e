-- Orders that are not finished are found by the partial index that says so (`orders_of_change`), which the first condition names.
select
    (select count(*) from (select from berth.alerts where resolved_at is null limit $1) a) as "alerts!",
    (select count(*) from berth.servers where broken_since is not null) as "broken_servers!",
    (select count(*) from (
        select from berth.orders
        where phase in ('pending', 'awaiting_payment', 'held', 'processing') and phase = 'processing'
        limit $1
    ) o) as "undelivered!",
    (select count(*) from (
        select from berth.orders
        where phase in ('pending', 'awaiting_payment', 'held', 'processing') and phase = 'held'
        limit $1
    ) o) as "held!",
    (select count(*) from (select from berth.hosting_accounts where phase = 'failed' limit $1) a) as "failed_accounts!",
    (select count(*) from (select from berth.hosting_accounts where phase = 'suspended' limit $1) a)
        as "suspended_accounts!",
    (select count(*) from (
        select from berth.renewals where settled_at is null and period_start > berth.now() limit $1
    ) r) as "renewals_open!",
    (select count(*) from (
        select from berth.renewals where settled_at is null and period_start <= berth.now() limit $1
    ) r) as "renewals_late!",
    (select count(*) from (
        select from berth.mails
        where accepted_at is null and withdrawn_at is null and emptied_at is null
          and created_at < now() - interval '10 seconds'
        limit $1
    ) m) as "unsent_mails!",
    (select count(*) from (
        select from berth.mails where accepted_at is null and emptied_at is null and refused_at is not null limit $1
    ) m) as "refused_mails!",
    (select count(*) from (
        select from berth.stripe_events
        where outcome in ('pending', 'parked')
          and (outcome = 'parked' or received_at < now() - interval '10 seconds')
        limit $1
    ) e) as "unheard_events!",
    (select count(*) from berth.fuse_plans where confirmed_at is null and planned_at > berth.now() - interval '1 day')
        as "stopped_plans!"
