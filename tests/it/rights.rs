//! What a front end that reads the database by itself can see and do: its own customer's rows, no secrets, nothing else.

use std::{any::Any, collections::BTreeSet};

use berth::{
    dev::servers::{PostgresOptions, PrivatePostgres},
    domain::{account::AccountPhase, order::OrderPhase},
    store,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

use super::support::postgres::{Postgres, Server};

const ONE: &str = "00000000-0000-4000-8000-000000000001";
const TWO: &str = "00000000-0000-4000-8000-000000000002";
const VIEWS: [&str; 6] = ["my_orders", "my_order_items", "my_hosting", "my_invoices", "my_cart", "my_usage"];
/// `insufficient_privilege`.
const DENIED: &str = "42501";

/// What a database made by Supabase brings: its roles, its schema `auth` with an owner of its own, and, to be hard on
/// us, grants on every new table to everybody and on a new function to nobody. Migrations run there as no superuser.
const SUPABASE: &str = "
    create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    create role supabase_auth_admin nologin noinherit createrole;
    create role owner_of_all login createrole createdb bypassrls password 'owner';
    create schema auth authorization supabase_auth_admin;
    create table auth.users (
        instance_id uuid, id uuid primary key, aud text, role text, email text unique, encrypted_password text,
        raw_user_meta_data jsonb, created_at timestamptz, updated_at timestamptz
    );
    alter table auth.users owner to supabase_auth_admin;
    create function auth.uid() returns uuid language sql stable as $$
        select coalesce(
            nullif(current_setting('request.jwt.claim.sub', true), ''),
            (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
        )::uuid
    $$;
    alter function auth.uid() owner to supabase_auth_admin;
    grant usage on schema auth to anon, authenticated, service_role, owner_of_all;
    alter default privileges for role owner_of_all grant all on tables to anon, authenticated, service_role;
    alter default privileges for role owner_of_all revoke execute on functions from public;
    alter default privileges for role owner_of_all grant usage on schemas to anon, authenticated, service_role;";

/// A migrated database.
struct World {
    /// Ends when it is dropped.
    _server: Box<dyn Any>,
    /// Connected as a superuser.
    pool: PgPool,
}

impl World {
    async fn plain() -> Self {
        let postgres = Postgres::start(Server::Shared).await;
        let superuser = postgres.url().to_owned();
        Self::filled(postgres, &superuser).await
    }

    /// Its roles belong to the whole server.
    async fn supabase() -> Self {
        let server = PrivatePostgres::start(PostgresOptions::throwaway().setting("fsync", "off")).await.unwrap();
        let superuser = server.create_database("berth").await.unwrap();
        let pool = PgPool::connect(&superuser).await.unwrap();
        sqlx::raw_sql(SUPABASE).execute(&pool).await.unwrap();
        sqlx::raw_sql("grant create on database berth to owner_of_all").execute(&pool).await.unwrap();
        let mut owner = url::Url::parse(&superuser).unwrap();
        owner.set_username("owner_of_all").unwrap();
        owner.set_password(Some("owner")).unwrap();
        migrate(owner.as_str(), &superuser).await;
        Self::filled(server, &superuser).await
    }

    async fn filled(server: impl Any, superuser: &str) -> Self {
        let pool = PgPool::connect(superuser).await.unwrap();
        sqlx::raw_sql(include_str!("rights/world.sql")).execute(&pool).await.unwrap();
        Self { _server: Box::new(server), pool }
    }

    /// Runs a statement as a role, for the subject of a token, and takes it back; answers the rows as JSON, or the code
    /// of the error.
    async fn try_as(&self, role: &str, subject: Option<&str>, sql: &str) -> Result<Vec<Value>, String> {
        let mut tx = self.pool.begin().await.unwrap();
        let claims = subject.map_or(json!({}), |sub| json!({ "sub": sub, "role": role }));
        sqlx::query("select set_config('request.jwt.claims', $1, true), set_config('role', $2, true)")
            .bind(claims.to_string())
            .bind(role)
            .execute(&mut *tx)
            .await
            .unwrap();
        // These are this file's own statements.
        let done: Result<Vec<Value>, sqlx::Error> = if sql.starts_with("select") {
            let sql = format!("select to_jsonb(t) from ({sql}) t");
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut *tx).await
        } else {
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await;
            done.map(|done| vec![json!(done.rows_affected())])
        };
        tx.rollback().await.unwrap();
        done.map_err(|error| error.as_database_error().unwrap().code().unwrap().into_owned())
    }

    async fn customer(&self, subject: &str, sql: &str) -> Result<Vec<Value>, String> {
        self.try_as("authenticated", Some(subject), sql).await
    }

    async fn texts(&self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(&self.pool).await.unwrap()
    }
}

/// The code of the error; nothing where there was none.
fn code(result: &Result<Vec<Value>, String>) -> &str {
    result.as_ref().err().map_or("", String::as_str)
}

async fn migrate(owner: &str, superuser: &str) {
    let mut app = url::Url::parse(superuser).unwrap();
    app.set_username("berth_app").unwrap();
    app.set_password(Some("app")).unwrap();
    store::migrations::migrate(&url::Url::parse(owner).unwrap().into(), &app.into()).await.unwrap();
}

/// Everything that must hold of rights, whatever the database was before.
async fn check_rights(world: &World) {
    for view in VIEWS {
        let all = format!("select * from berth_api.{view}");
        let rows = [world.customer(ONE, &all).await.unwrap(), world.customer(TWO, &all).await.unwrap()];
        for (own, rows) in [ONE, TWO].into_iter().zip(&rows) {
            assert_eq!(rows.len(), 1, "{view}: {rows:?}");
            if view != "my_order_items" {
                assert_eq!(rows[0]["user_id"], own, "{view}");
            }
            assert!(!rows[0].to_string().contains("secret"), "{view} tells a secret: {}", rows[0]);
        }
        let key = if view == "my_usage" { "hosting_account_id" } else { "id" };
        assert_ne!(rows[0][0][key], rows[1][0][key], "{view}");
        let nobody = world.try_as("authenticated", None, &all).await.unwrap();
        assert!(nobody.is_empty(), "{view}: a token without a subject sees {nobody:?}");
        for role in ["anon", "service_role"] {
            assert_eq!(world.try_as(role, Some(ONE), &all).await, Err(DENIED.to_owned()), "{view} as {role}");
        }
        // Views of one table could be written through, if the customer had the right; those of two by nobody.
        let (column, refusal) = match view {
            "my_order_items" => ("order_id", "55000"),
            "my_cart" | "my_usage" => ("user_id", "55000"),
            _ => ("user_id", DENIED),
        };
        for write in [
            format!("delete from berth_api.{view}"),
            format!("update berth_api.{view} set {column} = {column}"),
            format!("insert into berth_api.{view} ({column}) select {column} from berth_api.{view}"),
        ] {
            let refused = world.customer(ONE, &write).await;
            assert_eq!(code(&refused), refusal, "{write}: {refused:?}");
        }
    }
    for table in world.texts("select tablename::text from pg_tables where schemaname = 'berth'").await {
        for role in ["anon", "authenticated", "service_role"] {
            for statement in [
                format!("select 1 from berth.{table}"),
                format!("delete from berth.{table}"),
                format!("insert into berth.{table} default values"),
                format!("truncate berth.{table}"),
            ] {
                let refused = world.try_as(role, Some(ONE), &statement).await;
                assert_eq!(refused, Err(DENIED.to_owned()), "{statement} as {role}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_plain_database_a_customer_sees_their_own_rows_and_can_write_nothing() {
    check_rights(&World::plain().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_database_of_supabase_s_shape_nothing_of_its_own_is_touched_and_rights_are_the_same() {
    let world = World::supabase().await;

    check_rights(&world).await;

    let made = "insert into berth.coupons (id, code, discount_type, fixed, active, created_by, created_at)
        values (gen_random_uuid(), 'FIVE', 'fixed', '{\"USD\": \"5.00\"}', true, 'staff', berth.now())";
    assert_eq!(world.try_as("berth_app", None, made).await, Ok(vec![json!(1)]), "the program works as ever");
    let owners = "select pg_get_userbyid(proowner)::text from pg_proc where pronamespace = 'auth'::regnamespace";
    assert_eq!(world.texts(owners).await, ["supabase_auth_admin"], "its auth.uid() is the only function there");
    let columns = "select count(*)::text from information_schema.columns where table_schema = 'auth'";
    assert_eq!(world.texts(columns).await, ["9"], "its auth.users is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn even_who_could_name_the_tables_would_see_only_their_own_rows_and_shown_columns() {
    let world = World::plain().await;
    sqlx::raw_sql("grant usage on schema berth to authenticated, anon").execute(&world.pool).await.unwrap();

    let ids = "select customer_id from berth.orders";
    assert_eq!(world.customer(ONE, ids).await.unwrap(), [json!({ "customer_id": ONE })]);
    let items = "select order_id from berth.order_items";
    assert_eq!(world.customer(TWO, items).await.unwrap().len(), 1);
    for secret in [
        "select sealed_password from berth.hosting_accounts",
        "select server from berth.hosting_accounts",
        "select idempotency_key from berth.orders",
        "select client_ip from berth.orders",
        "select override_by from berth.cart_items",
        "select code from berth.coupons",
        "select email from berth.customers",
        "select * from berth.orders",
        "update berth.orders set total = 0",
    ] {
        assert_eq!(world.customer(ONE, secret).await, Err(DENIED.to_owned()), "{secret}");
    }
    assert_eq!(world.try_as("anon", Some(ONE), ids).await, Err(DENIED.to_owned()));
    // Somebody grants too much: row-level security still holds.
    sqlx::raw_sql("grant all on all tables in schema berth to authenticated").execute(&world.pool).await.unwrap();
    assert_eq!(world.customer(ONE, "update berth.orders set total = total").await.unwrap(), [json!(0)]);
    assert_eq!(world.customer(ONE, "delete from berth.coupons").await.unwrap(), [json!(0)]);
    assert!(world.customer(ONE, "select code from berth.coupons").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_has_row_level_security_and_lets_the_program_pass() {
    let world = World::plain().await;

    let open = "select c.relname::text
        from pg_class c
        where c.relnamespace = 'berth'::regnamespace and c.relkind in ('r', 'p')
          and (
              not c.relrowsecurity
              or not exists (
                  select from pg_policy p
                  where p.polrelid = c.oid and 'berth_app'::regrole::oid = any (p.polroles) and p.polcmd = '*'
              )
          )";
    assert_eq!(world.texts(open).await, Vec::<String>::new());
    let invoker = "select c.relname::text from pg_class c
        where c.relnamespace = 'berth_api'::regnamespace and not 'security_invoker=true' = any (c.reloptions)";
    assert_eq!(world.texts(invoker).await, Vec::<String>::new());
    let seen = world.try_as("berth_app", None, "select * from berth.orders").await.unwrap();
    assert_eq!(seen.len(), 2, "the program sees everybody's");
    for evidence in [
        "update berth.invoices set total = 0",
        "delete from berth.invoices",
        "delete from berth.audit",
        "update berth.audit set actor = 'x'",
        "delete from berth.invoice_counter",
        "delete from berth.schema_migrations",
    ] {
        assert_eq!(world.try_as("berth_app", None, evidence).await, Err(DENIED.to_owned()), "{evidence}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_views_carry_the_briefs_fields() {
    let world = World::plain().await;
    let order = "id user_id status subtotal discount tax total items created_at completed_at expires_at renewal_date \
                 stripe_session_id is_renewal renewal_of_hosting_id";
    let hosting = "id user_id service_type plan_name status account_username control_panel_url nameservers created_at \
                   activated_at expires_at renewal_date billing_cycle auto_renew";
    let item = "id order_id hosting_account_id service_type plan_name billing_cycle price created_at";
    let cart = "id user_id service_id quantity addon_ids configuration price_override added_at";

    for (view, fields) in [("my_orders", order), ("my_hosting", hosting), ("my_order_items", item), ("my_cart", cart)] {
        let rows = world.customer(ONE, &format!("select * from berth_api.{view}")).await.unwrap();
        let shown: BTreeSet<&str> = rows[0].as_object().unwrap().keys().map(String::as_str).collect();
        let missing: Vec<&str> = fields.split_whitespace().filter(|field| !shown.contains(field)).collect();
        assert!(missing.is_empty(), "{view} lacks {missing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_views_say_the_same_status_as_the_program() {
    let world = World::plain().await;
    for phase in OrderPhase::ALL {
        let set = "update berth.orders set phase = $1";
        sqlx::query(set).bind(phase.as_str()).execute(&world.pool).await.unwrap();
        let rows = world.customer(ONE, "select status from berth_api.my_orders").await.unwrap();
        assert_eq!(rows, [json!({ "status": phase.status() })], "{phase}");
    }
    for phase in AccountPhase::ALL {
        let set = "update berth.hosting_accounts set phase = $1";
        sqlx::query(set).bind(phase.as_str()).execute(&world.pool).await.unwrap();
        let rows = world.customer(ONE, "select status from berth_api.my_hosting").await.unwrap();
        assert_eq!(rows, [json!({ "status": phase.status() })], "{phase}");
    }
}

/// The brief's own statements, by the row of the checklist, as a front end would send them. Tables are named in braces.
const DEFECTS: [(&str, &str); 10] = [
    ("C3", "update {cart_items} set quantity = -3 where user_id = auth.uid() and service_id = 'shared-monthly'"),
    ("C6", "update {cart_items} set price_override = 0.01 where user_id = auth.uid()"),
    ("C15", "insert into {coupon_codes} (code, discount_type, discount_value) values ('X', 'percentage', 999)"),
    ("C15", "insert into {coupon_codes} (code, discount_type, discount_value) values ('X', 'percentage', -50)"),
    ("C17", "insert into {coupon_codes} (code, discount_type, discount_value, max_uses) values ('X', 'fixed', 5, 0)"),
    ("C17", "update {coupon_codes} set current_uses = null"),
    ("C19", "select * from {coupon_codes} where not active"),
    (
        "H14",
        "insert into {hosting_accounts} (user_id, service_type, plan_name, status, expires_at)
         values (auth.uid(), 'cloud', 'enterprise', 'active', '2099-12-31')",
    ),
    ("H14", "select account_password from {hosting_accounts} where account_password is not null"),
    (
        "O8",
        "insert into {orders} (user_id, status, subtotal, total, items) values (auth.uid(), 'completed', 0, 0, '[]')",
    ),
];

fn named(sql: &str, cart: &str, coupons: &str, accounts: &str, orders: &str) -> String {
    sql.replace("{cart_items}", cart)
        .replace("{coupon_codes}", coupons)
        .replace("{hosting_accounts}", accounts)
        .replace("{orders}", orders)
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_do_harm_on_the_briefs_schema_are_refused_on_ours() {
    let world = World::plain().await;
    sqlx::raw_sql(include_str!("rights/brief.sql")).execute(&world.pool).await.unwrap();

    for (row, defect) in DEFECTS {
        // Whoever keeps the coupons of the brief writes them as its owner; everything else a customer does.
        let on_brief =
            named(defect, "brief.cart_items", "brief.coupon_codes", "brief.hosting_accounts", "brief.orders");
        let by_owner = defect.contains("coupon_codes") && !defect.starts_with("select");
        let role = if by_owner { "berth_owner" } else { "authenticated" };
        let harm = world.try_as(role, Some(ONE), &on_brief).await;
        assert!(
            harm.as_ref().is_ok_and(|rows| rows.iter().any(|row| *row != json!(0))),
            "{row} on the brief: {harm:?}"
        );

        let tables = named(defect, "berth.cart_items", "berth.coupons", "berth.hosting_accounts", "berth.orders");
        assert_eq!(world.customer(ONE, &tables).await, Err(DENIED.to_owned()), "{row}: {tables}");
        let views =
            named(defect, "berth_api.my_cart", "berth_api.coupons", "berth_api.my_hosting", "berth_api.my_orders");
        let refused = world.customer(ONE, &views).await;
        // Denied, no such view or column, or a view or column that nobody can write through.
        assert!(
            matches!(code(&refused), DENIED | "42P01" | "42703" | "55000" | "0A000"),
            "{row}: {views}: {refused:?}"
        );
    }
}

/// Values that the brief's columns take, and no column of ours, whoever writes them.
const IMPOSSIBLE: [(&str, &str); 16] = [
    ("C3", "update berth.cart_items set quantity = -3"),
    ("C3", "update berth.cart_items set quantity = null"),
    ("C6", "update berth.cart_items set price_override = 0.01, override_by = null"),
    ("C12", "update berth.coupons set discount_type = 'anything'"),
    ("C15", "update berth.coupons set percentage = 999"),
    ("C15", "update berth.coupons set percentage = -50"),
    ("C15", "update berth.coupons set discount_type = 'fixed', percentage = null, fixed = '{\"USD\": \"-50\"}'"),
    ("C17", "update berth.coupons set max_uses = 0"),
    ("C17", "update berth.coupons set max_uses = 1, uses = 2"),
    ("C17", "update berth.coupons set uses = null"),
    ("O1", "update berth.orders set phase = 'anything'"),
    ("O2", "update berth.orders set total = total + 1"),
    ("O2", "update berth.orders set subtotal = -1, total = -1"),
    ("O2", "update berth.order_items set total = 0.01"),
    ("O6", "update berth.orders set is_renewal = true"),
    ("O13", "update berth.orders set currency = null"),
];

#[tokio::test(flavor = "multi_thread")]
async fn values_that_make_no_sense_are_refused_by_the_tables_themselves() {
    let world = World::plain().await;

    for (row, write) in IMPOSSIBLE {
        let refused = world.try_as("berth_app", None, write).await;
        // `check_violation` or `not_null_violation`.
        assert!(matches!(code(&refused), "23514" | "23502"), "{row}: {write}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_and_a_payment_are_one_orders_and_a_period_is_renewed_once() {
    let world = World::plain().await;
    sqlx::raw_sql("delete from berth.payments").execute(&world.pool).await.unwrap();

    for (row, write) in [
        ("O3", "update berth.orders set stripe_session_id = 'cs_of_both'"),
        (
            "O3",
            "insert into berth.payments (id, order_id, state, amount, currency, stripe_payment_intent_id, created_at)
             select gen_random_uuid(), id, 'succeeded', 1, 'USD', 'pi_of_both', berth.now() from berth.orders",
        ),
        (
            "O6",
            "update berth.orders
             set is_renewal = true, period_start = '2026-01-01',
                 renewal_of_hosting_id = (select id from berth.hosting_accounts order by id limit 1)",
        ),
    ] {
        let refused = world.try_as("berth_app", None, write).await;
        assert_eq!(code(&refused), "23505", "{row}: {write}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_briefs_migration_of_coupons_does_not_run_and_its_second_add_to_a_cart_fails() {
    let world = World::plain().await;
    sqlx::raw_sql(include_str!("rights/brief.sql")).execute(&world.pool).await.unwrap();

    // C12, as it stands in the document.
    let migration = "create table coupon_codes (discount_type varchar ('percentage', 'fixed'))";
    assert_eq!(world.try_as("berth_owner", None, migration).await, Err("42601".to_owned()), "a syntax error");
    // C9, as PostgREST sends an upsert: its target is the primary key. Ours is `buying`'s: it adds up.
    let upsert = format!(
        "insert into brief.cart_items (user_id, service_id, configuration, addon_ids, quantity)
         values ('{ONE}', 'shared-monthly', '{{}}', '{{}}', 1)
         on conflict (id) do update set quantity = excluded.quantity"
    );
    assert_eq!(world.customer(ONE, &upsert).await, Err("23505".to_owned()), "a second line of the service");
    let ours = upsert.replace("brief.cart_items", "berth.cart_items");
    assert_eq!(world.customer(ONE, &ours).await, Err(DENIED.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_login_erases_the_briefs_orders_and_none_of_ours() {
    let world = World::plain().await;
    sqlx::raw_sql(include_str!("rights/brief.sql")).execute(&world.pool).await.unwrap();

    // H1.
    sqlx::raw_sql("delete from auth.users").execute(&world.pool).await.unwrap();

    assert_eq!(world.texts("select count(*)::text from brief.orders").await, ["0"]);
    assert_eq!(world.texts("select count(*)::text from brief.hosting_accounts").await, ["0"]);
    assert_eq!(world.texts("select count(*)::text from berth.orders").await, ["2"]);
    assert_eq!(world.texts("select count(*)::text from berth.hosting_accounts").await, ["2"]);
    let customer = world.try_as("berth_owner", None, &format!("delete from berth.customers where id = '{ONE}'")).await;
    assert_eq!(customer, Err("23503".to_owned()), "who has ordered cannot be deleted at all");
}
