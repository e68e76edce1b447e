-- Servers: what accounts are placed on. The configuration says what each is; these rows say how it fares.

create table berth.servers (
    name text primary key,
    driver text not null,
    -- Null takes accounts of every pool.
    pools text[],
    -- How many accounts it may hold; null: any number.
    capacity integer check (capacity >= 0),
    weight integer not null check (weight > 0),
    state text not null check (state in ('active', 'draining', 'disabled')),
    -- How many jobs may talk to it at once; null: any number.
    at_once integer check (at_once > 0),
    -- When a worker last started with it in its configuration.
    configured_at timestamptz not null,
    -- Since when an operator wants no new accounts on it, whatever the configuration says.
    drained_at timestamptz,
    -- No new accounts until then: it has said itself that it is full.
    full_until timestamptz,
    -- The breaker. Failures within a minute of the first of them count.
    failures integer not null default 0 check (failures >= 0),
    failing_since timestamptz,
    last_failure text,
    -- Since when it is left alone but for probes.
    broken_since timestamptz,
    check ((failures > 0) = (failing_since is not null))
);
alter table berth.servers enable row level security;
create policy program on berth.servers to berth_app using (true) with check (true);
revoke all on berth.servers from public, anon, authenticated, service_role;
grant select, insert, update on berth.servers to berth_app;

-- A place among those that talk to a server at once. It is free when its job's run has ended: a run that died holds nothing.
create table berth.server_slots (
    server text not null references berth.servers (name),
    slot integer not null check (slot > 0),
    job_id uuid,
    claim_id uuid,
    taken_at timestamptz,
    primary key (server, slot)
);
alter table berth.server_slots enable row level security;
create policy program on berth.server_slots to berth_app using (true) with check (true);
revoke all on berth.server_slots from public, anon, authenticated, service_role;
grant select, insert, update on berth.server_slots to berth_app;

-- How many a server holds.
create index hosting_accounts_on_server on berth.hosting_accounts (server) where phase <> 'terminated';
