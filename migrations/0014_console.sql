-- The operators' console: who is signed in to it, and how its first page finds renewals that are to be paid.

-- By real time: a session is a person's, and people do not travel with Berth's clock.
create table berth.console_sessions (
    -- SHA-256 of what the browser's cookie holds: who reads the table can sign in as nobody.
    hash bytea primary key check (octet_length(hash) = 32),
    -- The subject of the token that it was opened with, and how to name them.
    staff_id uuid not null,
    staff_name text not null,
    opened_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
);
create index console_sessions_opened on berth.console_sessions (opened_at);

-- How whoever has ever signed in to the console is called: the audit log has their ids, and is to say who they are.
create table berth.console_staff (
    id uuid primary key,
    name text not null
);

-- The right to open a session once, for a minute: what `berth console` prints.
create table berth.console_tickets (
    hash bytea primary key check (octet_length(hash) = 32),
    staff_id uuid not null,
    staff_name text not null,
    expires_at timestamptz not null
);

-- A browser that was sent to the provider to sign in there, and may come back once.
create table berth.console_sign_ins (
    -- SHA-256 of what its cookie holds, which state, nonce and PKCE's verifier are drawn from.
    hash bytea primary key check (octet_length(hash) = 32),
    -- The page of the console that it wanted.
    next text check (length(next) <= 2000),
    expires_at timestamptz not null
);
create index console_sign_ins_expired on berth.console_sign_ins (expires_at);

do $$
declare
    name text;
begin
    foreach name in array array['console_sessions', 'console_staff', 'console_tickets', 'console_sign_ins'] loop
        execute format('alter table berth.%I enable row level security', name);
        execute format('create policy program on berth.%I to berth_app using (true) with check (true)', name);
        execute format('revoke all on berth.%I from public, anon, authenticated, service_role', name);
        execute format('grant select, insert, update, delete on berth.%I to berth_app', name);
    end loop;
end
$$;
-- Who has done something stays known.
revoke delete on berth.console_staff from berth_app;

-- Cards that were declined, of which little else is told: the newest say why orders of today are not paid.
create index stripe_events_declined on berth.stripe_events (received_at) where type = 'payment_intent.payment_failed';

-- The few renewals that are not settled, among all that ever were: counted on the first page and listed by when they are
-- due, which would read the whole table.
create index renewals_unsettled on berth.renewals (period_start, order_id) where settled_at is null;
