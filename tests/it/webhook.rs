//! What Stripe sends is taken once, or refused and leaves nothing.

use std::{collections::BTreeSet, path::PathBuf};

use base64::Engine as _;
use berth::{clock::Clock, dev::servers::StopMode, gateways::stripe::webhook::sign};
use berth_jobs::Queue;
use futures::future::join_all;
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Stack, StackOptions, WEBHOOK_SECRET, events::session_event};

const MEBIBYTE: usize = 1024 * 1024;
const COMPLETED: &str = "checkout.session.completed";

fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/stripe").join(path)
}

fn now() -> i64 {
    Clock::machine().as_second()
}

fn signed_at(body: &[u8], secret: &str, at: i64) -> String {
    sign(body, &SecretString::from(secret), at)
}

/// An event that needs no job, of exactly that size.
fn event_of_size(id: &str, bytes: usize) -> Vec<u8> {
    let head = format!("{{\"id\":\"{id}\",\"type\":\"charge.succeeded\",\"pad\":\"");
    let pad = "x".repeat(bytes - head.len() - 2);
    format!("{head}{pad}\"}}").into_bytes()
}

async fn assert_left_nothing(stack: &Stack) {
    assert_eq!(stack.count("select count(*) from berth.stripe_events").await, 0);
    assert_eq!(stack.count("select count(*) from berth.jobs").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_known_shape_of_event_is_acknowledged_and_stored_byte_for_byte() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let mut files: Vec<PathBuf> = std::fs::read_dir(data("events")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 50, "{}", files.len());

    for file in &files {
        let body = std::fs::read(file).unwrap();
        assert_eq!(stack.send_event(&body).await, 200, "{}", file.display());
        let event: Value = serde_json::from_slice(&body).unwrap();
        let stored: Vec<u8> = sqlx::query_scalar("select payload from berth.stripe_events where id = $1")
            .bind(event["id"].as_str().unwrap())
            .fetch_one(&stack.pool)
            .await
            .unwrap();
        assert!(stored == body, "{}", file.display());
    }
    stack.until_idle().await;

    let outcome = async |id: &str| -> String {
        let sql = "select outcome from berth.stripe_events where id = $1";
        sqlx::query_scalar(sql).bind(id).fetch_one(&stack.pool).await.unwrap()
    };
    assert_eq!(outcome("evt_1BerthTest0047").await, "parked", "an event of live mode");
    assert_eq!(outcome("evt_1BerthTest0046").await, "ignored", "a connected account's");
    assert_eq!(outcome("evt_test_65BerthThin0001").await, "ignored", "a thin event");
    assert_eq!(outcome("evt_1BerthTest0001").await, "ignored", "paid, but of no order of ours");
    assert_eq!(stack.count("select count(*) from berth.stripe_events where outcome = 'pending'").await, 0);
    assert_eq!(stack.count("select count(*) from berth.alerts where kind = 'event_of_other_mode'").await, 1);
    assert_eq!(stack.count("select count(*) from berth.alerts").await, 1);
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts").await, 0);
    assert_eq!(stack.count("select count(*) from berth.jobs where state <> 'done'").await, 0);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_stripes_or_not_now_or_not_json_is_refused_and_leaves_nothing() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let good = event_of_size("evt_refused", 200);
    let other = event_of_size("evt_other", 200);
    let not_utf8 = b"{\"id\":\"evt_latin1\",\"type\":\"caf\xe9\"}".to_vec();
    let truncated = good[..150].to_vec();
    let by_us = |body: &[u8], at: i64| Some(signed_at(body, WEBHOOK_SECRET, at));
    let v1 = signed_at(&good, WEBHOOK_SECRET, now());
    let refused = [
        ("no header", &good, None),
        ("an empty header", &good, Some(String::new())),
        ("another secret", &good, Some(signed_at(&good, "whsec_other", now()))),
        ("the secret without its prefix", &good, Some(signed_at(&good, &WEBHOOK_SECRET[6..], now()))),
        ("another body", &other, by_us(&good, now())),
        ("a time that was not signed", &good, Some(v1.replacen("t=1", "t=2", 1))),
        ("only v0", &good, Some(v1.replace("v1=", "v0="))),
        ("301 s old", &good, by_us(&good, now() - 301)),
        ("well ahead", &good, by_us(&good, now() + 310)),
        ("not UTF-8", &not_utf8, by_us(&not_utf8, now())),
        ("cut off", &truncated, by_us(&truncated, now())),
        ("nothing at all", &Vec::new(), by_us(b"", now())),
    ];

    for (what, body, header) in refused {
        assert_eq!(stack.send_signed(body, header.as_deref()).await, 400, "{what}");
    }
    assert_left_nothing(&stack).await;

    // The same body is taken once it is signed well, so it was not the body that was refused above.
    assert_eq!(stack.send_signed(&good, by_us(&good, now() - 290).as_deref()).await, 200);
    assert_eq!(stack.count("select count(*) from berth.stripe_events").await, 1);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_signature_vectors_the_old_headers_are_refused_and_the_bodies_signed_now_are_taken_if_they_are_json() {
    let text = std::fs::read_to_string(data("signature_vectors.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let secrets: BTreeSet<&str> =
        vectors.iter().flat_map(|v| v["secrets"].as_array().unwrap()).filter_map(Value::as_str).collect();
    let secrets: Vec<&str> = secrets.into_iter().filter(|s| !s.is_empty() && !s.contains(',')).collect();
    let options = StackOptions::default().setting("stripe.webhook_secrets", &secrets.join(","));
    let stack = Stack::with(options).await;
    let berth = stack.start_with(&[]).await;

    for vector in vectors {
        let body = base64::engine::general_purpose::STANDARD.decode(vector["payload_b64"].as_str().unwrap()).unwrap();
        let header = vector["header"].as_str().filter(|text| axum::http::HeaderValue::from_str(text).is_ok());
        assert_eq!(stack.send_signed(&body, header).await, 400, "{}", vector["name"]);
    }
    assert_left_nothing(&stack).await;
    for vector in vectors {
        let body = base64::engine::general_purpose::STANDARD.decode(vector["payload_b64"].as_str().unwrap()).unwrap();
        let is_json = serde_json::from_slice::<Value>(&body).is_ok();
        let status = stack.send_signed(&body, Some(&signed_at(&body, secrets[0], now()))).await;
        let expected = match (body.len() > MEBIBYTE, is_json) {
            (true, _) => 413,
            (false, true) => 200,
            (false, false) => 400,
        };
        assert_eq!(status, expected, "{}", vector["name"]);
    }
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_a_mebibyte_is_refused_however_it_comes_and_one_of_a_mebibyte_is_taken() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let large = event_of_size("evt_large", MEBIBYTE + 1);
    let full = event_of_size("evt_full", MEBIBYTE);
    let head = |body: &[u8], framing: &str| {
        let signature = signed_at(body, WEBHOOK_SECRET, now());
        format!(
            "POST /webhooks/stripe HTTP/1.1\r\nHost: {}\r\nStripe-Signature: {signature}\r\n{framing}\r\n\r\n",
            stack.address
        )
        .into_bytes()
    };
    let chunked = |body: &[u8]| {
        let mut bytes = head(body, "Transfer-Encoding: chunked");
        for chunk in body.chunks(64 * 1024) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    };

    let announced = stack.raw(head(&large, &format!("Content-Length: {}", large.len()))).await;
    let unannounced = stack.raw(chunked(&large)).await;
    assert_eq!((announced, unannounced), (413, 413));
    assert_left_nothing(&stack).await;

    assert_eq!(stack.raw(chunked(&full)).await, 200);
    assert_eq!(stack.send_event(&event_of_size("evt_full_too", MEBIBYTE)).await, 200);
    assert_eq!(stack.count("select count(*) from berth.stripe_events where length(payload) = 1048576").await, 2);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_secret_is_rolled_either_one_is_enough() {
    let options = StackOptions::default().setting("stripe.webhook_secrets", "whsec_old,whsec_new");
    let stack = Stack::with(options).await;
    let berth = stack.start_with(&[]).await;
    let body = |id: &str| event_of_size(id, 200);
    let signature = |header: String| header.split_once(",").unwrap().1.to_owned();

    for (id, secret, status) in
        [("evt_1", "whsec_old", 200), ("evt_2", "whsec_new", 200), ("evt_3", "whsec_older", 400)]
    {
        let body = body(id);
        assert_eq!(stack.send_signed(&body, Some(&signed_at(&body, secret, now()))).await, status, "{secret}");
    }
    let (body, at) = (body("evt_4"), now());
    let unknown = signature(signed_at(&body, "whsec_unknown", at));
    let known = signature(signed_at(&body, "whsec_new", at));
    assert_eq!(stack.send_signed(&body, Some(&format!("t={at},{unknown},{known}"))).await, 200);
    assert_eq!(stack.count("select count(*) from berth.stripe_events").await, 3);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_of_no_known_shape_is_parked_for_a_person_and_acknowledged() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;

    let bodies = [
        "[]",
        "null",
        "{}",
        "{\"id\":7,\"type\":\"x\"}",
        "\"text\"",
        "{\"id\":\"evt_\\u0000\",\"type\":\"a\\u0000b\"}",
    ];
    for body in bodies {
        assert_eq!(stack.send_event(body.as_bytes()).await, 200, "{body}");
        assert_eq!(stack.send_event(body.as_bytes()).await, 200, "{body} again");
    }

    let count = i64::try_from(bodies.len()).unwrap();
    assert_eq!(stack.count("select count(*) from berth.stripe_events where outcome = 'parked'").await, count);
    assert_eq!(stack.count("select count(*) from berth.alerts where kind = 'event_unreadable'").await, count);
    assert_eq!(stack.count("select count(*) from berth.jobs").await, 0);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_while_postgres_is_away_is_refused_and_taken_when_it_is_sent_again() {
    let mut stack = Stack::with(StackOptions::default().own_postgres()).await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    let event = session_event("evt_outage", COMPLETED, &order, &session, 499, "paid").to_string().into_bytes();

    stack.postgres.stop(StopMode::Fast).await.unwrap();
    assert_eq!(stack.send_event(&event).await, 503);
    stack.postgres.start_again().await.unwrap();
    stack.until("the event is taken", async || stack.send_event(&event).await == 200).await;

    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.until_idle().await;
    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'complete_checkout'").await, 1);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_twenty_times_at_once_makes_one_of_everything() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (order, session) = stack.checkout(user, "shared-monthly", 2).await;
    let event = session_event("evt_twenty", COMPLETED, &order, &session, 998, "paid").to_string().into_bytes();

    let answers = join_all((0..20).map(|_| stack.send_event(&event))).await;
    assert_eq!(answers, [200; 20]);
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.until_idle().await;
    // And once more when everything is over.
    assert_eq!(stack.send_event(&event).await, 200);
    stack.until_idle().await;

    assert_eq!(stack.count("select count(*) from berth.stripe_events where id = 'evt_twenty'").await, 1);
    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'complete_checkout'").await, 1);
    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'provision_account'").await, 2);
    assert_eq!(stack.count("select count(*) from berth.order_history").await, 3, "agreed, paid, completed");
    assert_eq!(stack.count("select count(*) from berth.payments").await, 1);
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts").await, 2);
    let mut kinds: Vec<String> = stack.mailbox.mails().iter().map(|mail| mail.subject.clone()).collect();
    kinds.sort();
    assert_eq!(kinds.len(), 3, "one confirmation and two welcomes: {kinds:?}");
    stack.audit().await;
    berth.stop().await;
}

/// Every order of the indices 0 to `n - 1`, as a list of them.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in permutations(n - 1) {
        for at in 0..n {
            let mut longer = shorter.clone();
            longer.insert(at, n - 1);
            all.push(longer);
        }
    }
    all
}

/// What Stripe may say of a session that was paid by a delayed method: `(type, payment status, event)`.
const DELAYED: [(&str, &str, &str); 5] = [
    (COMPLETED, "unpaid", "unpaid"),
    ("checkout.session.async_payment_succeeded", "paid", "succeeded"),
    ("checkout.session.async_payment_succeeded", "paid", "succeeded"), // the same, delivered again
    (COMPLETED, "unpaid", "unpaid"),                                   // and this
    ("checkout.session.expired", "unpaid", "expired"),
];
/// As if a first try had failed, with another event for the success.
const AFTER_FAILURE: [(&str, &str, &str); 4] = [
    (COMPLETED, "unpaid", "unpaid"),
    ("checkout.session.async_payment_failed", "unpaid", "failed"),
    ("checkout.session.async_payment_succeeded", "paid", "succeeded"),
    (COMPLETED, "paid", "paid"),
];

#[tokio::test(flavor = "multi_thread")]
async fn in_whatever_order_the_events_of_a_session_come_it_ends_the_same() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let mut sequences: BTreeSet<Vec<(&str, &str, &str)>> = BTreeSet::new();
    sequences.extend(permutations(5).iter().map(|order| order.iter().map(|at| DELAYED[*at]).collect()));
    sequences.extend(permutations(4).iter().map(|order| order.iter().map(|at| AFTER_FAILURE[*at]).collect()));
    assert_eq!(sequences.len(), 30 + 24);
    let mut orders = Vec::new();
    for sequence in sequences {
        let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
        let events: Vec<Vec<u8>> = sequence
            .iter()
            .map(|(kind, status, name)| {
                let id = format!("evt_{name}_{order}");
                session_event(&id, kind, &order, &session, 499, status).to_string().into_bytes()
            })
            .collect();
        orders.push((order, sequence, events));
    }
    let total = i64::try_from(orders.len()).unwrap();

    // One event of each order at a time, each acted on before the next one comes.
    for step in 0..DELAYED.len() {
        let sends = orders.iter().filter_map(|(_, _, events)| events.get(step)).map(|event| stack.send_event(event));
        assert!(join_all(sends).await.iter().all(|status| *status == 200));
        stack.until_idle().await;
    }

    for (order, sequence, _) in &orders {
        let (_, shown) = stack.get(user, &format!("/v1/orders/{order}")).await;
        assert_eq!(shown["status"], "completed", "after {sequence:?}: {}", shown["timeline"]);
    }
    assert_eq!(stack.count("select count(*) from berth.payments where state = 'succeeded'").await, total);
    assert_eq!(stack.count("select count(*) from berth.order_history where to_phase = 'processing'").await, total);
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts where phase = 'active'").await, total);
    assert_eq!(stack.count("select count(*) from berth.mails where kind = 'order_confirmation'").await, total);
    assert_eq!(stack.count("select count(*) from berth.mails where kind = 'welcome'").await, total);
    assert_eq!(stack.mailbox.mails().len(), usize::try_from(2 * total).unwrap());
    assert_eq!(stack.count("select count(*) from berth.alerts").await, 0);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_events_of_a_session_at_once_end_the_same() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let mut events = Vec::new();
    for _ in 0..10 {
        let (order, session) = stack.checkout(user, "shared-monthly", 2).await;
        events.extend(DELAYED.iter().chain(&AFTER_FAILURE).map(|(kind, status, name)| {
            let id = format!("evt_{name}_{order}");
            session_event(&id, kind, &order, &session, 998, status).to_string().into_bytes()
        }));
    }

    let answers = join_all(events.iter().map(|event| stack.send_event(event))).await;
    assert!(answers.iter().all(|status| *status == 200));
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 10).await;
    // Those that lost a race run again, after a moment.
    stack.until_count("select count(*) from berth.jobs where state <> 'done'", 0).await;

    assert_eq!(stack.count("select count(*) from berth.payments").await, 10);
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts").await, 20);
    assert_eq!(stack.mailbox.mails().len(), 30);
    assert_eq!(stack.count("select count(*) from berth.order_history where to_phase = 'processing'").await, 10);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_is_not_what_was_agreed_makes_no_account() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    type Change = fn(&mut Value);
    let tampered: [(&str, Change); 7] = [
        ("a cent", |session| session["amount_total"] = json!(1)),
        ("a cent too much", |session| session["amount_total"] = json!(500)),
        ("no amount", |session| session["amount_total"] = json!(null)),
        ("another currency", |session| session["currency"] = json!("jpy")),
        ("a session of the other mode", |session| session["livemode"] = json!(true)),
        ("a session that only saves a card", |session| session["mode"] = json!("setup")),
        ("nothing was asked for", |session| session["payment_status"] = json!("no_payment_required")),
    ];
    let count = i64::try_from(tampered.len()).unwrap();

    for (number, (what, change)) in tampered.iter().enumerate() {
        let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
        let mut event = session_event(&format!("evt_tampered_{number}"), COMPLETED, &order, &session, 499, "paid");
        change(&mut event["data"]["object"]);
        assert_eq!(stack.send_event(event.to_string().as_bytes()).await, 200, "{what}");
    }
    stack.until_idle().await;
    assert_eq!(stack.count("select count(*) from berth.orders where phase = 'held'").await, count);
    assert_eq!(stack.count("select count(*) from berth.alerts where kind = 'payment_mismatch'").await, count);

    // A session of somebody else's making that names our order.
    let (order, _) = stack.checkout(user, "shared-monthly", 1).await;
    let event = session_event("evt_other_session", COMPLETED, &order, "cs_of_somebody_else", 499, "paid");
    assert_eq!(stack.send_event(event.to_string().as_bytes()).await, 200);
    // A genuine payment, but an event of the other mode.
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    let mut event = session_event("evt_livemode", COMPLETED, &order, &session, 499, "paid");
    event["livemode"] = json!(true);
    assert_eq!(stack.send_event(event.to_string().as_bytes()).await, 200);
    stack.until_idle().await;

    assert_eq!(stack.count("select count(*) from berth.alerts where kind = 'second_payment'").await, 1);
    assert_eq!(stack.count("select count(*) from berth.alerts where kind = 'event_of_other_mode'").await, 1);
    assert_eq!(stack.count("select count(*) from berth.orders where phase = 'pending'").await, 2);
    assert_eq!(stack.count("select count(*) from berth.payments where state <> 'surplus'").await, 0);
    assert_eq!(stack.count("select count(*) from berth.payments").await, 1, "what came by the other session goes back");
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts").await, 0);
    assert_eq!(stack.mailbox.mails().len(), 0);
    let (_, shown) = stack.get(user, "/v1/orders?limit=100").await;
    let shown: BTreeSet<&str> = shown["data"].as_array().unwrap().iter().filter_map(|o| o["status"].as_str()).collect();
    assert_eq!(shown, BTreeSet::from(["pending"]));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_taken_without_redis_and_acted_on_when_it_is_back() {
    let mut stack = Stack::new().await;
    let berth = stack.start_with(&Queue::ALL).await;
    let user = Uuid::new_v4();
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    let event = session_event("evt_no_redis", COMPLETED, &order, &session, 499, "paid");

    stack.redis.stop().await.unwrap();
    assert_eq!(stack.send_event(event.to_string().as_bytes()).await, 200);
    stack.redis.start_again().await.unwrap();

    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.until_idle().await;
    stack.audit().await;
    berth.stop().await;
}
