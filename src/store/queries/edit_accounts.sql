with c as materialized (
    select berth.now() as now
),
n as materialized (
    select *
    from unnest(
        $1::uuid[], $2::int[], $3::text[], $4::uuid[], $5::bool[], $6::bool[], $7::bool[], $8::jsonb[],
        $9::timestamptz[], $10::bool[], $11::timestamptz[], $12::text[], $13::timestamptz[], $14::text[]
    ) n (
        id, version, reason, job_id, auto_renew, exempt, kept, timetable, spared_until, backup_waived, purged_at,
        password_step, password_at, sealed_password
    )
),
held as materialized (
    select id
    from berth.hosting_accounts
    where id = any ($1::uuid[])
    order by id
    for no key update
),
edited as (
    update berth.hosting_accounts a
    set version = a.version + 1,
        auto_renew = coalesce(n.auto_renew, a.auto_renew),
        exempt = coalesce(n.exempt, a.exempt),
        kept = coalesce(n.kept, a.kept),
        timetable = coalesce(n.timetable, a.timetable),
        spared_until = coalesce(n.spared_until, a.spared_until),
        backup_waived = coalesce(n.backup_waived, a.backup_waived),
        purged_at = coalesce(a.purged_at, n.purged_at),
        backup_reference = case when n.purged_at is null then a.backup_reference end,
        sealed_password = case
            when n.purged_at is not null or n.password_step in ('asked', 'dropped') then null
            when n.password_step = 'sealed' then n.sealed_password
            else a.sealed_password
        end,
        password_asked_at = case
            when n.purged_at is not null or n.password_step in ('set', 'dropped') then null
            when n.password_step = 'asked' then n.password_at
            else a.password_asked_at
        end,
        password_set_at = case when n.password_step = 'set' then n.password_at else a.password_set_at end,
        password_revealed_at = case when n.password_step = 'asked' then null else a.password_revealed_at end
    from n, held
    where a.id = n.id and held.id = a.id and a.version = n.version
      and (n.password_step is null or n.password_step = 'asked' or a.password_asked_at is not null)
      and (n.password_step is distinct from 'set' or a.sealed_password is not null)
    returning a.id, a.version, a.phase
)
insert into berth.account_history (account_id, version, from_phase, to_phase, reason, job_id, at)
select edited.id, edited.version, edited.phase, edited.phase, n.reason, n.job_id, c.now
from c, edited
join n on n.id = edited.id
returning account_id
