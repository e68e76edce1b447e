//! `/v1/me`: what customers say of themselves, and how they are forgotten.

use std::time::Duration;

use berth::http::auth::development_token;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::Stack;

/// Asks `/v1/me` as a customer.
async fn me(stack: &Stack, user: Uuid, method: Method, body: Option<&Value>) -> (u16, Value) {
    let request = stack.client.request(method, format!("{}/v1/me", stack.base())).bearer_auth(stack.token(user));
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn get(stack: &Stack, user: Uuid) -> (u16, Value) {
    me(stack, user, Method::GET, None).await
}

async fn put(stack: &Stack, user: Uuid, body: &Value) -> (u16, Value) {
    me(stack, user, Method::PUT, Some(body)).await
}

async fn delete(stack: &Stack, user: Uuid) -> (u16, Value) {
    me(stack, user, Method::DELETE, None).await
}

fn slug(problem: &Value) -> &str {
    problem["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_replaced_as_a_whole_and_kept_in_one_spelling() {
    let stack = Stack::new().await;
    let running = stack.start_with(&[]).await;
    let user = Uuid::new_v4();

    let (status, nobody) = get(&stack, user).await;
    assert_eq!((status, &nobody["email"]), (200, &json!(format!("{user}@customer.test"))));
    assert!(nobody["name"].is_null() && nobody["country"].is_null() && nobody["created_at"].is_null(), "{nobody}");

    let full = json!({
        "name": " Zoë Ada ", "company": "Zoë & Söhne <GmbH>", "country": "de", "vat_id": "de 123.456.789",
        "address": { "line1": "Am Hafen 1", "line2": "", "city": "Hamburg", "postal_code": "20457", "region": null },
    });
    let (status, kept) = put(&stack, user, &full).await;
    assert_eq!(status, 200, "{kept}");
    assert_eq!(
        (&kept["name"], &kept["company"], &kept["country"], &kept["vat_id"]),
        (&json!("Zoë Ada"), &json!("Zoë & Söhne <GmbH>"), &json!("DE"), &json!("DE123456789"))
    );
    assert_eq!(
        kept["address"],
        json!({ "line1": "Am Hafen 1", "line2": null, "city": "Hamburg", "postal_code": "20457", "region": null })
    );
    assert_eq!(get(&stack, user).await, (200, kept));

    let (status, less) = put(&stack, user, &json!({ "country": "AT" })).await;
    assert_eq!((status, &less["country"]), (200, &json!("AT")));
    for gone in ["name", "company", "address", "vat_id"] {
        assert!(less[gone].is_null(), "what is left out is taken away: {less}");
    }
    let (_, other) = get(&stack, Uuid::new_v4()).await;
    assert!(other["country"].is_null(), "a profile is its customer's own");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_is_not_right_changes_nothing_and_each_field_is_told_what_to_do() {
    let stack = Stack::new().await;
    let running = stack.start_with(&[]).await;
    let user = Uuid::new_v4();
    assert_eq!(put(&stack, user, &json!({ "name": "Zoë", "country": "DE" })).await.0, 200);

    let bad = json!({
        "name": "a\u{0}b", "company": "x".repeat(201), "country": "XX", "vat_id": "FR123",
        "address": { "line1": "one\ntwo", "city": " " },
    });
    let (status, problem) = put(&stack, user, &bad).await;

    assert_eq!((status, slug(&problem)), (422, "profile-invalid"), "{problem}");
    let errors = problem["errors"].as_array().unwrap();
    let fields: Vec<&str> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["name", "company", "country", "address.line1", "address.city", "vat_id"]);
    assert!(errors.iter().all(|error| !error["detail"].as_str().unwrap().is_empty()), "{problem}");
    assert_eq!(get(&stack, user).await.1["name"], "Zoë");

    for (body, field) in [
        (json!({ "name": 5 }), "name"),
        (json!({ "address": { "line1": [] } }), "address.line1"),
        (json!({ "address": "Am Hafen 1" }), "address"),
        (json!({ "address": ["Am Hafen 1", null, "Hamburg"] }), "address"),
        (json!({ "email": "mine@example.com" }), "email"),
        (json!(["Zoë"]), ""),
    ] {
        let (status, problem) = put(&stack, user, &body).await;
        let named = problem["field"].as_str().unwrap_or_default();
        assert_eq!((status, slug(&problem), named), (400, "invalid-body", field), "{problem}");
    }
    let large = json!({ "name": "x".repeat(70_000) });
    assert_eq!(put(&stack, user, &large).await.0, 413);
    let url = format!("{}/v1/me", stack.base());
    let text = stack.client.put(&url).bearer_auth(stack.token(user)).body("name=Zoë").send().await.unwrap();
    assert_eq!(text.status().as_u16(), 415);
    assert_eq!(stack.client.put(&url).json(&json!({})).send().await.unwrap().status().as_u16(), 401);

    let auth = stack.config().auth;
    let now = berth::clock::Clock::machine();
    let without_mail = development_token(&auth, Uuid::new_v4(), None, false, now, Duration::from_secs(60)).unwrap();
    let answer = stack.client.put(&url).bearer_auth(without_mail).json(&json!({})).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 422);
    assert_eq!(slug(&answer.json().await.unwrap()), "no-email");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_deleted_is_forgotten_for_good_and_not_while_something_of_theirs_runs() {
    let stack = Stack::new().await;
    let running = stack.start().await;
    let user = Uuid::new_v4();
    assert_eq!(put(&stack, user, &json!({ "name": "Zoë", "country": "DE" })).await.0, 200);
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;

    let (status, problem) = delete(&stack, user).await;
    assert_eq!((status, slug(&problem)), (409, "customer-busy"), "{problem}");
    assert_eq!((&problem["orders"], &problem["accounts"]), (&json!([order]), &json!([])));
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    let (status, problem) = delete(&stack, user).await;
    assert_eq!((status, &problem["orders"]), (409, &json!([])), "{problem}");
    let account = stack.text("select berth.show_id('acc_', id) from berth.hosting_accounts").await;
    assert_eq!(problem["accounts"], json!([account]));
    assert!(problem["detail"].as_str().unwrap().contains(&account), "{problem}");
    assert_eq!(stack.count("select count(*) from berth.audit").await, 0, "nothing was done");

    stack.until_idle().await;
    sqlx::query("update berth.hosting_accounts set phase = 'terminated'").execute(&stack.pool).await.unwrap();
    assert_eq!(delete(&stack, user).await, (204, json!("")));
    assert_eq!(delete(&stack, user).await.0, 204, "asking again changes nothing");

    assert_eq!(
        stack.text("select concat_ws(' ', actor = subject, action, reason) from berth.audit").await,
        "t customer.delete"
    );
    assert_eq!(stack.count("select count(*) from berth.orders o join berth.payments p on p.order_id = o.id").await, 1);
    for (status, problem) in [get(&stack, user).await, put(&stack, user, &json!({ "name": "Zoë" })).await] {
        assert_eq!((status, slug(&problem)), (410, "customer-deleted"), "{problem}");
    }
    let again = json!({ "items": [{ "service_id": "shared-monthly", "quantity": 1 }] });
    assert!(stack.post(user, "/v1/checkout", &again).await.0 >= 400, "nothing can be bought");
    assert_eq!(stack.count("select count(*) from berth.orders").await, 1);
    assert_eq!(
        stack.text("select concat_ws(' ', split_part(email, '@', 2), name, country) from berth.customers").await,
        "deleted.invalid",
        "no request brought the person back"
    );
    assert_eq!(stack.get(user, &format!("/v1/orders/{order}")).await.0, 200, "what was bought can still be looked at");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_never_here_has_nothing_to_delete() {
    let stack = Stack::new().await;
    let running = stack.start_with(&[]).await;

    assert_eq!(delete(&stack, Uuid::new_v4()).await.0, 204);

    assert_eq!(
        stack.count("select (select count(*) from berth.customers) + (select count(*) from berth.audit)").await,
        0
    );
    running.stop().await;
}
