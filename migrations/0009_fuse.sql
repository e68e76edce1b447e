-- Plans of sweeps that were about to do far more than usual, until a person has looked at them.

create table berth.fuse_plans (
    id uuid primary key,
    -- What was about to be done to too many.
    what text not null check (what in ('invoices', 'charges', 'suspensions', 'terminations')),
    planned_at timestamptz not null,
    -- How many it would have been in a day, the ones done before included, and of how many accounts.
    count bigint not null check (count > 0),
    of_accounts bigint not null check (of_accounts >= 0),
    confirmed_at timestamptz,
    confirmed_by text,
    check ((confirmed_at is null) = (confirmed_by is null))
);
create index fuse_plans_of on berth.fuse_plans (what, planned_at desc);

create table berth.fuse_plan_rows (
    plan_id uuid not null references berth.fuse_plans (id) on delete cascade,
    account_id uuid not null references berth.hosting_accounts (id),
    currency char(3),
    amount numeric,
    primary key (plan_id, account_id)
);
create index fuse_plan_rows_of_account on berth.fuse_plan_rows (account_id);

do $$
declare
    name text;
begin
    foreach name in array array['fuse_plans', 'fuse_plan_rows'] loop
        execute format('alter table berth.%I enable row level security', name);
        execute format('create policy program on berth.%I to berth_app using (true) with check (true)', name);
        execute format('revoke all on berth.%I from public, anon, authenticated, service_role', name);
        execute format('grant select, insert, update, delete on berth.%I to berth_app', name);
    end loop;
end
$$;
