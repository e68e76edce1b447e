//! A storm of webhooks: every event twenty times, in no order, for three days; it ends as if each had come once, in turn.

use futures::{StreamExt, stream};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Running, Stack, size};

const TIMES: usize = 20;
const AT_ONCE: usize = 50;
/// So many customers buy at once.
const BUYERS: usize = 8;
/// The posts are sent in so many parts, a day apart.
const DAYS: usize = 4;
const UNFINISHED: &str = "select count(*) from berth.jobs where state in ('queued', 'running')";
const A_DAY: f64 = 24.0 * 3600.0;

/// How customers leave the page, in so many tenths of all of them, what becomes of it later, and whether the money is given back at Stripe.
const PURCHASES: [(&str, Option<&str>, bool, u32); 5] = [
    ("paid", None, false, 3),
    ("paid", None, true, 2),
    ("unpaid", Some("succeed"), false, 2),
    ("unpaid", Some("fail"), false, 2),
    ("expired", None, false, 1),
];

fn purchases() -> u32 {
    size("PURCHASES", 40)
}

/// A purchase has five events and more.
fn least_events() -> usize {
    usize::try_from(purchases() * 5).unwrap()
}

/// A customer leaves the page in this way.
async fn buy(stack: &Stack, way: &str, ending: Option<&str>, refunded: bool) {
    let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    let paid = stack.sim(&format!("checkout/sessions/{session}/complete"), &json!({ "as": way })).await;
    if let Some(result) = ending {
        stack.sim(&format!("checkout/sessions/{session}/async"), &json!({ "result": result })).await;
    }
    if refunded {
        stack.refund_at_stripe(paid["payment_intent"].as_str().unwrap(), 499).await.unwrap();
    }
}

/// The customers buy, and Stripe tells nobody.
async fn all_buy(stack: &Stack) {
    stack.sim("webhooks", &json!({})).await;
    let all = PURCHASES.iter().flat_map(|(way, ending, refunded, tenths)| {
        (0..purchases() * tenths / 10).map(move |_| buy(stack, way, *ending, *refunded))
    });
    stream::iter(all).for_each_concurrent(BUYERS, |one| one).await;
}

/// All that has happened is told by events a moment later.
async fn events(stack: &Stack) -> Vec<Value> {
    let mut events = Vec::new();
    stack
        .until("Stripe has told everything", async || {
            let before = events.len();
            events = stack.all_events().await;
            events.len() == before && events.len() >= least_events()
        })
        .await;
    events
}

/// What is there in the end, by kinds.
async fn standing(stack: &Stack) -> Vec<(String, i64)> {
    sqlx::query_as(
        "select 'order ' || phase, count(*) from berth.orders group by phase
         union all select 'account ' || phase, count(*) from berth.hosting_accounts group by phase
         union all select 'payment ' || state || ' ' || amount, count(*) from berth.payments group by state, amount
         union all select 'refund ' || state || ' ' || amount, count(*) from berth.refunds group by state, amount
         union all select 'invoice', count(*) from berth.invoices
         union all select 'credit note', count(*) from berth.credit_notes
         union all select 'event ' || type, count(*) from berth.stripe_events group by type
         union all select 'mail ' || kind || ' ' || (accepted_at is not null), count(*)
                   from berth.mails group by kind, accepted_at is not null
         union all select 'alert ' || kind, count(*) from berth.alerts group by kind
         order by 1",
    )
    .fetch_all(&stack.pool)
    .await
    .unwrap()
}

async fn bought() -> (Stack, Running, Vec<Vec<u8>>) {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    all_buy(&stack).await;
    let bodies = events(&stack).await.iter().map(|event| event.to_string().into_bytes()).collect();
    (stack, berth, bodies)
}

/// Every event so often, in the order that a seed gives, for days; what is there in the end.
async fn storm(seed: u64) -> Vec<(String, i64)> {
    let (stack, berth, events) = bought().await;
    let mut posts: Vec<&Vec<u8>> = events.iter().flat_map(|event| [event; TIMES]).collect();
    posts.shuffle(&mut StdRng::seed_from_u64(seed));
    assert!(posts.len() >= least_events() * TIMES);
    for part in posts.chunks(posts.len().div_ceil(DAYS)) {
        let statuses: Vec<u16> =
            stream::iter(part).map(|event| stack.send_event(event)).buffer_unordered(AT_ONCE).collect().await;
        assert!(statuses.iter().all(|status| *status == 200));
        stack.until_idle().await;
        stack.pass_for(&berth.app, A_DAY).await;
    }
    stack.until_count(UNFINISHED, 0).await;
    let standing = standing(&stack).await;
    stack.audit().await;
    berth.stop().await;
    stack.postgres.end().await;
    println!("storm {seed}: {} posts of {} events", posts.len(), events.len());
    standing
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_twenty_times_in_any_order_for_three_days_ends_as_each_once_in_turn() {
    let (calm, calm_berth, in_turn) = bought().await;
    for event in &in_turn {
        assert_eq!(calm.send_event(event).await, 200);
    }
    calm.until_idle().await;
    // A refund of which one hears before its payment is looked at again.
    calm.pass_for(&calm_berth.app, A_DAY).await;
    calm.until_count(UNFINISHED, 0).await;
    let expected = standing(&calm).await;
    calm.audit().await;
    calm_berth.stop().await;

    for seed in 0..size("STORMS", 1).into() {
        assert_eq!(storm(seed).await, expected, "storm {seed}");
    }
}
