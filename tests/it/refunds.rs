//! Money that goes back: by staff, at Stripe's dashboard, whole and in parts, and never more than came.

use std::collections::BTreeSet;

use berth_jobs::{Queue, ids::OrderId};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Stack, WatchedPanel};

/// The customer's credit notes, the newest first.
async fn notes(stack: &Stack, user: Uuid) -> Vec<Value> {
    let (status, page) = stack.get(user, "/v1/credit-notes").await;
    assert_eq!(status, 200, "{page}");
    page["data"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_and_then_the_rest_go_back_and_no_more_than_came() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (order, _) = stack.bought(user, "shared-monthly").await;

    let part = stack.refund(&order, json!({ "amount": "2.00" })).await.ok();
    assert_eq!((&part["amount"], &part["rest"]), (&json!("2.00"), &json!("2.99")), "{part}");
    assert_eq!(part["accounts"][0]["status"], "active");
    assert_eq!(part["accounts"][0]["ends"], false);
    let above = stack.refund(&order, json!({ "amount": "3.00" })).await;
    assert_eq!(above.refusal(), (422, "refund-above-rest"));
    assert_eq!(above.body["rest"], "2.99");
    for bad in ["0.00", "-1", "1.999", "much"] {
        assert_eq!(stack.refund(&order, json!({ "amount": bad })).await.refusal(), (422, "refund-amount-invalid"));
    }
    let rest = stack.refund(&order, json!({})).await.ok();
    assert_eq!((&rest["amount"], &rest["rest"]), (&json!("2.99"), &json!("0.00")), "{rest}");
    for more in [json!({}), json!({ "amount": "0.01" })] {
        assert_eq!(stack.refund(&order, more).await.refusal(), (409, "refund-nothing-left"));
    }
    stack.until_all_is_heard().await;

    let given: Vec<i64> = stack.refunds_at_stripe().await.into_iter().map(|(_, minor, _)| minor).collect();
    assert_eq!(given.iter().sum::<i64>(), 499, "{given:?}");
    assert_eq!(stack.refunds_known().await.len(), 2);
    let (_, shown) = stack.get(user, &format!("/v1/orders/{order}/refunds")).await;
    assert_eq!(shown["data"][0]["status"], "succeeded");
    assert!(!shown.to_string().contains("secret"), "why is for staff: {shown}");
    let notes = notes(&stack, user).await;
    let numbers: Vec<&str> = notes.iter().map(|note| note["number"].as_str().unwrap()).collect();
    assert_eq!(numbers, ["CN-000002", "CN-000001"]);
    assert_eq!(notes[1]["total"], "2.00");
    assert!(!json!(notes).to_string().contains("secret"));
    let (_, alone) = stack.get(user, &format!("/v1/credit-notes/{}", notes[0]["id"].as_str().unwrap())).await;
    assert_eq!(alone, notes[0]);
    for (kind, begins) in [("application/pdf", "%PDF-"), ("text/html", "<!doctype html>")] {
        let url = format!("{}/v1/credit-notes/{}", stack.base(), notes[0]["id"].as_str().unwrap());
        let request = stack.client.get(url).bearer_auth(stack.token(user)).header("Accept", kind);
        let paper = request.send().await.unwrap().bytes().await.unwrap();
        assert!(paper.to_ascii_lowercase().starts_with(begins.to_ascii_lowercase().as_bytes()), "{kind}: {paper:?}");
    }
    assert_eq!(stack.count("select count(*) from berth.mails where kind = 'refund_issued'").await, 2);
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts where phase = 'active'").await, 1);
    let audited = berth.app.store.audit_entries(Some(&order), None, 10).await.unwrap();
    assert_eq!(audited.iter().filter(|entry| entry.action == "order.refund").count(), 2);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_refund_at_once_one_is_told_and_only_what_is_paid_goes_back() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (order, _) = stack.bought(user, "shared-monthly").await;
    let (unpaid, _) = stack.checkout(user, "shared-monthly", 1).await;

    let (one, other) = tokio::join!(stack.refund(&order, json!({})), stack.refund(&order, json!({})));
    let of_unpaid = stack.refund(&unpaid, json!({})).await;
    let nobodys = stack.refund(&OrderId::new().to_string(), json!({})).await;
    let by_customer = stack.post(user, &format!("/v1/orders/{order}/refund"), &json!({ "reason": "mine" })).await;
    let without_reason = stack.refund(&order, json!({ "reason": " " })).await;
    stack.until_all_is_heard().await;

    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{one:?} {other:?}");
    assert_eq!(of_unpaid.refusal(), (409, "order-not-paid"));
    assert_eq!((nobodys.status, by_customer.0, without_reason.status), (404, 403, 400));
    assert_eq!(stack.refunds_at_stripe().await.len(), 1);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_refund() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (order, _) = stack.bought(Uuid::new_v4(), "shared-monthly").await;
    let staff = stack.staff();
    let ask = async |amount: &str| {
        let request = stack.client.post(format!("{}/v1/orders/{order}/refund", stack.base())).bearer_auth(&staff);
        let body = json!({ "amount": amount, "reason": "late" });
        let response = request.header("Idempotency-Key", "one").json(&body).send().await.unwrap();
        let replayed = response.headers().get("idempotent-replayed").is_some();
        (response.status().as_u16(), replayed, response.json::<Value>().await.unwrap())
    };

    let (first, again) = tokio::join!(ask("1.00"), ask("1.00"));
    let (status, replayed, later) = ask("1.00").await;
    let (reused, _, problem) = ask("2.00").await;
    stack.until_all_is_heard().await;

    assert_eq!((first.0, again.0, status, replayed), (201, 201, 201, true));
    assert_eq!((&first.2["id"], &again.2["id"]), (&later["id"], &later["id"]));
    assert_eq!(reused, 422, "{problem}");
    assert_eq!(stack.refunds_at_stripe().await.len(), 1);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_same_key_asked_many_times_at_once_for_all_that_is_left_each_answer_is_the_refund() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (order, _) = stack.bought(Uuid::new_v4(), "shared-monthly").await;
    let (staff, url) = (stack.staff(), format!("{}/v1/orders/{order}/refund", stack.base()));
    let ask = async || {
        let request = stack.client.post(&url).bearer_auth(&staff).header("Idempotency-Key", "whole");
        let response = request.json(&json!({ "reason": "late", "terminate": true })).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };

    let answers = futures::future::join_all((0..12).map(|_| ask())).await;
    stack.until_all_is_heard().await;

    for (status, answer) in &answers {
        assert_eq!((*status, &answer["id"]), (201, &answers[0].1["id"]), "{answer}");
    }
    assert_eq!(stack.refunds_at_stripe().await.len(), 1);
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refunded_whole_can_end_with_it() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (order, _) = stack.bought(Uuid::new_v4(), "shared-monthly").await;

    let part = stack.refund(&order, json!({ "amount": "1.00", "terminate": true })).await;
    let whole = stack.refund(&order, json!({ "terminate": true })).await.ok();
    stack.until_count("select count(*) from berth.hosting_accounts where phase = 'terminated'", 1).await;
    stack.until_all_is_heard().await;

    assert_eq!(part.refusal(), (422, "refund-not-whole"));
    assert_eq!((&whole["accounts"][0]["ends"], &whole["amount"]), (&json!(true), &json!("4.99")), "{whole}");
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts where ending = 'staff'").await, 1);
    assert_eq!(stack.charged_net().await, 0);
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_comes_back_later_counts_no_more_and_is_told() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (order, _) = stack.bought(user, "shared-monthly").await;
    stack.sim("settings", &json!({ "refunds_wait": true })).await;

    stack.refund(&order, json!({})).await.ok();
    stack.until_all_is_heard().await;
    assert_eq!(stack.text("select state from berth.refunds").await, "pending");
    assert!(notes(&stack, user).await.is_empty(), "it has not arrived");
    assert_eq!(stack.count("select count(*) from berth.mails where kind = 'refund_issued'").await, 1);

    let refund = stack.refunds_at_stripe().await.remove(0).0;
    stack.sim(&format!("refunds/{refund}"), &json!({ "result": "succeed" })).await;
    stack.until_all_is_heard().await;
    assert_eq!(notes(&stack, user).await[0]["cancelled_at"], json!(null));
    stack.audit().await;

    stack.sim(&format!("refunds/{refund}"), &json!({ "result": "fail" })).await;
    stack.until_all_is_heard().await;
    let (_, shown) = stack.get(user, &format!("/v1/orders/{order}/refunds")).await;
    assert_eq!(shown["data"][0]["status"], "failed");
    assert_ne!(notes(&stack, user).await[0]["cancelled_at"], json!(null), "shown, and crossed out");
    assert_eq!(stack.count("select count(*) from berth.alerts where kind = 'refund_failed'").await, 1);

    // It can be given back again, under another number.
    stack.sim("settings", &json!({ "refunds_wait": false })).await;
    stack.refund(&order, json!({})).await.ok();
    stack.until_all_is_heard().await;
    let notes = notes(&stack, user).await;
    assert_eq!((&notes[0]["number"], &notes[0]["total"]), (&json!("CN-000002"), &json!("4.99")));
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_at_stripe_is_known_however_often_and_in_whichever_order_it_is_told() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (_, intent) = stack.bought(user, "shared-monthly").await;

    stack.refund_at_stripe(&intent, 100).await.unwrap();
    stack.refund_at_stripe(&intent, 150).await.unwrap();
    stack.until_all_is_heard().await;
    let events = stack.events_at_stripe(&["refund.", "charge.refund"]).await;
    let mut again: Vec<&String> = events.iter().cycle().take(20 * events.len()).collect();
    again.shuffle(&mut StdRng::seed_from_u64(7));
    for event in again {
        stack.resend(event).await;
    }
    stack.until_all_is_heard().await;

    assert_eq!(stack.refunds_known().await, stack.refunds_at_stripe().await);
    let by_whom = "select count(*) from berth.refunds where requested_by = 'stripe' and state = 'succeeded'";
    assert_eq!(stack.count(by_whom).await, 2);
    let totals: Vec<Value> = notes(&stack, user).await.into_iter().map(|note| note["total"].clone()).collect();
    assert_eq!(totals.len(), 2, "cumulative sums are no refunds: {totals:?}");
    assert_eq!(stack.count("select count(*) from berth.mails where kind = 'refund_issued'").await, 2);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_payment_whose_refund_is_heard_of_first_and_a_day_late_stripe_is_asked() {
    const A_DAY: f64 = 24.0 * 3_600.0;
    let stack = Stack::new().await;
    let berth = stack.start().await;
    stack.sim("webhooks", &json!({})).await;
    let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    let paid = stack.sim(&format!("checkout/sessions/{session}/complete"), &json!({ "as": "paid" })).await;
    stack.refund_at_stripe(paid["payment_intent"].as_str().unwrap(), 499).await.unwrap();
    let mut events = Vec::new();
    stack
        .until("Stripe has told of it", async || {
            events = stack.all_events().await;
            events.iter().any(|event| event["type"] == "charge.refunded")
        })
        .await;
    stack.pass_for(&berth.app, A_DAY).await;

    let told = events.iter().find(|event| event["type"] == "charge.refunded").unwrap();
    assert_eq!(stack.send_event(told.to_string().as_bytes()).await, 200);
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.pass_for(&berth.app, 60.0).await;
    stack.until_count("select count(*) from berth.credit_notes", 1).await;
    stack.until_idle().await;
    let standing = async || {
        let counts = "select concat_ws(', ', (select count(*) from berth.payments), (select count(*) from berth.refunds),
            (select count(*) from berth.credit_notes), (select count(*) from berth.invoices), (select count(*) from berth.mails))";
        stack.text(counts).await
    };
    let before = standing().await;
    for event in &events {
        assert_eq!(stack.send_event(event.to_string().as_bytes()).await, 200);
    }
    stack.until_idle().await;

    assert_eq!(standing().await, before, "what comes after it was known");
    assert_eq!(stack.refunds_known().await, stack.refunds_at_stripe().await);
    assert_eq!(stack.count("select count(*) from berth.alerts").await, 0);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_gave_back_at_stripe_first_is_not_given_back_again() {
    let stack = Stack::new().await;
    let buying = stack.start().await;
    let (order, intent) = stack.bought(Uuid::new_v4(), "shared-monthly").await;
    stack.until_all_is_heard().await;
    buying.stop().await;
    // Staff asks while nobody works.
    let asking = stack.start_on(&WatchedPanel::new(), &[]).await;
    stack.refund(&order, json!({})).await.ok();
    stack.refund_at_stripe(&intent, 499).await.unwrap();
    asking.stop().await;

    let berth = stack.start().await;
    stack.until_all_is_heard().await;

    assert_eq!(stack.charged_net().await, 0);
    let states =
        "select string_agg(state || ' by ' || (requested_by = 'stripe'), ', ' order by state) from berth.refunds";
    assert_eq!(stack.text(states).await, "cancelled by false, succeeded by true");
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_about_somebody_elses_money_are_stored_and_change_nothing() {
    const EVENTS: [&str; 11] = [
        "charge.refunded.full",
        "charge.refunded.partial",
        "charge.refund.updated.failed",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.closed.won",
        "charge.dispute.closed.lost",
        "radar.early_fraud_warning.created",
    ];
    let stack = Stack::new().await;
    let berth = stack.start_with(&[Queue::Payments]).await;

    for name in EVENTS {
        let path = format!("{}/tests/data/stripe/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(stack.send_event(&std::fs::read(path).unwrap()).await, 200, "{name}");
    }
    stack.until_idle().await;

    let ignored = "select count(*) from berth.stripe_events where outcome = 'ignored' and note is not null";
    assert_eq!(stack.count(ignored).await, i64::try_from(EVENTS.len()).unwrap());
    assert_eq!(stack.count("select count(*) from berth.alerts").await, 0);
    assert_eq!(stack.count("select count(*) from berth.refunds").await, 0);
    berth.stop().await;
}

/// One customer's payment, and what people do to it at random: some of them at Berth, some at Stripe, some of Stripe's news
/// lost, doubled or late.
async fn muddle(stack: &Stack, order: &str, intent: &str, rng: &mut StdRng) {
    let minor = rng.random_range(50..300);
    match rng.random_range(0..7) {
        0 | 1 => drop(stack.refund(order, json!({ "amount": format!("{}.{:02}", minor / 100, minor % 100) })).await),
        2 => drop(stack.refund(order, json!({})).await),
        3 => drop(stack.refund_at_stripe(intent, minor).await),
        4 => {
            let events = stack.events_at_stripe(&["refund.", "charge.refund"]).await;
            if let Some(event) = events.get(rng.random_range(0..events.len().max(1))) {
                stack.resend(event).await;
            }
        }
        5 => {
            let waiting = stack.refunds_at_stripe().await.into_iter().find(|(_, _, status)| status == "pending");
            if let Some((refund, _, _)) = waiting {
                let result = if rng.random_bool(0.5) { "succeed" } else { "fail" };
                stack.sim(&format!("refunds/{refund}"), &json!({ "result": result })).await;
            }
        }
        _ => drop(stack.sim("settings", &json!({ "refunds_wait": rng.random_bool(0.5) })).await),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_done_in_whichever_order_no_more_goes_back_than_came_and_both_sides_agree() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    for seed in 1..=6_u64 {
        let (order, intent) = stack.bought(Uuid::new_v4(), "shared-monthly").await;

        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..12 {
            muddle(&stack, &order, &intent, &mut rng).await;
        }
        stack.until_all_is_heard().await;

        let known: BTreeSet<_> = stack.refunds_known().await.into_iter().collect();
        let at_stripe: BTreeSet<_> = stack.refunds_at_stripe().await.into_iter().collect();
        assert_eq!(known, at_stripe, "seed {seed}");
        let order: OrderId = order.parse().unwrap();
        let gone: i64 = sqlx::query_scalar(
            "select coalesce(sum(amount * 100), 0)::int8 from berth.refunds
             where order_id = $1 and state in ('requested', 'pending', 'succeeded')",
        )
        .bind(order.0)
        .fetch_one(&stack.pool)
        .await
        .unwrap();
        assert!(gone <= 499, "seed {seed}: {gone} of 499");
        stack.audit_rows().await;
    }
    berth.stop().await;
}
