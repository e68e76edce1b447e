-- An account's whole life: its renewals and their charges, what its customer was told, credit, and when its timetable is
-- looked at next.

alter table berth.hosting_accounts
    -- Why it is suspended or is to be, the lightest first; `suspension_reason` is the heaviest, which customers are shown.
    add column suspension_reasons text[] not null default '{}',
    -- That it ends as soon as it can, and how.
    add column ending text check (ending in ('cancelled', 'lapsed', 'staff')),
    -- When it ends by its customer's wish, who may take it back until then.
    add column cancel_at timestamptz,
    add column suspended_at timestamptz,
    add column terminated_at timestamptz,
    -- The backup made before its end, by the panel's reference.
    add column backup_reference text,
    -- Staff lets it be removed without one.
    add column backup_waived boolean not null default false,
    -- When its backup and its secrets were deleted.
    add column purged_at timestamptz,
    -- What it is to become by a change that is under way.
    add column intended_service_id text,
    add column intended_package text,
    -- What a renewal costs, before discount and tax; null is what the catalogue says by then.
    add column renewal_price numeric check (renewal_price >= 0),
    -- What its timetable has otherwise than its plan's.
    add column timetable jsonb not null default '{}' check (jsonb_typeof(timetable) = 'object'),
    -- Never suspended, nor removed, for non-payment.
    add column exempt boolean not null default false,
    -- Not suspended for non-payment before that: staff has given more time.
    add column spared_until timestamptz,
    -- Kept from being removed.
    add column kept boolean not null default false,
    add check ((intended_service_id is null) = (intended_package is null));

-- When an account's timetable is looked at next. A table of its own: it changes far more often than the account, and
-- accounts have many indexes.
create table berth.agenda (
    account_id uuid primary key references berth.hosting_accounts (id),
    look_at timestamptz not null,
    -- Raised by everything that may make another step due: who looked before it does not put the account off.
    turn bigint not null default 1
) with (fillfactor = 70);
create index agenda_due on berth.agenda (look_at, account_id);
insert into berth.agenda (account_id, look_at)
select id, berth.now() from berth.hosting_accounts where activated_at is not null;

alter table berth.orders
    -- How much of the total was paid from the customer's credit.
    add column credit numeric not null default 0 check (credit >= 0 and credit <= total);

-- One period of one account, from its invoice to its payment or its end.
create table berth.renewals (
    order_id uuid primary key references berth.orders (id),
    account_id uuid not null references berth.hosting_accounts (id),
    customer_id uuid not null references berth.customers (id),
    period_start timestamptz not null,
    period_end timestamptz not null check (period_end > period_start),
    phase text not null check (phase in
        ('invoiced', 'charging', 'in_doubt', 'awaiting_customer', 'past_due', 'paid', 'void', 'abandoned', 'returned')),
    version integer not null default 1,
    -- Charges that were begun.
    attempts integer not null default 0 check (attempts >= 0),
    -- It ends with the charge that is under way.
    called_off boolean not null default false,
    -- All attempts confirm this one, which can succeed once.
    stripe_payment_intent_id text unique,
    -- The mail with the invoice: nobody is suspended who has not got it.
    invoice_mail_id uuid not null,
    issued_at timestamptz not null,
    settled_at timestamptz
);
-- A period is renewed once; a renewal that was called off makes room for another.
create unique index renewals_of_period on berth.renewals (account_id, period_start)
    where phase not in ('void', 'abandoned', 'returned');
-- What became of a period, whatever that was.
create index renewals_of_account on berth.renewals (account_id, period_start);
create index renewals_issued on berth.renewals (issued_at);

create table berth.renewal_history (
    order_id uuid not null references berth.renewals (order_id),
    version integer not null,
    from_phase text,
    to_phase text not null,
    reason text not null,
    job_id uuid,
    at timestamptz not null,
    primary key (order_id, version)
);

-- Attempts to charge a saved card: written before anything is sent, so that what was sent is known whatever happens.
create table berth.charges (
    id uuid primary key,
    order_id uuid not null references berth.renewals (order_id),
    attempt integer not null check (attempt >= 1),
    -- Stripe's id of the card.
    card_id text not null,
    state text not null check (state in ('sent', 'in_doubt', 'succeeded', 'declined', 'needs_customer', 'not_made')),
    currency char(3) not null,
    amount numeric not null check (amount > 0),
    stripe_payment_intent_id text,
    -- Why it was declined, in Stripe's words and in ours.
    code text,
    decline_code text,
    advice_code text,
    decline_class text check (decline_class in ('hard', 'soft', 'needs_customer')),
    sent_at timestamptz not null,
    answered_at timestamptz,
    -- How often Stripe was asked what became of it.
    lookups integer not null default 0,
    unique (order_id, attempt),
    check ((decline_class is not null) = (state in ('declined', 'needs_customer'))),
    check ((answered_at is null) = (state in ('sent', 'in_doubt')))
);
-- While one charge may be under way there is no second one, and money comes once.
create unique index charges_under_way on berth.charges (order_id) where state in ('sent', 'in_doubt');
create unique index charges_succeeded on berth.charges (order_id) where state = 'succeeded';
create index charges_sent on berth.charges (sent_at);

-- The cards that customers have saved at Stripe, as Stripe says. One of a customer's is charged.
create table berth.cards (
    -- Stripe's.
    id text primary key,
    customer_id uuid not null references berth.customers (id),
    brand text,
    last4 text,
    exp_month smallint check (exp_month between 1 and 12),
    exp_year smallint,
    -- The end of its last month, in UTC.
    expires_at timestamptz not null,
    saved_at timestamptz not null,
    -- Since when it is the one to charge; null where another one is.
    default_since timestamptz,
    -- Removed at Stripe, or by its customer.
    removed_at timestamptz,
    check (default_since is null or removed_at is null)
);
create unique index cards_default on berth.cards (customer_id) where default_since is not null;
create index cards_of_customer on berth.cards (customer_id);
create index cards_expiring on berth.cards (expires_at) where default_since is not null;

-- Payments that their customers' banks want back.
create table berth.disputes (
    -- Stripe's.
    id text primary key,
    payment_id uuid not null references berth.payments (id),
    order_id uuid not null references berth.orders (id),
    customer_id uuid not null references berth.customers (id),
    -- Stripe's word: needs_response, under_review, won, lost, warning_…
    status text not null,
    reason text,
    currency char(3) not null,
    amount numeric not null check (amount >= 0),
    opened_at timestamptz not null,
    -- When it was decided.
    closed_at timestamptz
);
create index disputes_open on berth.disputes (customer_id) where closed_at is null;
create index disputes_of_payment on berth.disputes (payment_id);

-- What a customer was told of an account that is due at a time: each step once.
create table berth.notices (
    account_id uuid not null references berth.hosting_accounts (id),
    due_at timestamptz not null,
    step text not null,
    mail_id uuid not null,
    at timestamptz not null,
    primary key (account_id, due_at, step)
);

-- Credit: every movement is a row, and the balance is counted under its row's lock.
create table berth.credit_balances (
    customer_id uuid not null references berth.customers (id),
    currency char(3) not null,
    balance numeric not null check (balance >= 0),
    -- What of it staff has granted. It is used before the rest, and is all that can be taken back.
    goodwill numeric not null default 0 check (goodwill >= 0 and goodwill <= balance),
    primary key (customer_id, currency)
);
create table berth.credit_entries (
    id uuid primary key,
    customer_id uuid not null references berth.customers (id),
    currency char(3) not null,
    -- Positive is given, negative is used or taken back.
    amount numeric not null check (amount <> 0),
    -- How much of the amount is goodwill, with its sign.
    goodwill numeric not null default 0 check (goodwill between least(amount, 0) and greatest(amount, 0)),
    kind text not null check (kind in ('used', 'restored', 'proration', 'overpayment', 'granted', 'taken_back')),
    -- The order that it was used for, or came from.
    order_id uuid references berth.orders (id),
    account_id uuid references berth.hosting_accounts (id),
    -- The member of staff who has granted it or taken it back, and why.
    actor text,
    note text,
    at timestamptz not null,
    -- The caller's own key for it, and what it asked for: asking again answers the same movement.
    idempotency_key text,
    request_hash bytea,
    -- An order uses credit once, gives it back once, and is worth it once.
    unique (order_id, kind),
    unique (actor, idempotency_key),
    check ((kind in ('granted', 'taken_back')) = (actor is not null)),
    check ((actor is null) = (note is null)),
    check (kind not in ('granted', 'taken_back') or goodwill = amount),
    check ((idempotency_key is null) = (request_hash is null))
);
create index credit_entries_of_customer on berth.credit_entries (customer_id, at desc);

-- How many accounts were suspended or ended lately.
create index account_history_ended on berth.account_history (at) where to_phase in ('suspending', 'terminating');

do $$
declare
    name text;
begin
    foreach name in array array[
        'agenda', 'renewals', 'renewal_history', 'charges', 'cards', 'disputes', 'notices', 'credit_balances',
        'credit_entries'
    ] loop
        execute format('alter table berth.%I enable row level security', name);
        execute format('create policy program on berth.%I to berth_app using (true) with check (true)', name);
        execute format('revoke all on berth.%I from public, anon, authenticated, service_role', name);
        execute format('grant select, insert, update, delete on berth.%I to berth_app', name);
    end loop;
end
$$;
-- What was moved is evidence.
revoke update, delete on berth.credit_entries, berth.renewal_history from berth_app;
