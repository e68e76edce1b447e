-- What it takes to buy: the cart, coupons, the pages that an order is paid on, invoices; and who did what.
--
-- Columns added to tables of before have defaults that say "nothing of the kind", so that a version which does not
-- know them goes on working beside one that does.

-- Amounts by currency, as decimal texts: {"USD": "5.00", "EUR": "4.50"}. Each above zero.
create function berth.is_amounts(amounts jsonb) returns boolean
language sql immutable parallel safe
as $$
    select jsonb_typeof(amounts) = 'object'
        and not exists (
            select
            from jsonb_each(case when jsonb_typeof(amounts) = 'object' then amounts else '{}' end) a (currency, amount)
            where a.currency !~ '^[A-Z]{3}$'
               or jsonb_typeof(a.amount) <> 'string'
               or (a.amount #>> '{}') !~ '^[0-9]{1,15}([.][0-9]{1,4})?$'
               or (a.amount #>> '{}') !~ '[1-9]'
        )
$$;

-- Who buys, as far as an invoice and its tax must say.
alter table berth.customers
    add column country char(2) check (country ~ '^[A-Z]{2}$'),
    add column address jsonb check (jsonb_typeof(address) = 'object'),
    add column company text,
    add column vat_id text,
    -- Anonymised. The row stays, because money rows refer to it; nothing can be bought under it any more.
    add column deleted_at timestamptz;

create table berth.carts (
    -- A customer who only ever filled a cart can go with it; one who has ordered cannot go at all.
    customer_id uuid primary key references berth.customers (id) on delete cascade,
    -- Raised by every write, and never taken back: an emptied cart keeps its row, so that the version which an order
    -- was made from names one state of the cart for ever.
    version integer not null default 1 check (version >= 1),
    currency char(3) not null check (currency ~ '^[A-Z]{3}$'),
    -- No reference: a code that ends while it lies in a cart is a problem to be shown, not a row to be missed.
    coupon_code text check (coupon_code = upper(coupon_code)),
    updated_at timestamptz not null default now()
);

create table berth.cart_items (
    id uuid primary key,
    customer_id uuid not null references berth.carts (customer_id) on delete cascade,
    -- A hash over what makes two lines the same: service, configuration, add-ons and a price of staff's.
    line_key text not null,
    service_id text not null,
    quantity integer not null check (quantity between 1 and 100),
    addon_ids text[] not null default '{}',
    configuration jsonb not null default '{}' check (jsonb_typeof(configuration) = 'object'),
    -- The name of the site.
    domain text,
    -- Staff's price for a unit, instead of the catalogue's.
    price_override numeric check (price_override >= 0),
    override_currency char(3) check (override_currency ~ '^[A-Z]{3}$'),
    override_by text,
    override_reason text,
    override_until timestamptz,
    added_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (customer_id, line_key),
    -- A price without who, why and until when is nobody's decision.
    check (num_nulls(price_override, override_currency, override_by, override_reason, override_until) in (0, 5))
);

create table berth.coupons (
    id uuid primary key,
    -- One spelling is stored, so that unique means unique whatever the customer's capitals.
    code text not null unique check (code ~ '^[A-Z0-9_-]{3,40}$'),
    discount_type text not null check (discount_type in ('percentage', 'fixed')),
    percentage numeric,
    fixed jsonb,
    starts_at timestamptz,
    -- The first instant at which it is over.
    ends_at timestamptz,
    -- Null is without limit. Zero would be read as "without limit" by some and as "nobody" by others.
    max_uses integer check (max_uses > 0),
    max_uses_per_customer integer check (max_uses_per_customer > 0),
    minimum_spend jsonb not null default '{}' check (berth.is_amounts(minimum_spend)),
    -- The services that it is for; empty is all.
    services text[] not null default '{}',
    -- The first so many cycles of an account; null is every one.
    cycles integer check (cycles > 0),
    active boolean not null,
    -- Reservations that are open or committed. Counted under the row's lock, so that the last use is given once.
    uses integer not null default 0 check (uses >= 0),
    created_by text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (uses <= max_uses),
    check (ends_at > starts_at),
    -- A check that is null passes, therefore the coalesce.
    check (coalesce(
        case discount_type
            when 'percentage' then percentage > 0 and percentage <= 100 and fixed is null
            when 'fixed' then percentage is null and fixed <> '{}' and berth.is_amounts(fixed)
        end,
        false
    ))
);

-- Money that came for an order which was paid already, or given up on purpose: it goes back.
alter table berth.payments
    drop constraint payments_state_check,
    add constraint payments_state_check
        check (state in ('created', 'in_doubt', 'succeeded', 'failed', 'surplus', 'refunded'));
create index payments_of_order on berth.payments (order_id);

alter table berth.orders
    add column coupon_id uuid references berth.coupons (id),
    -- As it was spelt then; the coupon may be changed since.
    add column coupon_code text,
    -- The state of the cart that the order was made from; null where it was not made from one.
    add column cart_version integer,
    -- Who bought, as they were when they agreed: email, name, company, country, address, vat_id.
    add column customer_snapshot jsonb check (jsonb_typeof(customer_snapshot) = 'object'),
    -- Why the tax is what it is, such as a reverse charge.
    add column tax_note text,
    -- Which page it is paid on: raised when one has ended and another is to be opened.
    add column session_version integer not null default 1 check (session_version >= 1),
    add column hold_reason text,
    add column client_ip inet,
    add column failure text,
    -- A renewal is for one period of one account.
    add column renewal_of_hosting_id uuid references berth.hosting_accounts (id),
    add column period_start timestamptz,
    add check (is_renewal = (renewal_of_hosting_id is not null)),
    add check (is_renewal = (period_start is not null)),
    add check ((coupon_id is null) = (coupon_code is null)),
    -- A held order that staff has refused is `rejected`, one that was given up on purpose is `withdrawn`: unlike a
    -- cancelled one, no payment told of later revives it.
    drop constraint orders_phase_check,
    add constraint orders_phase_check check (phase in
        ('pending', 'awaiting_payment', 'held', 'processing', 'completed', 'failed', 'cancelled', 'rejected',
         'withdrawn'));
-- A period is renewed once; a renewal that was called off makes room for another.
create unique index orders_of_period on berth.orders (renewal_of_hosting_id, period_start)
    where phase not in ('cancelled', 'withdrawn', 'rejected');
-- A cart is sold once at a time: whoever checks it out again finds the order, or has it withdrawn for another one.
create unique index orders_of_cart on berth.orders (customer_id) where cart_version is not null and phase = 'pending';

alter table berth.order_history
    -- Who brought the step about; null where it was written before this was.
    add column actor text check (actor in ('customer', 'staff', 'stripe', 'berth'));

-- One order redeems one coupon once.
create table berth.coupon_redemptions (
    order_id uuid primary key references berth.orders (id),
    coupon_id uuid not null references berth.coupons (id),
    customer_id uuid not null references berth.customers (id),
    state text not null check (state in ('reserved', 'committed', 'released')),
    -- The order was paid after its reservation had been released and others had taken every use. The money was agreed
    -- and has come, so the discount stands; it counts for nobody's limit.
    beyond_limit boolean not null default false check (not beyond_limit or state = 'committed'),
    amount numeric not null check (amount >= 0),
    currency char(3) not null,
    reserved_at timestamptz not null,
    settled_at timestamptz,
    check ((state = 'reserved') = (settled_at is null))
);
create index coupon_redemptions_of_coupon on berth.coupon_redemptions (coupon_id, customer_id) where state <> 'released';

alter table berth.order_items
    -- Part of the price.
    add column setup_fee numeric not null default 0 check (setup_fee >= 0 and setup_fee <= price),
    -- In per cent.
    add column tax_rate numeric not null default 0 check (tax_rate >= 0),
    add column tax_category text,
    add column configuration jsonb not null default '{}' check (jsonb_typeof(configuration) = 'object'),
    -- Each with id, name and price.
    add column addons jsonb not null default '[]' check (jsonb_typeof(addons) = 'array'),
    add column domain text,
    add column trial_days integer not null default 0 check (trial_days >= 0),
    -- What a renewal costs; null is what the catalogue says by then.
    add column renewal_price numeric check (renewal_price >= 0);

alter table berth.hosting_accounts
    drop constraint hosting_accounts_phase_check,
    add constraint hosting_accounts_phase_check check (phase in
        ('pending', 'provisioning', 'active', 'grace', 'suspending', 'suspended', 'unsuspending', 'changing', 'failed',
         'terminating', 'terminated')),
    add column domain text,
    add column configuration jsonb not null default '{}' check (jsonb_typeof(configuration) = 'object'),
    add column addons jsonb not null default '[]' check (jsonb_typeof(addons) = 'array');
-- One site answers under a name. A terminated account gives its name back.
create unique index hosting_accounts_domain on berth.hosting_accounts (lower(domain))
    where domain is not null and phase <> 'terminated';

-- The pages at Stripe that an order can be, could be or was paid on.
create table berth.checkout_sessions (
    -- Stripe's.
    id text primary key,
    order_id uuid not null references berth.orders (id),
    version integer not null check (version >= 1),
    url text,
    expires_at timestamptz,
    state text not null check (state in ('open', 'expired', 'paid')),
    opened_at timestamptz not null,
    -- One page a version: the key that Stripe opens it under is made of both.
    unique (order_id, version)
);
create index checkout_sessions_open on berth.checkout_sessions (expires_at) where state = 'open';
-- Two pages that can be paid would be two payments for one order.
create unique index checkout_sessions_one_open on berth.checkout_sessions (order_id) where state = 'open';

-- Written once, never changed: what was sold to whom by whom, as it was on that day.
create table berth.invoices (
    id uuid primary key,
    number text not null unique,
    sequence bigint not null unique check (sequence > 0),
    order_id uuid not null unique references berth.orders (id),
    customer_id uuid not null references berth.customers (id),
    currency char(3) not null,
    subtotal numeric not null check (subtotal >= 0),
    discount numeric not null check (discount >= 0),
    tax numeric not null check (tax >= 0),
    total numeric not null check (total >= 0 and total = subtotal - discount + tax),
    seller jsonb not null check (jsonb_typeof(seller) = 'object'),
    buyer jsonb not null check (jsonb_typeof(buyer) = 'object'),
    lines jsonb not null check (jsonb_typeof(lines) = 'array'),
    issued_at timestamptz not null
);
create index invoices_of_customer on berth.invoices (customer_id, sequence desc);

-- The last number given. A row and not a sequence: a sequence does not take back the number of a transaction that
-- failed, and the law wants none missing. Its lock is the last that a transaction takes.
create table berth.invoice_counter (
    only_row boolean primary key default true check (only_row),
    last bigint not null default 0 check (last >= 0)
);
insert into berth.invoice_counter default values;

-- What people did by hand, and why.
create table berth.audit (
    id uuid primary key,
    at timestamptz not null,
    actor text not null,
    action text not null,
    -- The row that it was done to, as the API shows its id.
    subject text not null,
    reason text,
    before jsonb,
    after jsonb
);
create index audit_of_subject on berth.audit (subject, id desc);

-- The right to listen to one order once, for a minute: what stands in a URL is no token that opens anything else.
create table berth.stream_tickets (
    -- SHA-256 of the ticket: who reads the table has none.
    hash bytea primary key check (octet_length(hash) = 32),
    customer_id uuid not null references berth.customers (id),
    order_id uuid not null references berth.orders (id),
    expires_at timestamptz not null
);
create index stream_tickets_expired on berth.stream_tickets (expires_at);
