//! A purchase, from the cart's request to a site that answers.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::support::{Stack, WatchedPanel, cart::slug};

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_checkout_becomes_a_site_that_answers() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();

    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.until_idle().await;

    let (_, shown) = stack.get(user, &format!("/v1/orders/{order}")).await;
    assert_eq!(shown["status"], "completed");
    assert_eq!(shown["total"], "4.99");
    let account = shown["items"][0]["hosting_account_id"].as_str().unwrap().to_owned();
    let (_, hosting) = stack.get(user, &format!("/v1/hosting/{account}")).await;
    assert_eq!(hosting["status"], "active", "{hosting}");
    assert_eq!(hosting["nameservers"], json!(["ns1.ks-foundation.com", "ns2.ks-foundation.com"]));
    let username = hosting["account_username"].as_str().unwrap();
    let site = stack
        .client
        .get(stack.base())
        .header("Host", format!("{username}.localhost:{}", stack.address.port()))
        .send()
        .await
        .unwrap();
    assert_eq!(site.status(), 200);
    let subjects: Vec<String> = stack.mailbox.mails().iter().map(|mail| mail.subject.clone()).collect();
    assert_eq!(subjects.len(), 2, "{subjects:?}");
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quantity_of_three_makes_three_accounts_and_completes_once() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();

    let (order, session) = stack.checkout(user, "vps-monthly", 3).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.until_idle().await;

    let (_, shown) = stack.get(user, &format!("/v1/orders/{order}")).await;
    assert_eq!(shown["total"], "59.97");
    let accounts: BTreeSet<&str> =
        shown["items"].as_array().unwrap().iter().map(|item| item["hosting_account_id"].as_str().unwrap()).collect();
    assert_eq!(accounts.len(), 3);
    let steps: Vec<&str> = shown["timeline"].as_array().unwrap().iter().map(|s| s["to"].as_str().unwrap()).collect();
    assert_eq!(steps, ["pending", "processing", "completed"]);
    assert_eq!(stack.mailbox.mails().len(), 4, "one confirmation and three welcomes");
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sold_as_asked_makes_no_order_and_asks_nothing_of_stripe() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let user = Uuid::new_v4();
    let one = |service: &str, quantity: Value| json!({ "items": [{ "service_id": service, "quantity": quantity }] });
    let refused = [
        (422, one("shared-weekly", json!(1))),
        (422, one("Shared Hosting", json!(1))),
        (422, one("", json!(1))),
        (422, one("shared-monthly", json!(0))),
        (422, one("shared-monthly", json!(11))),
        (400, one("shared-monthly", json!(-1))),
        (400, one("shared-monthly", json!(1.5))),
        (400, one("shared-monthly", json!("1"))),
        (422, json!({ "items": [] })),
        (422, json!({})),
        (400, json!([])),
        // Six and five of one service are eleven.
        (
            422,
            json!({ "items": [
                { "service_id": "shared-monthly", "quantity": 6 },
                { "service_id": "shared-monthly", "quantity": 5 },
            ] }),
        ),
        (400, json!({ "items": [{ "service_id": "shared-monthly", "price": "0.01" }] })),
        (400, json!({ "items": [{ "service_id": "shared-monthly" }], "total": "0.01" })),
        (422, json!({ "items": [{ "service_id": "shared-monthly" }], "currency": "JPY" })),
    ];

    for (expected, body) in &refused {
        let (status, problem) = stack.post(user, "/v1/checkout", body).await;
        assert_eq!(status, *expected, "{body}: {problem}");
        assert_eq!(problem["status"], *expected, "{body}: {problem}");
    }
    let url = format!("{}/v1/checkout", stack.base());
    let good = one("shared-monthly", json!(1));
    assert_eq!(stack.client.post(&url).json(&good).send().await.unwrap().status(), 401);
    let as_text = stack.client.post(&url).bearer_auth(stack.token(user)).body(good.to_string());
    assert_eq!(as_text.send().await.unwrap().status(), 415);
    let large = json!({ "items": [], "pad": "x".repeat(70_000) });
    assert_eq!(stack.post(user, "/v1/checkout", &large).await.0, 413);

    assert_eq!(stack.count("select count(*) from berth.orders").await, 0);
    assert_eq!(stack.sim_get("requests").await["requests"], json!([]));
    berth.stop().await;
}

/// A checkout under a key of the caller's own.
async fn under_key(stack: &Stack, user: Uuid, key: &str, quantity: u32) -> (u16, bool, Value) {
    let body = json!({ "items": [{ "service_id": "shared-monthly", "quantity": quantity }] });
    stack.buy(user, Some(key), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_order_and_with_another_body_it_is_refused() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let (user, other) = (Uuid::new_v4(), Uuid::new_v4());

    let (status, replayed, first) = under_key(&stack, user, "cart-1", 1).await;
    assert_eq!((status, replayed), (201, false), "{first}");
    assert_eq!(under_key(&stack, user, "cart-1", 1).await, (201, true, first.clone()));
    let (status, _, problem) = under_key(&stack, user, "cart-1", 2).await;
    assert_eq!((status, slug(&problem)), (422, "idempotency-key-reused"));
    assert_eq!(under_key(&stack, user, "", 1).await.0, 400);
    assert_eq!(under_key(&stack, user, &"x".repeat(256), 1).await.0, 400);

    // Another key or another customer is another order.
    let (_, _, second) = under_key(&stack, user, "cart-2", 1).await;
    let (_, replayed, theirs) = under_key(&stack, other, "cart-1", 1).await;
    assert!(!replayed);
    let orders: BTreeSet<&str> = [&first, &second, &theirs].map(|a| a["order_id"].as_str().unwrap()).into();
    assert_eq!(orders.len(), 3);
    assert_eq!(stack.count("select count(*) from berth.orders").await, 3);
    assert_eq!(stack.sim_get("records").await["checkout_sessions"].as_array().unwrap().len(), 3);
    assert_eq!(stack.sim_get("records").await["customers"].as_array().unwrap().len(), 2);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_checkouts_under_one_key_at_once_one_is_worked_on_and_the_others_are_told_so() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let user = Uuid::new_v4();
    // Stripe takes so long that the others come while the first one waits.
    let slow = json!({ "kind": "timeout_after_commit", "hold_milliseconds": 1000 });
    break_stripe(&stack, "/v1/checkout/sessions", &slow, 1).await;

    let answers = join_all((0..10).map(|_| under_key(&stack, user, "cart", 1))).await;

    let (answered, told): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _, _)| *status == 201);
    assert_eq!(answered.len(), 1, "{answers:?}");
    assert!(!answered[0].1, "it was not answered before");
    for (status, _, problem) in told {
        assert_eq!((*status, slug(problem)), (409, "idempotency-in-flight"), "{problem}");
    }
    assert_eq!(under_key(&stack, user, "cart", 1).await, (201, true, answered[0].2.clone()));
    assert_eq!(stack.count("select count(*) from berth.orders").await, 1);
    assert_eq!(stack.sim_get("records").await["checkout_sessions"].as_array().unwrap().len(), 1);
    assert_eq!(stack.sim_get("records").await["customers"].as_array().unwrap().len(), 1);
    berth.stop().await;
}

/// Which keys are being worked on is known within a process only: between two of them the rows decide.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_are_asked_at_once_under_one_key_make_one_order_with_one_page() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let (app, tasks) = stack.app(&WatchedPanel::new()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let servers = [stack.base(), format!("http://{}", listener.local_addr().unwrap())];
    let second = tokio::spawn({
        let tasks = tasks.clone();
        async move { berth::http::serve(app, listener, None, &tasks).await }
    });
    let token = stack.token(Uuid::new_v4());
    let body = json!({ "items": [{ "service_id": "shared-monthly" }] });

    let asked = servers.iter().cycle().take(10).map(async |server| {
        let request = stack.client.post(format!("{server}/v1/checkout")).bearer_auth(&token);
        let answer = request.header("Idempotency-Key", "cart").json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    });
    let (answered, told): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().partition(|(status, _)| *status == 201);

    let orders: BTreeSet<String> = answered.iter().map(|(_, order)| order.to_string()).collect();
    assert_eq!(orders.len(), 1, "{orders:?}");
    for (status, problem) in told {
        assert_eq!((status, slug(&problem)), (409, "idempotency-in-flight"), "{problem}");
    }
    assert_eq!(stack.count("select count(*) from berth.orders").await, 1);
    assert_eq!(stack.sim_get("records").await["checkout_sessions"].as_array().unwrap().len(), 1);
    assert_eq!(stack.sim_get("records").await["customers"].as_array().unwrap().len(), 1);
    tasks.draining.cancel();
    second.await.unwrap().unwrap();
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_first_checkouts_of_a_customer_at_once_make_one_customer_at_stripe() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let user = Uuid::new_v4();

    let keys: Vec<String> = (0..10).map(|number| format!("cart-{number}")).collect();
    let answers = join_all(keys.iter().map(|key| under_key(&stack, user, key, 1))).await;

    assert!(answers.iter().all(|(status, _, _)| *status == 201), "{answers:?}");
    assert_eq!(stack.count("select count(*) from berth.orders").await, 10);
    assert_eq!(stack.sim_get("records").await["checkout_sessions"].as_array().unwrap().len(), 10);
    assert_eq!(stack.sim_get("records").await["customers"].as_array().unwrap().len(), 1);
    berth.stop().await;
}

/// How Stripe's answers to a path go wrong until the faults are cleared.
async fn break_stripe(stack: &Stack, path: &str, fault: &Value, times: u32) {
    let fault = json!({ "on": "response", "path_prefix": path, "method": "POST", "times": times, "fault": fault });
    stack.sim("faults", &json!({ "faults": [fault] })).await;
}

async fn mend_stripe(stack: &Stack) {
    let cleared = stack.client.delete(format!("{}/_sim/faults", stack.stripe)).send().await.unwrap();
    assert_eq!(cleared.status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_stripe_fails_a_checkout_is_refused_and_asked_again_it_is_the_same_order_with_one_page() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let faults = [
        json!({ "kind": "timeout_before_commit", "hold_milliseconds": 20 }),
        json!({ "kind": "timeout_after_commit", "hold_milliseconds": 20 }),
        json!({ "kind": "cut_mid_body" }),
        json!({ "kind": "bad_gateway", "committed": false }),
        json!({ "kind": "bad_gateway", "committed": true }),
        json!({ "kind": "rate_limited", "should_retry": null, "retry_after_seconds": null }),
        json!({ "kind": "lacking_fields", "fields": ["id"] }),
        json!({ "kind": "lacking_fields", "fields": ["url"] }),
    ];
    let count = faults.len();

    for fault in faults {
        let user = Uuid::new_v4();
        break_stripe(&stack, "/v1/checkout/sessions", &fault, 1000).await;
        let (status, _, problem) = under_key(&stack, user, "cart", 1).await;
        assert_eq!(status, 503, "{fault}: {problem}");
        assert!(!problem["detail"].as_str().unwrap().contains("Nothing was changed"), "{problem}");
        let (status, _, _) = under_key(&stack, user, "cart", 1).await;
        assert_eq!(status, 503, "{fault}, a second time");
        mend_stripe(&stack).await;
        let (status, replayed, answer) = under_key(&stack, user, "cart", 1).await;
        assert_eq!((status, replayed), (201, true), "{fault}: {answer}");
        assert_eq!(answer["order_id"], problem["order_id"], "{fault}");
        assert_eq!(under_key(&stack, user, "cart", 1).await, (201, true, answer));
    }

    let records = stack.sim_get("records").await;
    assert_eq!(records["checkout_sessions"].as_array().unwrap().len(), count);
    assert_eq!(stack.count("select count(*) from berth.orders").await, i64::try_from(count).unwrap());
    assert_eq!(stack.count("select count(distinct stripe_session_id) from berth.orders").await, 8);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_the_same_request_finds_the_order_whose_page_could_not_be_opened() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let user = Uuid::new_v4();
    let body = json!({ "items": [{ "service_id": "shared-monthly" }] });
    let fault = json!({ "kind": "bad_gateway", "committed": false });
    break_stripe(&stack, "/v1/checkout/sessions", &fault, 1000).await;
    let (status, _, first) = stack.buy(user, None, &body).await;
    assert_eq!(status, 503, "{first}");
    let (status, _, second) = stack.buy(user, None, &body).await;
    assert_eq!((status, &second["order_id"]), (503, &first["order_id"]), "{second}");
    mend_stripe(&stack).await;

    let (status, _, third) = stack.buy(user, None, &body).await;
    assert_eq!((status, &third["order_id"]), (201, &first["order_id"]), "{third}");
    // With its page it has been answered: whoever asks once more wants another one.
    let (status, _, fourth) = stack.buy(user, None, &body).await;
    assert_eq!(status, 201, "{fourth}");
    assert_ne!(fourth["order_id"], first["order_id"]);
    assert_eq!(stack.count("select count(*) from berth.orders").await, 2);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lost_answer_of_stripes_is_not_noticed_by_the_customer_and_doubles_nothing() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let faults = [
        json!({ "kind": "timeout_after_commit", "hold_milliseconds": 20 }),
        json!({ "kind": "cut_mid_body" }),
        json!({ "kind": "bad_gateway", "committed": true }),
    ];

    for path in ["/v1/customers", "/v1/checkout/sessions"] {
        for fault in &faults {
            break_stripe(&stack, path, fault, 1).await;
            let (status, _, answer) = under_key(&stack, Uuid::new_v4(), "cart", 1).await;
            assert_eq!(status, 201, "{path} {fault}: {answer}");
        }
    }

    let records = stack.sim_get("records").await;
    assert_eq!(records["checkout_sessions"].as_array().unwrap().len(), 6);
    assert_eq!(records["customers"].as_array().unwrap().len(), 6);
    assert_eq!(stack.sim_get("faults").await["faults"], json!([]), "every fault has struck");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_opening_nobody_heard_of_is_paid_all_the_same() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let fault = json!({ "kind": "timeout_after_commit", "hold_milliseconds": 20 });
    break_stripe(&stack, "/v1/checkout/sessions", &fault, 1000).await;
    assert_eq!(under_key(&stack, user, "cart", 1).await.0, 503);
    mend_stripe(&stack).await;
    let records = stack.sim_get("records").await;
    let session = records["checkout_sessions"][0]["id"].as_str().unwrap();

    stack.pay(session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.until_idle().await;

    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_stripe_remembers_is_no_end_and_a_page_that_it_opened_all_the_same_is_found() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;

    // Stripe answers the same to the same key for a day.
    let fault = json!({ "kind": "server_error", "committed": false });
    break_stripe(&stack, "/v1/checkout/sessions", &fault, 1000).await;
    assert_eq!(under_key(&stack, Uuid::from_u128(1), "cart", 1).await.0, 503);
    mend_stripe(&stack).await;
    let (status, replayed, answer) = under_key(&stack, Uuid::from_u128(1), "cart", 1).await;
    assert_eq!((status, replayed), (201, true), "{answer}");
    assert_eq!(stack.sim_get("records").await["checkout_sessions"].as_array().unwrap().len(), 1);

    let fault = json!({ "kind": "server_error", "committed": true });
    break_stripe(&stack, "/v1/checkout/sessions", &fault, 1000).await;
    let (status, _, found) = under_key(&stack, Uuid::from_u128(2), "cart", 1).await;
    assert_eq!(status, 201, "{found}");
    assert_eq!(stack.sim_get("records").await["checkout_sessions"].as_array().unwrap().len(), 2);
    assert_eq!(stack.count("select count(*) from berth.orders where stripe_session_id is not null").await, 2);
    stack.audit_rows().await;
    berth.stop().await;
}
