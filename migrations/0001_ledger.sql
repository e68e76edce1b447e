-- The ledger: jobs, the processes that run them, and the clock that says when they are due.

create schema if not exists berth;

-- Berth's time is the database's clock plus this offset. Only the owner of the schema may set it, and only
-- development and tests do (the time machine).
create table berth.clock (
    only_row boolean primary key default true check (only_row),
    clock_offset interval not null default '0'
);
insert into berth.clock default values;

create function berth.now() returns timestamptz
language sql stable
as $$ select now() + clock_offset from berth.clock $$;

-- An id as the API and the command line show it: a prefix and the UUID in Crockford's base32.
create function berth.show_id(prefix text, id uuid) returns text
language sql immutable strict parallel safe
as $$
    select prefix || string_agg(
        substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + substring(b.bits from n * 5 + 1 for 5)::bit(5)::int, 1),
        '' order by n
    )
    from (select B'00' || ('x' || replace(id::text, '-', ''))::bit(128) as bits) b, generate_series(0, 25) n
$$;

create table berth.jobs (
    id uuid primary key,
    kind text not null,
    queue text not null,
    class smallint not null check (class between 0 and 2),
    state text not null default 'queued' check (state in ('queued', 'running', 'done', 'cancelled', 'dead')),
    attempt integer not null default 0,
    -- Starts that ended neither well nor badly, because the process died: see "poison" in ARCHITECTURE.md.
    unsettled integer not null default 0,
    payload jsonb not null,
    once_key text,
    coalesce_key text,
    serial text,
    run_at timestamptz not null,
    -- When its id was last given to Redis; null: the relay owes it.
    dispatched_at timestamptz,
    snooze_deadline timestamptz,
    claim_id uuid,
    worker uuid,
    last_error text,
    caused_by uuid,
    traceparent text,
    created_at timestamptz not null default now(),
    finished_at timestamptz
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.1);

create unique index jobs_once_key on berth.jobs (once_key) where once_key is not null;
create unique index jobs_coalesce_key on berth.jobs (coalesce_key) where state = 'queued' and coalesce_key is not null;
create unique index jobs_serial_running on berth.jobs (serial) where state = 'running' and serial is not null;
create index jobs_serial_queued on berth.jobs (serial) where state = 'queued' and serial is not null;
create index jobs_undispatched on berth.jobs (queue, run_at, id) where state = 'queued' and dispatched_at is null;
create index jobs_dispatched on berth.jobs (id) where state = 'queued' and dispatched_at is not null;
create index jobs_running on berth.jobs (worker) where state = 'running';
create index jobs_dead on berth.jobs (id) where state = 'dead';

-- One row a process. A process that stops renewing its lease is dead: its jobs are queued again.
create table berth.workers (
    id uuid primary key,
    name text not null,
    started_at timestamptz not null default now(),
    lease_until timestamptz not null
);

-- What Redis must say to be the Redis that was filled last; anything else means that it was emptied or replaced.
create table berth.redis_epoch (
    only_row boolean primary key default true check (only_row),
    epoch uuid,
    run_id text
);
insert into berth.redis_epoch default values;

-- What a person has to look at. The same trouble is told once, until it is resolved.
create table berth.alerts (
    id uuid primary key,
    kind text not null,
    subject text not null,
    detail text not null,
    created_at timestamptz not null default now(),
    resolved_at timestamptz
);
create unique index alerts_open on berth.alerts (kind, subject) where resolved_at is null;
