//! What customers and load balancers ask, and what they are told.

use berth::{
    app::SITE_SERVER,
    clock::Clock,
    dev::servers::StopMode,
    gateways::panels::AccountRef,
    http::auth::development_token,
    secrets::{Place, SecretKeys},
};
use berth_jobs::ids::AccountId;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Running, Stack, StackOptions};

/// Buys one account and waits until it is active; answers the order's and the account's id.
async fn bought(stack: &Stack, user: Uuid) -> (String, String) {
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    stack.pay(&session).await;
    stack
        .until("the order is completed", async || {
            stack.get(user, &format!("/v1/orders/{order}")).await.1["status"] == "completed"
        })
        .await;
    let (_, shown) = stack.get(user, &format!("/v1/orders/{order}")).await;
    (order, shown["items"][0]["hosting_account_id"].as_str().unwrap().to_owned())
}

fn contains_secret(kept: &str, secret: &str) -> bool {
    let hex = hex::encode(secret);
    kept.contains(secret) || kept.contains(&hex)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_revealed_once_to_its_owner_and_is_kept_nowhere_in_the_clear() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (user, stranger) = (Uuid::new_v4(), Uuid::new_v4());
    let (_, account) = bought(&stack, user).await;
    stack.until_idle().await;
    let path = format!("/v1/hosting/{account}/reveal");
    let sealed = stack.text("select sealed_password from berth.hosting_accounts").await;
    let id: AccountId = account.parse().unwrap();
    let keys = SecretKeys::parse(stack.config().secrets.key.as_ref().unwrap()).unwrap();
    let place = Place { table: "hosting_accounts", row: id.0, column: "sealed_password" };
    let password = keys.open(&place, &sealed).unwrap().expose_secret().to_owned();
    let before = stack.everything_kept().await;

    assert_eq!(stack.get(user, &format!("/v1/hosting/{account}")).await.1["password_waits"], true);
    assert_eq!(stack.post(stranger, &path, &json!({})).await.0, 404);
    let (status, revealed) = stack.post(user, &path, &json!({})).await;
    assert_eq!(status, 200, "{revealed}");
    let (again, _) = stack.post(user, &path, &json!({})).await;
    assert_eq!(again, 409);

    assert_eq!(revealed["password"], password.as_str());
    assert!(before.contains(&sealed), "the scan sees what is kept");
    assert!(!contains_secret(&before, &password));
    let after = stack.everything_kept().await;
    assert!(!contains_secret(&after, &password) && !after.contains(&sealed));
    assert!(after.contains(revealed["username"].as_str().unwrap()), "the scan sees mails and rows");
    let (_, shown) = stack.get(user, &format!("/v1/hosting/{account}")).await;
    assert_eq!(shown["password_waits"], false);
    assert!(!contains_secret(&shown.to_string(), &password));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_who_ask_for_a_password_at_once_one_is_told() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (_, account) = bought(&stack, user).await;
    let path = format!("/v1/hosting/{account}/reveal");

    let nothing = json!({});
    let asked = futures::future::join_all((0..10).map(|_| stack.post(user, &path, &nothing))).await;

    assert_eq!(asked.iter().filter(|(status, _)| *status == 200).count(), 1, "{asked:?}");
    assert_eq!(asked.iter().filter(|(status, _)| *status == 409).count(), 9, "{asked:?}");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_somebody_elses_is_not_there_and_staff_sees_it() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (owner, stranger) = (Uuid::new_v4(), Uuid::new_v4());
    let (order, account) = bought(&stack, owner).await;
    let paths = [format!("/v1/orders/{order}"), format!("/v1/hosting/{account}")];
    let staff = development_token(
        &stack.config().auth,
        Uuid::new_v4(),
        None,
        true,
        Clock::machine(),
        std::time::Duration::from_secs(60),
    )
    .unwrap();

    for path in &paths {
        let url = format!("{}{path}", stack.base());
        assert_eq!(stack.get(owner, path).await.0, 200, "{path}");
        assert_eq!(stack.get(stranger, path).await.0, 404, "{path}");
        assert_eq!(stack.client.get(&url).send().await.unwrap().status(), 401, "{path}");
        assert_eq!(stack.client.get(&url).bearer_auth("e30.e30.").send().await.unwrap().status(), 401, "{path}");
        assert_eq!(stack.client.get(&url).bearer_auth(&staff).send().await.unwrap().status(), 200, "{path}");
    }
    // A password is for its owner only.
    let reveal = format!("{}/v1/hosting/{account}/reveal", stack.base());
    assert_eq!(stack.client.post(&reveal).bearer_auth(&staff).send().await.unwrap().status(), 404);
    assert_eq!(stack.client.post(&reveal).send().await.unwrap().status(), 401);
    for list in ["/v1/orders", "/v1/hosting"] {
        assert_eq!(stack.get(stranger, list).await.1["data"], json!([]), "{list}");
        assert_eq!(stack.get(owner, list).await.1["data"].as_array().unwrap().len(), 1, "{list}");
        assert_eq!(stack.client.get(format!("{}{list}", stack.base())).send().await.unwrap().status(), 401);
    }
    for nonsense in ["/v1/orders/ord_0", "/v1/orders/acc_01k9z3m6sne5y8r7q2w4x6t8va", "/v1/hosting/x", "/v1/nothing"] {
        assert_eq!(stack.get(owner, nonsense).await.0, 404, "{nonsense}");
    }
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_page_through_everything_once_newest_first_and_filter_by_status() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(stack.checkout(user, "shared-monthly", 2).await);
    }
    for (_, session) in &made[..2] {
        stack.pay(session).await;
    }
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 2).await;

    let orders = pages(&stack, user, "/v1/orders?limit=2").await;
    let newest_first: Vec<&String> = made.iter().rev().map(|(order, _)| order).collect();
    assert_eq!(orders.iter().collect::<Vec<_>>(), newest_first);
    assert_eq!(
        pages(&stack, user, "/v1/orders?limit=1&status=completed").await,
        [made[1].0.clone(), made[0].0.clone()]
    );
    assert_eq!(pages(&stack, user, "/v1/orders?limit=2&status=pending").await.len(), 3);
    assert_eq!(pages(&stack, user, "/v1/orders?status=failed").await.len(), 0);
    assert_eq!(pages(&stack, user, "/v1/hosting?limit=3").await.len(), 4);
    assert_eq!(pages(&stack, user, "/v1/hosting?status=active").await.len(), 4);
    assert_eq!(pages(&stack, user, "/v1/hosting?status=suspended").await.len(), 0);
    for bad in ["status=paid", "starting_after=ord_!", "limit=many", "page=2"] {
        assert_eq!(stack.get(user, &format!("/v1/orders?{bad}")).await.0, 400, "{bad}");
    }
    berth.stop().await;
}

/// The ids on all pages of a list.
async fn pages(stack: &Stack, user: Uuid, path: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let after = ids.last().map(|id| format!("&starting_after={id}")).unwrap_or_default();
        let (status, page) = stack.get(user, &format!("{path}{after}")).await;
        assert_eq!(status, 200, "{page}");
        let data = page["data"].as_array().unwrap();
        ids.extend(data.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        if page["has_more"] == false {
            return ids;
        }
        assert!(!data.is_empty() && ids.len() < 100, "{ids:?}");
    }
}

async fn ready(stack: &Stack) -> (u16, Value) {
    let response = stack.client.get(format!("{}/readyz", stack.base())).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn live(stack: &Stack) -> u16 {
    stack.client.get(format!("{}/healthz", stack.base())).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_berth_is_degraded_and_without_postgres_it_is_unavailable_but_alive() {
    let mut stack = Stack::with(StackOptions::default().own_postgres()).await;
    let berth = stack.start().await;

    assert_eq!(ready(&stack).await, (200, told("ready", true, true)));
    stack.redis.stop().await.unwrap();
    assert_eq!(ready(&stack).await, (200, told("degraded", true, false)));
    stack.redis.start_again().await.unwrap();
    stack.until("Redis is there again", async || ready(&stack).await.1["status"] == "ready").await;
    stack.postgres.stop(StopMode::Fast).await.unwrap();
    assert_eq!(ready(&stack).await.0, 503);
    assert_eq!(live(&stack).await, 200);
    assert_eq!(stack.get(Uuid::new_v4(), "/v1/orders").await.0, 503);
    stack.postgres.start_again().await.unwrap();
    stack.until("Postgres is there again", async || ready(&stack).await.0 == 200).await;
    assert_eq!(stack.get(Uuid::new_v4(), "/v1/orders").await.0, 200);
    berth.stop().await;
}

fn told(status: &str, database: bool, redis: bool) -> Value {
    json!({ "status": status, "database": database, "migrated": database, "redis": redis })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_lacks_a_migration_is_not_ready() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    sqlx::query(
        "delete from berth.schema_migrations where version = (select max(version) from berth.schema_migrations)",
    )
    .execute(&stack.pool)
    .await
    .unwrap();

    let (status, body) = ready(&stack).await;

    assert_eq!((status, &body["migrated"], &body["database"]), (503, &json!(false), &json!(true)));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_names_every_route_and_how_to_sign_in() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;

    let response = stack.client.get(format!("{}/openapi.json", stack.base())).send().await.unwrap();
    let description: Value = response.json().await.unwrap();

    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"), "{}", description["openapi"]);
    let routes = [
        ("/webhooks/stripe", "post"),
        ("/v1/plans", "get"),
        ("/v1/cart", "get"),
        ("/v1/cart", "delete"),
        ("/v1/cart/items", "post"),
        ("/v1/cart/items/{id}", "patch"),
        ("/v1/cart/items/{id}", "delete"),
        ("/v1/cart/coupon", "put"),
        ("/v1/cart/coupon", "delete"),
        ("/v1/cart/currency", "put"),
        ("/v1/carts/{customer_id}", "get"),
        ("/v1/carts/{customer_id}/items/{id}/price-override", "put"),
        ("/v1/carts/{customer_id}/items/{id}/price-override", "delete"),
        ("/v1/coupons", "get"),
        ("/v1/coupons", "post"),
        ("/v1/coupons/{code}", "get"),
        ("/v1/coupons/{code}", "patch"),
        ("/v1/coupons/{code}/end", "post"),
        ("/v1/checkout", "post"),
        ("/v1/orders", "get"),
        ("/v1/orders/{id}", "get"),
        ("/v1/orders/{id}/cancel", "post"),
        ("/v1/orders/{id}/approve", "post"),
        ("/v1/orders/{id}/reject", "post"),
        ("/v1/orders/{id}/ticket", "post"),
        ("/v1/orders/{id}/events", "get"),
        ("/v1/hosting", "get"),
        ("/v1/hosting/{id}", "get"),
        ("/v1/hosting/{id}", "patch"),
        ("/v1/hosting/{id}/cancel", "post"),
        ("/v1/hosting/{id}/uncancel", "post"),
        ("/v1/hosting/{id}/suspend", "post"),
        ("/v1/hosting/{id}/unsuspend", "post"),
        ("/v1/hosting/{id}/terminate", "post"),
        ("/v1/hosting/{id}/reveal", "post"),
        ("/v1/hosting/{id}/login", "post"),
        ("/v1/hosting/{id}/password", "post"),
        ("/v1/hosting/{id}/usage", "get"),
        ("/healthz", "get"),
        ("/readyz", "get"),
    ];
    for (path, method) in routes {
        let operation = &description["paths"][path][method];
        assert!(operation["responses"].is_object(), "{method} {path}");
        let signed_in = path.starts_with("/v1/") && path != "/v1/plans";
        assert_eq!(operation["security"][0]["bearer"].is_array(), signed_in, "{method} {path}");
    }
    assert_eq!(description["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    // Every schema that is referred to is there.
    let text = description.to_string();
    for part in text.split("\"#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(description["components"]["schemas"][name].is_object(), "{name}");
    }
    assert_eq!(stack.client.delete(format!("{}/v1/orders", stack.base())).send().await.unwrap().status(), 405);
    berth.stop().await;
}

async fn site(stack: &Stack, username: &str) -> u16 {
    let host = format!("{username}.localhost:{}", stack.address.port());
    stack.client.get(stack.base()).header("Host", host).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_the_panel_has_suspended_says_so_until_it_is_active_again() {
    let stack = Stack::new().await;
    let berth: Running = stack.start().await;
    let user = Uuid::new_v4();
    let (_, account) = bought(&stack, user).await;
    let (_, shown) = stack.get(user, &format!("/v1/hosting/{account}")).await;
    let username = shown["account_username"].as_str().unwrap().to_owned();
    let on_panel =
        AccountRef { account_id: account.parse().unwrap(), username: username.clone(), remote_id: None, domain: None };
    let panel = berth.app.panels.of(SITE_SERVER).unwrap();

    assert_eq!(site(&stack, &username).await, 200);
    panel.ensure_suspended(&on_panel, "payment_overdue").await.unwrap();
    assert_eq!(site(&stack, &username).await, 503);
    panel.ensure_active(&on_panel).await.unwrap();
    assert_eq!(site(&stack, &username).await, 200);
    panel.ensure_absent(&on_panel).await.unwrap();
    assert_eq!(site(&stack, &username).await, 404);
    berth.stop().await;
}
