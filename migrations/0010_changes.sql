-- Changes of plan, what Stripe has told and what was found by asking it, mails to the shop itself, and how long contents are
-- kept.

-- An order that pays for a change of what an account is.
alter table berth.orders
    add column changes_account_id uuid references berth.hosting_accounts (id),
    add check (changes_account_id is null or not is_renewal);
-- One change of an account is paid for at a time.
create unique index orders_of_change on berth.orders (changes_account_id)
    where phase in ('pending', 'awaiting_payment', 'held', 'processing');

-- What was agreed of a change, and what became of it. The agreement is written once; what was paid for a period is counted
-- from these rows, the orders and the refunds, and stands nowhere else.
create table berth.plan_changes (
    id uuid primary key,
    account_id uuid not null references berth.hosting_accounts (id),
    customer_id uuid not null references berth.customers (id),
    -- What pays for it; null where nothing is to be paid.
    order_id uuid unique references berth.orders (id),
    agreed_at timestamptz not null,
    -- What the account was, and is to become.
    from_service_id text not null,
    service_id text not null,
    service_name text not null,
    plan_name text not null,
    package text not null,
    configuration jsonb not null check (jsonb_typeof(configuration) = 'object'),
    addons jsonb not null check (jsonb_typeof(addons) = 'array'),
    -- What renewals cost from then on, before discount and tax; null is what the catalogue says by then.
    renewal_price numeric check (renewal_price >= 0),
    -- What is left of the period, what its days cost from then on, and what they were worth.
    period_from timestamptz not null,
    period_until timestamptz not null check (period_until > period_from),
    currency char(3) not null,
    cost numeric not null check (cost >= 0),
    worth numeric not null check (worth >= 0),
    -- When its panel was first asked.
    begun_at timestamptz,
    -- Void is what was paid and overtaken by another change, a renewal or an end. What was never paid has none: its order
    -- says so.
    outcome text check (outcome in ('made', 'refused', 'void')),
    settled_at timestamptz,
    why text,
    check ((outcome is null) = (settled_at is null))
);
-- One that costs nothing is made at a time.
create unique index plan_changes_free on berth.plan_changes (account_id) where order_id is null and outcome is null;
create index plan_changes_of_account on berth.plan_changes (account_id, settled_at desc);
alter table berth.plan_changes enable row level security;
create policy program on berth.plan_changes to berth_app using (true) with check (true);
revoke all on berth.plan_changes from public, anon, authenticated, service_role;
grant select, insert, update on berth.plan_changes to berth_app;

-- Money that came too late for what it was for: it is the customer's credit.
alter table berth.payments
    drop constraint payments_state_check,
    add constraint payments_state_check
        check (state in ('created', 'in_doubt', 'succeeded', 'failed', 'surplus', 'refunded', 'credited'));

alter table berth.stripe_events
    -- When it was found in Stripe's list, because it had not come by the webhook.
    add column found_at timestamptz,
    -- When its body was forgotten.
    add column emptied_at timestamptz;
create index stripe_events_that_came on berth.stripe_events (received_at) where found_at is null;
create index stripe_events_full on berth.stripe_events (received_at) where emptied_at is null;

-- Until when Stripe's events are known whole.
create table berth.reconciliation (
    only_row boolean primary key default true check (only_row),
    events_known_until timestamptz not null
);
alter table berth.reconciliation enable row level security;
create policy program on berth.reconciliation to berth_app using (true) with check (true);
revoke all on berth.reconciliation from public, anon, authenticated, service_role;
grant select, insert, update on berth.reconciliation to berth_app;

-- A mail goes to a customer, at the address that they have by then, or to the shop itself.
alter table berth.mails
    alter column customer_id drop not null,
    alter column about drop not null,
    add column recipient text,
    add check (num_nonnulls(customer_id, recipient) = 1),
    -- When what it said was forgotten.
    add column emptied_at timestamptz,
    -- When it was taken back, and why: what it says was no longer true when it could have been sent.
    add column withdrawn_at timestamptz,
    add column withdrawn_because text,
    add check (num_nonnulls(withdrawn_at, withdrawn_because) in (0, 2));
create index mails_full on berth.mails (accepted_at) where emptied_at is null;
create index mails_withdrawn on berth.mails (withdrawn_at) where withdrawn_at is not null and emptied_at is null;

-- A mail that goes to many at once may have to wait for its place in the queue (`mail.max_per_minute`).
alter table berth.mails add column turn_at timestamptz;
-- When the next mail may go, and where that queue ends. One row, which all processes share.
create table berth.mail_pace (
    only_row boolean primary key default true check (only_row),
    free_at timestamptz not null default '2000-01-01Z',
    tail_at timestamptz not null default '2000-01-01Z'
);
insert into berth.mail_pace default values;
alter table berth.mail_pace enable row level security;
create policy program on berth.mail_pace to berth_app using (true) with check (true);
revoke all on berth.mail_pace from public, anon, authenticated, service_role;
grant select, update on berth.mail_pace to berth_app;
