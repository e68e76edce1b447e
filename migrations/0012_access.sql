-- Who gets into an account, and what it uses: a new password at its customer's wish, and samples of usage.

alter table berth.hosting_accounts
    -- Since when its customer waits for a new password. What is sealed meanwhile is not in force yet, and shown to nobody.
    add column password_asked_at timestamptz,
    -- When its panel took a new one; null while it has its first.
    add column password_set_at timestamptz;
-- Few rows: what is sealed is shown once, or forgotten after some days.
create index hosting_accounts_sealed on berth.hosting_accounts (id) where sealed_password is not null;

-- What accounts use, by their panels: the latest look of each day (in UTC).
create table berth.usage_samples (
    account_id uuid not null references berth.hosting_accounts (id),
    day date not null,
    disk_bytes bigint not null check (disk_bytes >= 0),
    -- Files and directories; null where the panel does not count them.
    inodes bigint check (inodes >= 0),
    -- Sent in this calendar month until then; null where the panel does not count it.
    traffic_bytes bigint check (traffic_bytes >= 0),
    at timestamptz not null,
    primary key (account_id, day)
);
create index usage_samples_by_day on berth.usage_samples (day);
alter table berth.usage_samples enable row level security;
create policy program on berth.usage_samples to berth_app using (true) with check (true);
create policy own on berth.usage_samples for select to authenticated using (
    exists (
        select from berth.hosting_accounts a
        where a.id = usage_samples.account_id and a.customer_id = (select auth.uid())
    )
);
revoke all on berth.usage_samples from public, anon, authenticated, service_role;
grant select, insert, update, delete on berth.usage_samples to berth_app;
grant select (account_id, day, disk_bytes, inodes, traffic_bytes, at) on berth.usage_samples to authenticated;

create view berth_api.my_usage with (security_invoker = true) as
select
    berth.show_id('acc_', u.account_id) as hosting_account_id,
    a.customer_id as user_id,
    u.day,
    u.disk_bytes,
    u.inodes,
    u.traffic_bytes,
    u.at
from berth.usage_samples u
join berth.hosting_accounts a on a.id = u.account_id
where a.customer_id = (select auth.uid());
revoke all on berth_api.my_usage from public, anon, authenticated, service_role;
grant select on berth_api.my_usage to authenticated;
