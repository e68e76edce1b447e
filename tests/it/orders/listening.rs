//! Orders that somebody listens to.

use std::time::{Duration, Instant};

use berth_jobs::Queue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::slug;
use crate::support::{
    Stack, StackOptions, WatchedPanel,
    sse::{EventStream, ServerEvent},
};

async fn ticket(stack: &Stack, user: Uuid, order: &str) -> String {
    let (status, answer) = stack.post(user, &format!("/v1/orders/{order}/ticket"), &json!({})).await;
    assert_eq!(status, 201, "{answer}");
    answer["ticket"].as_str().unwrap().to_owned()
}

/// Asks to listen as a browser does, which can send no token.
async fn by_ticket(stack: &Stack, order: &str, ticket: &str) -> reqwest::Response {
    let url = format!("{}/v1/orders/{order}/events?ticket={ticket}", stack.base());
    stack.client.get(url).header("Accept", "text/event-stream").send().await.unwrap()
}

async fn by_token(stack: &Stack, user: Uuid, order: &str, known: Option<i64>) -> reqwest::Response {
    let request = stack.client.get(format!("{}/v1/orders/{order}/events", stack.base())).bearer_auth(stack.token(user));
    let request = match known {
        Some(known) => request.header("Last-Event-ID", known),
        None => request,
    };
    request.send().await.unwrap()
}

/// The event that tells of a status.
async fn until_status(stream: &mut EventStream, wanted: &str) -> ServerEvent {
    loop {
        let event = stream.next().await.unwrap_or_else(|| panic!("the stream ended before {wanted}"));
        if event.data["status"] == wanted {
            return event;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_sees_its_order_become_processing_and_completed_and_then_the_stream_ends() {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &[Queue::Payments]).await;
    let user = Uuid::new_v4();
    let (order, session) = stack.checkout(user, "shared-monthly", 2).await;
    let mut stream = EventStream::of(by_ticket(&stack, &order, &ticket(&stack, user, &order).await).await);

    let first = stream.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data["order_id"]), ("order", &json!(order)));
    assert_eq!((&first.data["status"], &first.data["accounts"]), (&json!("pending"), &json!([])));
    stack.pay(&session).await;
    let processing = until_status(&mut stream, "processing").await;
    let accounts = |event: &ServerEvent| -> Vec<Value> {
        event.data["accounts"].as_array().unwrap().iter().map(|account| account["status"].clone()).collect()
    };
    assert_eq!(accounts(&processing), ["pending", "pending"]);
    let workers = stack.more_workers(&panel, &Queue::ALL).await;
    let completed = until_status(&mut stream, "completed").await;

    assert_eq!(accounts(&completed), ["active", "active"]);
    assert!(first.id < processing.id && processing.id < completed.id, "{first:?} {processing:?} {completed:?}");
    assert_eq!(stream.next().await, None, "the order's end is the stream's");
    let (_, shown) = stack.get(user, &format!("/v1/orders/{order}")).await;
    let account = shown["items"][0]["hosting_account_id"].clone();
    assert!(completed.data["accounts"].as_array().unwrap().iter().any(|known| known["id"] == account));
    workers.stop().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_stream_of_one_order_once_and_within_a_minute() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let (user, stranger) = (Uuid::new_v4(), Uuid::new_v4());
    let (order, _) = stack.checkout(user, "shared-monthly", 1).await;
    let (theirs, _) = stack.checkout(stranger, "shared-monthly", 1).await;
    let path = format!("/v1/orders/{theirs}/ticket");

    let (status, problem) = stack.post(user, &path, &json!({})).await;
    assert_eq!((status, slug(&problem)), (404, "not-found"));
    let url = format!("{}/v1/orders/{order}/ticket", stack.base());
    assert_eq!(stack.client.post(url).send().await.unwrap().status(), 401);

    let used = ticket(&stack, user, &order).await;
    let kept = stack.text("select string_agg(t::text, ' ') from berth.stream_tickets t").await;
    assert!(used.len() == 43 && !kept.contains(&used), "256 bits, and only their hash is kept");
    let open = by_ticket(&stack, &order, &used).await;
    assert_eq!((open.status().as_u16(), open.headers()["cache-control"].to_str().unwrap()), (200, "no-store"));
    assert_eq!(by_ticket(&stack, &order, &used).await.status(), 401, "a second time");

    let for_theirs = ticket(&stack, user, &order).await;
    assert_eq!(by_ticket(&stack, &theirs, &for_theirs).await.status(), 404, "another customer's order");
    assert_eq!(by_ticket(&stack, &order, &for_theirs).await.status(), 401, "it was used up all the same");
    let late = ticket(&stack, user, &order).await;
    stack.pass(61.0).await;
    assert_eq!(by_ticket(&stack, &order, &late).await.status(), 401, "a minute later");
    for nonsense in ["", "x", "%00", &"x".repeat(5_000)] {
        assert_eq!(by_ticket(&stack, &order, nonsense).await.status(), 401, "{nonsense}");
    }
    drop(open);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_one_goes_on_where_one_was_and_another_customers_order_is_not_there() {
    let stack = Stack::new().await;
    let berth = stack.start_on(&WatchedPanel::new(), &Queue::ALL).await;
    let (user, stranger) = (Uuid::new_v4(), Uuid::new_v4());
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;

    assert_eq!(by_token(&stack, stranger, &order, None).await.status(), 404);
    let events = format!("{}/v1/orders/{order}/events", stack.base());
    assert_eq!(stack.client.get(&events).send().await.unwrap().status(), 401);
    assert_eq!(stack.get(user, "/v1/orders/ord_0/events").await.0, 404);
    assert_eq!(stack.get(user, &format!("/v1/orders/{order}/events?since=1")).await.0, 400);

    let mut stream = EventStream::of(by_token(&stack, user, &order, None).await);
    let pending = stream.next().await.unwrap();
    drop(stream);
    let mut stream = EventStream::of(by_token(&stack, user, &order, Some(pending.id)).await);
    stack.pay(&session).await;
    let next = stream.next().await.unwrap();
    assert!(next.id > pending.id && next.data["status"] != "pending", "{next:?}");
    let completed =
        if next.data["status"] == "completed" { next } else { until_status(&mut stream, "completed").await };
    let mut again = EventStream::of(by_token(&stack, user, &order, Some(completed.id)).await);
    assert_eq!(again.next().await.unwrap(), completed, "an end is told again");
    assert_eq!(again.next().await, None);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_ends_its_streams_and_asks_their_clients_to_come_back() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let user = Uuid::new_v4();
    let (order, _) = stack.checkout(user, "shared-monthly", 1).await;
    let mut stream = EventStream::of(by_token(&stack, user, &order, None).await);
    assert_eq!(stream.next().await.unwrap().data["status"], "pending");

    let begun = Instant::now();
    let (end, ()) = tokio::join!(stream.next(), berth.stop());

    assert_eq!(end, None);
    assert_eq!(stream.retry, Some(1_000));
    assert!(begun.elapsed() < Duration::from_secs(5), "nobody waits for the grace: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_streams_hold_no_connection_and_the_eleventh_is_refused_until_one_ends() {
    let stack = Stack::with(StackOptions::default().setting("database.max_connections", "6")).await;
    let berth = stack.start_on(&WatchedPanel::new(), &Queue::ALL).await;
    let user = Uuid::new_v4();
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = EventStream::of(by_token(&stack, user, &order, None).await);
        stream.next().await.unwrap();
        streams.push(stream);
    }

    let refused = by_token(&stack, user, &order, None).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "5"));
    let (other, _) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    assert_ne!(other, order, "others are served");
    streams.pop();
    stack.until("a place is free", async || by_token(&stack, user, &order, None).await.status() == 200).await;
    stack.pay(&session).await;
    for stream in &mut streams {
        until_status(stream, "completed").await;
        assert_eq!(stream.next().await, None);
    }
    berth.stop().await;
}
