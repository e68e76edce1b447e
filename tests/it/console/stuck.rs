//! Two clicks from signing in to why an order is not live.

use std::sync::Arc;

use berth::{
    app::App,
    config::Role,
    gateways::panels::{Panel, Panels, Placement},
    supervise::Supervisor,
};
use berth_jobs::{Queue, ids::OrderId};

use super::Browser;
use crate::support::{Running, Stack, StackOptions, WatchedPanel};

/// Berth on one server, which the test holds.
pub(super) async fn on_web1(stack: &Stack, panel: &Arc<WatchedPanel>) -> Running {
    let held: Arc<dyn Panel> = panel.clone();
    let panels = Panels::new().with_placement("web1", "memory", held, Placement::default());
    let tasks = Supervisor::default();
    let app = App::with_panels(stack.config(), Role::Up, &tasks, panels).unwrap();
    stack.run(app, tasks, &Queue::ALL).await
}

/// A shop whose only server is dead, and an order that was paid.
pub(super) async fn sold_on_a_dead_server(stack: &Stack) -> (Running, Arc<WatchedPanel>, OrderId) {
    let panel = WatchedPanel::new();
    panel.memory.die();
    let berth = on_web1(stack, &panel).await;
    let mut orders = Vec::new();
    // It takes some failures to know that a server is broken.
    for _ in 0..6 {
        let order = stack.agree(&berth.app, &[("shared-monthly", 1)]).await;
        stack.tell_paid(&berth.app, order).await;
        orders.push(order);
    }
    let broken = "select count(*) from berth.servers where broken_since is not null";
    stack.until_count(broken, 1).await;
    // One that was placed there before that was known: who has no server yet waits for any of its pool.
    let parked = "select a.order_id
                  from berth.hosting_accounts a
                  join berth.jobs j on j.serial = 'account:' || berth.show_id('acc_', a.id)
                  where a.server is not null and j.last_error like '%is broken%'
                  limit 1";
    let mut waiting: Option<uuid::Uuid> = None;
    stack
        .until("somebody waits for it", async || {
            waiting = sqlx::query_scalar(parked).fetch_optional(&stack.pool).await.unwrap();
            waiting.is_some()
        })
        .await;
    (berth, panel, OrderId(waiting.unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn in_two_clicks_one_finds_why_an_order_is_not_live() {
    let stack = Stack::with(StackOptions::default().setting("hosting.probe_seconds", "1")).await;
    let (berth, panel, order) = sold_on_a_dead_server(&stack).await;
    let browser = Browser::signed_in(&stack).await;

    // The first page tells it already; the order's own, one click away, with what can be done and the whole story.
    let overview = browser.page("/console").await;
    let told = overview.text();
    assert!(told.contains("waits: server web1 is broken since"), "{told}");
    let order_page = format!("/console/orders/{order}");
    assert!(overview.links().contains(&order_page), "{:#?}", overview.links());
    let page = browser.page(&order_page).await;
    let text = page.text();
    assert!(text.contains("Paid") && text.contains("server web1 is broken since"), "{text}");
    assert!(text.contains("tries again"), "{text}");
    assert!(text.contains("Mend the server web1"), "{text}");
    let job = page.links().into_iter().find(|link| link.starts_with("/console/jobs/job_")).expect("a link to its job");
    assert_eq!(browser.get(&job).await.status, reqwest::StatusCode::OK);
    let servers = browser.page("/console/servers").await.text();
    assert!(servers.contains("broken") && servers.contains("Left alone since"), "{servers}");

    panel.memory.revive();
    stack.until_count("select count(*) from berth.hosting_accounts where phase = 'active'", 6).await;
    stack.until_idle().await;
    let text = browser.page(&order_page).await.text();
    assert!(text.contains("It is live: its account works."), "{text}");
    assert!(browser.page("/console").await.text().contains("Everything that was paid for is delivered."));
    berth.stop().await;
}

/// An order whose customer's card was declined on its page, which is open still.
pub(super) async fn declined(stack: &Stack) -> (String, String) {
    let (order, session) = stack.checkout(uuid::Uuid::new_v4(), "shared-monthly", 1).await;
    let card = serde_json::json!({ "as": "paid", "card": "pm_card_chargeDeclined_insufficient_funds" });
    let request = stack.client.post(format!("{}/_sim/checkout/sessions/{session}/complete", stack.stripe)).json(&card);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), reqwest::StatusCode::PAYMENT_REQUIRED);
    stack.until_count("select count(*) from berth.stripe_events where type = 'payment_intent.payment_failed'", 1).await;
    (order, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_two_clicks_one_finds_that_a_card_was_declined_and_why() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (order, session) = declined(&stack).await;
    let (_, unpaid) = stack.checkout(uuid::Uuid::new_v4(), "shared-monthly", 1).await;
    let browser = Browser::signed_in(&stack).await;

    // The first page tells it; one click shows what can be done; another, everything that happened.
    let overview = browser.page("/console").await;
    let told = overview.text();
    assert!(told.contains("Cards declined in the last day, and not paid since"), "{told}");
    assert!(told.contains("insufficient_funds"), "{told}");
    let orders: Vec<String> =
        overview.links().into_iter().filter(|link| link.starts_with("/console/orders/ord_")).collect();
    assert_eq!(orders, [format!("/console/orders/{order}")], "and of nobody else");
    let text = browser.page(&orders[0]).await.text();
    assert!(text.contains("Not paid: a card was declined"), "{text}");
    assert!(
        text.contains("(insufficient_funds: Your card has insufficient funds)")
            && text.contains("another card may be tried"),
        "{text}"
    );
    assert!(text.contains("has to ask their bank"), "{text}");
    assert!(text.contains("event card declined"), "the story has it: {text}");

    // Whoever pays by another card is not told of any more.
    stack.pay(&session).await;
    stack.pay(&unpaid).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 2).await;
    let told = browser.page("/console").await.text();
    assert!(!told.contains("Cards declined"), "{told}");
    let text = browser.page(&orders[0]).await.text();
    assert!(text.contains("It is live"), "{text}");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_whose_card_was_declined_says_so_on_its_page() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let renewer = stack.renewer(&berth.app, "pm_card_chargeCustomerFail_insufficient_funds").await;
    stack.charge(&berth.app, renewer.order).await;
    stack.until_count("select count(*) from berth.charges where state = 'declined'", 1).await;
    let browser = Browser::signed_in(&stack).await;

    let text = browser.page(&format!("/console/orders/{}", renewer.order)).await.text();

    assert!(text.contains("The renewal is not paid: a card was declined"), "{text}");
    assert!(text.contains("insufficient_funds"), "{text}");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stripe_told_and_nothing_acted_on_is_seen_at_its_order() {
    let stack = Stack::new().await;
    // Nobody works on payments.
    let berth = stack.start_with(&[Queue::Mail]).await;
    let (order, session) = stack.checkout(uuid::Uuid::new_v4(), "shared-monthly", 1).await;
    let browser = Browser::signed_in(&stack).await;
    let page = format!("/console/orders/{order}");
    let text = browser.page(&page).await.text();
    assert!(text.contains("Not paid yet: its page at Stripe is open"), "{text}");

    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.stripe_events where type = 'checkout.session.completed'", 1).await;

    let text = browser.page(&page).await.text();
    assert!(text.contains("of checkout.session.completed") && text.contains("it is not acted on yet"), "{text}");
    assert!(text.contains("(complete_checkout)"), "{text}");
    berth.stop().await;
}
