-- The schedule: which sweeps have begun when, and which pages at Stripe are to be asked about.

-- One row a run that the schedule has asked for. Whoever inserts it enqueues the sweep's job in the same commit, so any
-- number of processes may look at the clock.
create table berth.ticks (
    name text not null,
    -- When the schedule wanted it, which is not always when it was begun.
    due_at timestamptz not null,
    at timestamptz not null,
    primary key (name, due_at)
);
alter table berth.ticks enable row level security;
create policy program on berth.ticks to berth_app using (true) with check (true);
grant select, insert, update, delete on berth.ticks to berth_app;
revoke all on berth.ticks from public, anon, authenticated, service_role;

-- Those that are to be given up. The few rows that wait to be paid, and not the many that were.
create index orders_pending on berth.orders (expires_at, id) where phase = 'pending';

-- When Stripe is asked next how the page stands, should no event say so before.
alter table berth.checkout_sessions
    add column ask_at timestamptz not null default berth.now() + interval '15 minutes';
create index checkout_sessions_to_ask on berth.checkout_sessions (ask_at, order_id) where state = 'open';
