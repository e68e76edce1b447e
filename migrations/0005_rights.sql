-- Who may read what: a front end that speaks to the database by itself (PostgREST, Supabase) sees its own customer's
-- rows through the views of `berth_api`, without secrets, and can write nothing.
--
-- Three doors stand before a row of `berth`: the roles of such a front end may not name anything in that schema; they
-- may read only the columns that the views show; and row-level security shows only what is the customer's. The
-- program's own role passes by a policy, because only a superuser could exempt it from row-level security.

-- What Supabase brings, where it is missing.
do $$
declare
    role_name text;
begin
    foreach role_name in array array['anon', 'authenticated', 'service_role'] loop
        if not exists (select from pg_roles where rolname = role_name) then
            begin
                execute format('create role %I nologin', role_name);
            exception when duplicate_object or unique_violation then
                null; -- another database of the same cluster made it at the same moment
            end;
        end if;
    end loop;

    if to_regnamespace('auth') is null then
        create schema auth;
        grant usage on schema auth to anon, authenticated, service_role;
    end if;

    -- Nothing of Berth refers to it, so that deleting a login deletes nothing else.
    if to_regclass('auth.users') is null then
        create table auth.users (
            id uuid primary key,
            email text
        );
    end if;

    if to_regprocedure('auth.uid()') is null then
        create function auth.uid() returns uuid
        language sql stable
        as $body$
            select coalesce(
                nullif(current_setting('request.jwt.claim.sub', true), ''),
                nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
            )::uuid
        $body$;
    end if;
end
$$;

-- Whatever default privileges the database has given them.
revoke all on schema berth from public, anon, authenticated, service_role;
revoke all on all tables in schema berth from public, anon, authenticated, service_role;

do $$
declare
    name text;
begin
    for name in select tablename from pg_tables where schemaname = 'berth' loop
        execute format('alter table berth.%I enable row level security', name);
        execute format('create policy program on berth.%I to berth_app using (true) with check (true)', name);
    end loop;
end
$$;

grant usage on schema berth to berth_app;
-- A database may be set up so that a new function is nobody's but its owner's.
grant execute on all functions in schema berth to berth_app;
grant execute on function berth.show_id(text, uuid) to authenticated;
-- What was issued and what was done by hand is evidence.
revoke update, delete on berth.invoices, berth.audit from berth_app;
-- There is one counter, and it only counts.
revoke insert, delete on berth.invoice_counter from berth_app;
do $$
begin
    if to_regclass('berth.schema_migrations') is not null then
        revoke insert, update, delete on berth.schema_migrations from berth_app;
    end if;
end
$$;

create policy own on berth.orders for select to authenticated using (customer_id = (select auth.uid()));
create policy own on berth.order_items for select to authenticated using (
    exists (select from berth.orders o where o.id = order_items.order_id and o.customer_id = (select auth.uid()))
);
create policy own on berth.hosting_accounts for select to authenticated using (customer_id = (select auth.uid()));
create policy own on berth.invoices for select to authenticated using (customer_id = (select auth.uid()));
create policy own on berth.carts for select to authenticated using (customer_id = (select auth.uid()));
create policy own on berth.cart_items for select to authenticated using (customer_id = (select auth.uid()));

-- The columns that the views show or compare: no password, no coupon besides one's own order's, no idempotency key,
-- no server, no address of a client, nobody's name among the staff.
grant select (
    id, customer_id, phase, currency, subtotal, discount, tax, total, stripe_session_id, is_renewal,
    renewal_of_hosting_id, coupon_code, created_at, expires_at, paid_at, completed_at
) on berth.orders to authenticated;
grant select (
    id, order_id, position, service_id, name, service_type, plan_name, billing_cycle, price, setup_fee, discount, tax,
    tax_rate, total, configuration, addons, domain, trial_days
) on berth.order_items to authenticated;
grant select (
    id, customer_id, order_id, order_item_id, phase, service_id, service_name, service_type, plan_name, billing_cycle,
    username, site_url, control_panel_url, nameservers, domain, configuration, addons, auto_renew, created_at,
    activated_at, expires_at, suspension_reason
) on berth.hosting_accounts to authenticated;
grant select (
    id, number, order_id, customer_id, currency, subtotal, discount, tax, total, seller, buyer, lines, issued_at
) on berth.invoices to authenticated;
grant select (customer_id, version, currency, coupon_code, updated_at) on berth.carts to authenticated;
grant select (
    id, customer_id, service_id, quantity, addon_ids, configuration, domain, price_override, override_until, added_at,
    updated_at
) on berth.cart_items to authenticated;

-- The views carry the brief's field names, and the ids that the HTTP API shows. They read as whoever asks
-- (`security_invoker`); the condition in each says again what row-level security says.
create schema berth_api;
revoke all on schema berth_api from public, anon, authenticated, service_role;
grant usage on schema berth_api to authenticated;

create view berth_api.my_orders with (security_invoker = true) as
select
    berth.show_id('ord_', o.id) as id,
    o.customer_id as user_id,
    case o.phase
        when 'awaiting_payment' then 'pending'
        when 'held' then 'pending'
        when 'rejected' then 'cancelled'
        when 'withdrawn' then 'cancelled'
        else o.phase
    end as status,
    o.currency::text as currency,
    o.subtotal,
    o.discount,
    o.tax,
    o.total,
    o.coupon_code,
    (
        select coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'id', berth.show_id('itm_', i.id),
                    'service_id', i.service_id,
                    'name', i.name,
                    'service_type', i.service_type,
                    'plan_name', i.plan_name,
                    'billing_cycle', i.billing_cycle,
                    'price', i.price::text,
                    'total', i.total::text,
                    'domain', i.domain
                )
                order by i.position
            ),
            '[]'
        )
        from berth.order_items i
        where i.order_id = o.id
    ) as items,
    o.stripe_session_id,
    o.is_renewal,
    berth.show_id('acc_', o.renewal_of_hosting_id) as renewal_of_hosting_id,
    o.created_at,
    o.paid_at,
    o.completed_at,
    -- Until when it can be paid.
    o.expires_at,
    -- Accounts are renewed, each at its own time: see my_hosting.
    null::timestamptz as renewal_date
from berth.orders o
where o.customer_id = (select auth.uid());

create view berth_api.my_order_items with (security_invoker = true) as
select
    berth.show_id('itm_', i.id) as id,
    berth.show_id('ord_', i.order_id) as order_id,
    (
        select berth.show_id('acc_', a.id) from berth.hosting_accounts a where a.order_item_id = i.id
    ) as hosting_account_id,
    i.service_id,
    i.name,
    i.service_type,
    i.plan_name,
    i.billing_cycle,
    o.currency::text as currency,
    i.price,
    i.setup_fee,
    i.discount,
    i.tax,
    i.tax_rate,
    i.total,
    i.configuration,
    i.addons,
    i.domain,
    i.trial_days,
    o.created_at
from berth.order_items i
join berth.orders o on o.id = i.order_id
where o.customer_id = (select auth.uid());

create view berth_api.my_hosting with (security_invoker = true) as
select
    berth.show_id('acc_', a.id) as id,
    a.customer_id as user_id,
    berth.show_id('ord_', a.order_id) as order_id,
    a.service_id,
    a.service_name,
    a.service_type,
    a.plan_name,
    case a.phase
        when 'provisioning' then 'pending'
        when 'failed' then 'pending'
        when 'grace' then 'active'
        when 'suspending' then 'active'
        when 'changing' then 'active'
        when 'unsuspending' then 'suspended'
        when 'terminating' then 'cancelled'
        when 'terminated' then 'cancelled'
        else a.phase
    end as status,
    a.suspension_reason,
    a.username as account_username,
    a.site_url,
    a.control_panel_url,
    a.nameservers,
    a.domain,
    a.configuration,
    a.addons,
    a.created_at,
    a.activated_at,
    a.expires_at,
    a.expires_at as renewal_date,
    a.billing_cycle,
    a.auto_renew
from berth.hosting_accounts a
where a.customer_id = (select auth.uid());

create view berth_api.my_invoices with (security_invoker = true) as
select
    berth.show_id('inv_', i.id) as id,
    i.customer_id as user_id,
    berth.show_id('ord_', i.order_id) as order_id,
    i.number,
    i.currency::text as currency,
    i.subtotal,
    i.discount,
    i.tax,
    i.total,
    i.seller,
    i.buyer,
    i.lines,
    i.issued_at
from berth.invoices i
where i.customer_id = (select auth.uid());

create view berth_api.my_cart with (security_invoker = true) as
select
    berth.show_id('cit_', i.id) as id,
    i.customer_id as user_id,
    i.service_id,
    i.quantity,
    i.addon_ids,
    i.configuration,
    i.domain,
    -- The database's own clock: Berth's can be set, and only the program may read how.
    case when i.override_until > now() then i.price_override end as price_override,
    c.currency::text as currency,
    c.coupon_code,
    c.version as cart_version,
    i.added_at,
    i.updated_at
from berth.cart_items i
join berth.carts c on c.customer_id = i.customer_id
where i.customer_id = (select auth.uid());

revoke all on all tables in schema berth_api from public, anon, authenticated, service_role;
grant select on all tables in schema berth_api to authenticated;
