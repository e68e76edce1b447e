-- The shop: who buys, what was agreed, what was paid, and the accounts that follow from it.
--
-- The unique indexes are what makes double effects impossible: a Stripe event, a session, a payment intent,
-- a unit of an order and a mail each exist once, whoever says so and however often.

create table berth.customers (
    -- The subject of the token that they sign in with. No reference to a table of logins: deleting a login
    -- must never delete money rows.
    id uuid primary key,
    email text not null,
    name text,
    stripe_customer_id text unique,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table berth.orders (
    id uuid primary key,
    customer_id uuid not null references berth.customers (id),
    phase text not null check (phase in
        ('pending', 'awaiting_payment', 'held', 'processing', 'completed', 'failed', 'cancelled')),
    version integer not null default 1,
    currency char(3) not null,
    subtotal numeric not null check (subtotal >= 0),
    discount numeric not null check (discount >= 0),
    tax numeric not null check (tax >= 0),
    total numeric not null check (total >= 0 and total = subtotal - discount + tax),
    stripe_session_id text unique,
    checkout_url text,
    is_renewal boolean not null default false,
    -- The caller's own key for this checkout, and what it asked for: asking again answers the same order.
    idempotency_key text,
    request_hash bytea,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    paid_at timestamptz,
    completed_at timestamptz,
    unique (customer_id, idempotency_key)
);
create index orders_of_customer on berth.orders (customer_id, id desc);

-- One row a unit: two of a service are two rows, each with an account of its own.
create table berth.order_items (
    id uuid primary key,
    order_id uuid not null references berth.orders (id),
    position integer not null check (position >= 0),
    service_id text not null,
    name text not null,
    service_type text not null check (service_type in ('shared', 'vps', 'cloud', 'wordpress')),
    plan_name text not null,
    billing_cycle text not null check (billing_cycle in ('monthly', 'annual')),
    package text not null,
    pool text not null,
    price numeric not null check (price >= 0),
    discount numeric not null check (discount >= 0),
    tax numeric not null check (tax >= 0),
    total numeric not null check (total >= 0 and total = price - discount + tax),
    unique (order_id, position)
);

create table berth.order_history (
    order_id uuid not null references berth.orders (id),
    version integer not null,
    from_phase text,
    to_phase text not null,
    reason text not null,
    job_id uuid,
    at timestamptz not null,
    primary key (order_id, version)
);

create table berth.payments (
    id uuid primary key,
    order_id uuid not null references berth.orders (id),
    state text not null check (state in ('created', 'in_doubt', 'succeeded', 'failed', 'refunded')),
    currency char(3) not null,
    amount numeric not null check (amount > 0),
    stripe_session_id text,
    stripe_payment_intent_id text unique,
    created_at timestamptz not null
);
-- One order is paid once.
create unique index payments_order on berth.payments (order_id) where state = 'succeeded';

create table berth.hosting_accounts (
    id uuid primary key,
    customer_id uuid not null references berth.customers (id),
    order_id uuid not null references berth.orders (id),
    order_item_id uuid not null unique references berth.order_items (id),
    phase text not null check (phase in ('pending', 'provisioning', 'active', 'suspended', 'failed', 'terminated')),
    version integer not null default 1,
    service_id text not null,
    service_name text not null,
    service_type text not null,
    plan_name text not null,
    billing_cycle text not null check (billing_cycle in ('monthly', 'annual')),
    package text not null,
    pool text not null,
    server text,
    username text,
    -- Sealed with a key of `secrets.key`; null once the customer has seen it.
    sealed_password text,
    password_revealed_at timestamptz,
    -- Names tried on the panel before this one.
    username_salt integer not null default 0,
    -- When the creation was first intended: an account older than this on the panel is not ours.
    intended_at timestamptz,
    remote_id text,
    site_url text,
    control_panel_url text,
    nameservers text[] not null default '{}',
    auto_renew boolean not null default true,
    created_at timestamptz not null,
    activated_at timestamptz,
    -- Periods are counted from here, never from the end of the last one.
    billing_anchor timestamptz,
    expires_at timestamptz,
    suspension_reason text,
    failure text,
    unique (server, username),
    check (phase <> 'active' or (username is not null and expires_at is not null))
);
create index hosting_accounts_of_customer on berth.hosting_accounts (customer_id, id desc);
create index hosting_accounts_of_order on berth.hosting_accounts (order_id);

create table berth.account_history (
    account_id uuid not null references berth.hosting_accounts (id),
    version integer not null,
    from_phase text,
    to_phase text not null,
    reason text not null,
    job_id uuid,
    at timestamptz not null,
    primary key (account_id, version)
);

create table berth.mails (
    id uuid primary key,
    dedupe_key text not null unique,
    kind text not null,
    -- The order or account that it is about.
    about uuid not null,
    customer_id uuid not null references berth.customers (id),
    context jsonb not null,
    attempts integer not null default 0,
    attempted_at timestamptz,
    accepted_at timestamptz,
    -- When the mail server said that it will never take it.
    refused_at timestamptz,
    response text,
    created_at timestamptz not null default now()
);
create index mails_about on berth.mails (about);

-- Stripe's events as they came, byte for byte.
create table berth.stripe_events (
    id text primary key,
    type text not null,
    payload bytea not null,
    received_at timestamptz not null default now(),
    -- What became of it: stored alone (no job follows), or the job that acts on it has finished.
    outcome text not null default 'pending' check (outcome in ('pending', 'applied', 'ignored', 'parked')),
    note text
);
create index stripe_events_unsettled on berth.stripe_events (received_at) where outcome in ('pending', 'parked');
