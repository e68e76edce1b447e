-- Money that goes back, and the papers about it.

-- Each sum that goes back, whoever asked for it: a row before anything is sent. All of a payment's that have not failed are
-- together at most the payment. A payment stays `succeeded` however much of it has gone back: that says what it paid for.
create table berth.refunds (
    id uuid primary key,
    payment_id uuid not null references berth.payments (id),
    order_id uuid not null references berth.orders (id),
    customer_id uuid not null references berth.customers (id),
    currency char(3) not null,
    amount numeric not null check (amount > 0),
    state text not null check (state in ('requested', 'pending', 'succeeded', 'failed', 'cancelled')),
    stripe_refund_id text unique,
    reason text not null,
    -- A member of staff; `berth` for money that was not owed; `stripe` for what was given back there.
    requested_by text not null,
    requested_at timestamptz not null,
    -- When it arrived, or it was known that it will not. A refund that arrived may still come back.
    settled_at timestamptz,
    failure text,
    -- The caller's own key for this refund, and what it asked for: asking again answers the same refund.
    idempotency_key text,
    request_hash bytea,
    unique (requested_by, idempotency_key),
    check ((settled_at is null) = (state in ('requested', 'pending'))),
    check ((idempotency_key is null) = (request_hash is null)),
    check (state in ('requested', 'failed', 'cancelled') or stripe_refund_id is not null)
);
create index refunds_of_payment on berth.refunds (payment_id);
create index refunds_of_order on berth.refunds (order_id);

-- What takes back an invoice, or a part of it: written once, only ever cancelled.
create table berth.credit_notes (
    id uuid primary key,
    number text not null unique,
    sequence bigint not null unique check (sequence > 0),
    invoice_id uuid not null references berth.invoices (id),
    order_id uuid not null references berth.orders (id),
    customer_id uuid not null references berth.customers (id),
    -- What it is for; null where it takes back an invoice that nobody has paid.
    refund_id uuid unique references berth.refunds (id),
    currency char(3) not null,
    -- Without tax, the discount taken off.
    subtotal numeric not null check (subtotal >= 0),
    tax numeric not null check (tax >= 0),
    total numeric not null check (total = subtotal + tax),
    -- As customers may read it.
    reason text not null,
    seller jsonb not null check (jsonb_typeof(seller) = 'object'),
    buyer jsonb not null check (jsonb_typeof(buyer) = 'object'),
    lines jsonb not null check (jsonb_typeof(lines) = 'array'),
    issued_at timestamptz not null,
    -- When it was known that its money has come back. It keeps its number.
    cancelled_at timestamptz
);
create unique index credit_notes_of_unpaid on berth.credit_notes (invoice_id) where refund_id is null;
create index credit_notes_of_invoice on berth.credit_notes (invoice_id);
create index credit_notes_of_customer on berth.credit_notes (customer_id, sequence desc);

-- The last number given: see `invoice_counter`, after which it is locked.
create table berth.credit_note_counter (
    only_row boolean primary key default true check (only_row),
    last bigint not null default 0 check (last >= 0)
);
insert into berth.credit_note_counter default values;

alter table berth.disputes
    -- How it stood when the accounts were last made to follow it. What is learnt of a dispute is written even where its
    -- consequences are refused, so its status does not say whether they were drawn.
    add column followed text check (followed in ('open', 'won', 'lost'));
create index disputes_of_order on berth.disputes (order_id);

-- How much of an order's money has stayed: 1 is all of it, 0 nothing. What was paid from credit stays.
create function berth.kept_share(of_order uuid) returns numeric
language sql stable
as $$
    select case
        when o.total = 0 then 1
        else greatest(0, 1 - (
            coalesce((
                select sum(r.amount) from berth.refunds r
                join berth.payments p on p.id = r.payment_id
                where r.order_id = o.id and r.state not in ('failed', 'cancelled') and p.state = 'succeeded'
            ), 0)
            + coalesce((select sum(d.amount) from berth.disputes d where d.order_id = o.id and d.status = 'lost'), 0)
        ) / o.total)
    end
    from berth.orders o
    where o.id = of_order
$$;

do $$
declare
    name text;
begin
    foreach name in array array['refunds', 'credit_notes', 'credit_note_counter'] loop
        execute format('alter table berth.%I enable row level security', name);
        execute format('create policy program on berth.%I to berth_app using (true) with check (true)', name);
        execute format('revoke all on berth.%I from public, anon, authenticated, service_role', name);
        execute format('grant select, insert, update, delete on berth.%I to berth_app', name);
    end loop;
end
$$;
-- Money rows stay.
revoke delete on berth.refunds, berth.credit_notes from berth_app;
revoke insert, delete on berth.credit_note_counter from berth_app;
