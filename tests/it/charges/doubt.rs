//! Charges whose answer was lost, refused to be given, or never asked for: made once, or not at all.

use berth::domain::{
    renewal::RenewalPhase,
    timetable::{self, Step, Timetable},
};
use serde_json::{Value, json};

use super::{app, start};
use crate::support::{Stack, StackOptions, keeper::Keeper, process::Launch};

const INTENTS: &str = "/v1/payment_intents";
/// An attempt is made three times before a run gives up.
const EVERY_TRY: u32 = 3;

/// One charge whose every answer is lost that way: what became of it in the end is asked for five minutes later.
async fn lost(fault: Value, times: u32) -> (Vec<String>, Vec<bool>) {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    stack.say_nothing().await;
    stack.fault(INTENTS, times, fault.clone()).await;

    stack.charge(app, renewer.order).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::InDoubt).await;
    stack.until_idle().await;
    let answered: Vec<bool> = stack.attempts_at_stripe(renewer.order).await;
    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::InDoubt, "nothing is charged meanwhile");
    assert_eq!(stack.attempts_at_stripe(renewer.order).await, answered, "{fault}");
    stack.pass_everywhere(app, 400.0).await;
    stack
        .until("its outcome is known", async || {
            !app.store.renewal(renewer.order).await.unwrap().state.phase.is_charging()
        })
        .await;
    stack.until_idle().await;
    if app.store.renewal(renewer.order).await.unwrap().state.phase == RenewalPhase::Invoiced {
        assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::Paid);
    }

    let (renewal, charges) = stack.renewal_of(app, renewer.order).await;
    assert_eq!(renewal.state.phase, RenewalPhase::Paid, "{fault}");
    let states = charges.into_iter().map(|charge| charge.state).collect();
    let attempts = stack.attempts_at_stripe(renewer.order).await;
    stack.money_agrees().await;
    berth.stop().await;
    (states, attempts)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_whose_answers_are_cut_off_is_found_and_paid_once() {
    let (states, attempts) = lost(json!({ "kind": "cut_mid_body" }), EVERY_TRY).await;

    assert_eq!((states.as_slice(), attempts.as_slice()), (["succeeded".to_owned()].as_slice(), [true].as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_never_answers_is_found_and_paid_once() {
    let silence = json!({ "kind": "timeout_after_commit", "hold_milliseconds": 50 });
    let (states, attempts) = lost(silence, EVERY_TRY).await;

    assert_eq!((states.as_slice(), attempts.as_slice()), (["succeeded".to_owned()].as_slice(), [true].as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_stripe_failed_after_making_it_is_found_and_paid_once() {
    let (states, attempts) = lost(json!({ "kind": "server_error", "committed": true }), 1).await;

    assert_eq!((states.as_slice(), attempts.as_slice()), (["succeeded".to_owned()].as_slice(), [true].as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_ends_the_doubt_at_once() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    stack.fault(INTENTS, 1, json!({ "kind": "server_error", "committed": true })).await;

    stack.charge(app, renewer.order).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::Paid).await;
    stack.until_idle().await;

    assert_eq!(stack.attempts_at_stripe(renewer.order).await, [true]);
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_stripe_failed_before_making_it_is_made_another_time() {
    let (states, attempts) = lost(json!({ "kind": "server_error", "committed": false }), 1).await;

    assert_eq!(states, ["not_made", "succeeded"]);
    assert_eq!(attempts, [true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_try_whose_answer_is_lost_is_told_apart_from_the_first() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_chargeCustomerFail_insufficient_funds").await;
    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::PastDue);

    // Declined again, unheard: it is this try's decline.
    stack.say_nothing().await;
    stack.pass_until_before(app, renewer.account, 22).await;
    stack.fault(INTENTS, EVERY_TRY, json!({ "kind": "cut_mid_body" })).await;
    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::InDoubt);
    stack.pass_everywhere(app, 400.0).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::PastDue).await;
    // Never made: the decline that stands there is the earlier one's.
    stack.pass_until_before(app, renewer.account, -2).await;
    stack.fault(INTENTS, 1, json!({ "kind": "server_error", "committed": false })).await;
    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::InDoubt);
    stack.pass_everywhere(app, 400.0).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::Invoiced).await;
    stack.until_idle().await;

    let (_, charges) = stack.renewal_of(app, renewer.order).await;
    let states: Vec<_> = charges.iter().map(|charge| charge.state.as_str()).collect();
    assert_eq!(states, ["declined", "declined", "not_made"]);
    assert_eq!(stack.attempts_at_stripe(renewer.order).await, [false, false]);
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_that_wants_fewer_requests_gets_the_same_one_again_and_no_attempt_is_used() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    stack.fault(INTENTS, EVERY_TRY, json!({ "kind": "rate_limited", "should_retry": true })).await;

    stack.charge(app, renewer.order).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::Paid).await;

    let (renewal, charges) = stack.renewal_of(app, renewer.order).await;
    assert_eq!((renewal.state.attempts, charges.len()), (1, 1));
    stack.until_idle().await;
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_its_bank_takes_days_for_is_waited_for() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    let card = stack.cards(app, renewer.user).await.remove(0).id;
    stack.sim(&format!("payment_methods/{card}"), &json!({ "outcome": "processing" })).await;

    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::InDoubt);
    let intent = app.store.renewal(renewer.order).await.unwrap().intent.unwrap();
    stack.pass_everywhere(app, 400.0).await;
    stack.until_idle().await;
    assert_eq!(app.store.renewal(renewer.order).await.unwrap().state.phase, RenewalPhase::InDoubt);
    stack.sim(&format!("payment_intents/{intent}/settle"), &json!({ "result": "succeed" })).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::Paid).await;
    stack.until_idle().await;

    assert_eq!(stack.attempts_at_stripe(renewer.order).await, [true]);
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_stripe_does_not_take_stops_all_charges_and_suspends_nobody() {
    let mut stack = Stack::new().await;
    let berth = stack.start().await;
    let renewer = stack.renewer(app(&berth), "pm_card_visa").await;
    berth.stop().await;
    let good = set(&mut stack, "sk_test_wrong");

    let berth = stack.start().await;
    let app = &berth.app;
    stack.charge(app, renewer.order).await;
    stack.until_count("select count(*) from berth.alerts where kind = 'charge_refused'", 1).await;
    // The job waits from then on, by the clock that is moved next.
    let waits =
        "select count(*) from berth.jobs where kind = 'charge_renewal' and state = 'queued' and last_error is not null";
    stack.until_count(waits, 1).await;
    stack.pass_until_before(app, renewer.account, -480).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::InDoubt).await;
    let entry = app.store.agenda_entry(renewer.account).await.unwrap().unwrap();
    let due = timetable::due(app.store.now().await.unwrap(), &entry.facts, &Timetable::default());
    assert!(!due.iter().any(|due| matches!(due.step, Step::Suspend | Step::Charge(_) | Step::End(_))), "{due:?}");
    let (renewal, charges) = stack.renewal_of(app, renewer.order).await;
    assert_eq!((renewal.state.attempts, charges.len()), (1, 1), "no attempt after the other");
    berth.stop().await;

    // Days later the key of that attempt is forgotten, so it is looked up, found not to be made, and made anew.
    set(&mut stack, &good);
    let berth = stack.start().await;
    let app = &berth.app;
    stack.pass_everywhere(app, 400.0).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::Invoiced).await;
    stack.until_idle().await;
    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::Paid);
    assert_eq!(stack.attempts_at_stripe(renewer.order).await, [true]);
    stack.money_agrees().await;
    berth.stop().await;
}

/// Sets Stripe's key; answers the one before.
fn set(stack: &mut Stack, key: &str) -> String {
    let setting = stack.settings.iter_mut().find(|(name, _)| name == "stripe.secret_key").unwrap();
    std::mem::replace(&mut setting.1, key.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_every_point_of_a_charge_makes_it_once() {
    const POINTS: [&str; 5] = [
        "charge.before_send=kill@1",
        "charge.after_send=kill@1",
        "charge.before_commit=kill@1",
        "charge.after_send=kill@1",
        "charge.before_commit=kill@1",
    ];
    let stack = Stack::with(StackOptions::default().quick()).await;
    let berth = stack.start().await;
    let mut renewers = Vec::new();
    for at in 0..POINTS.len() {
        // The last two are declined.
        let card = if at < 3 { "pm_card_visa" } else { "pm_card_chargeCustomerFail_insufficient_funds" };
        renewers.push(stack.buyer(&berth.app, card).await);
    }
    stack.pass_until_before(&berth.app, renewers[0].1, 48).await;
    let mut orders = Vec::new();
    for (_, account) in &renewers {
        orders.push(stack.issue(&berth.app, *account, "0").await);
    }
    let app = berth.app.clone();
    berth.stop().await;

    for (order, point) in orders.iter().zip(POINTS) {
        let _serve = Keeper::start(&Launch::new(&stack, &["serve"]), 1, &[]);
        let workers = Keeper::start(&Launch::new(&stack, &["work"]), 1, &[point]);
        sqlx::query(
            "insert into berth.jobs (id, kind, queue, class, payload, serial, coalesce_key, run_at)
             values (gen_random_uuid(), 'charge_renewal', 'payments', 2, $1, $2, $3, berth.now())",
        )
        .bind(json!({ "order_id": order.to_string() }))
        .bind(format!("renewal:{order}"))
        .bind(format!("charge_renewal:{order}"))
        .execute(&stack.pool)
        .await
        .unwrap();
        stack
            .until(&format!("{order} was charged after {point}"), async || {
                let phase = app.store.renewal(*order).await.unwrap().state.phase;
                matches!(phase, RenewalPhase::Paid | RenewalPhase::PastDue)
            })
            .await;
        assert_eq!(workers.deaths().len(), 1, "{point} was met");
        stack.until_idle().await;
    }

    for (at, order) in orders.iter().enumerate() {
        let (_, charges) = stack.renewal_of(&app, *order).await;
        assert_eq!(charges.len(), 1, "{}", POINTS[at]);
        assert_eq!(stack.attempts_at_stripe(*order).await, [at < 3], "{}", POINTS[at]);
    }
    stack.money_agrees().await;
}
