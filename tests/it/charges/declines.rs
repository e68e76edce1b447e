//! Cards that are declined, and banks that ask for the customer.

use berth::{
    app::App,
    domain::{
        account::AccountPhase,
        decline::DeclineClass,
        renewal::RenewalPhase,
        timetable::{self, Step, Timetable},
    },
    effects::Effects,
};
use berth_jobs::ids::OrderId;
use serde_json::{Value, json};

use super::{app, start};
use crate::support::{Stack, ask::Answer};

/// Whether the timetable wants a charge now.
async fn charge_is_due(app: &App, order: OrderId) -> bool {
    let account = app.store.renewal(order).await.unwrap().account_id;
    let entry = app.store.agenda_entry(account).await.unwrap().unwrap();
    let due = timetable::due(app.store.now().await.unwrap(), &entry.facts, &Timetable::default());
    due.iter().any(|due| matches!(due.step, Step::Charge(_)))
}

/// Follows the link of a mail, as a browser without a login does; answers the status and where it leads.
async fn follow(stack: &Stack, link: &Value) -> (u16, Option<String>) {
    let response = stack.client.get(link.as_str().unwrap()).send().await.unwrap();
    let to = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
    (response.status().as_u16(), to)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_class_of_decline_has_its_phase_its_mail_and_its_next_try() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let cases = [
        ("insufficient_funds", DeclineClass::Soft, Some("there is not enough money on its account")),
        ("generic_decline", DeclineClass::Soft, None),
        ("stolen_card", DeclineClass::Hard, None),
        ("fraudulent", DeclineClass::Hard, None),
        ("card_not_supported", DeclineClass::Hard, Some("it cannot be used for such payments")),
    ];
    let mut renewers = Vec::new();
    for (code, _, _) in cases {
        renewers.push(stack.buyer(app, &format!("pm_card_chargeCustomerFail_{code}")).await);
    }
    stack.pass_until_before(app, renewers[4].1, 60).await;

    for ((user, account), (code, class, reason)) in renewers.into_iter().zip(cases) {
        let order = stack.issue(app, account, "0").await;
        assert_eq!(stack.charge_through(app, order).await, RenewalPhase::PastDue, "{code}");

        let (renewal, charges) = stack.renewal_of(app, order).await;
        assert_eq!(charges.iter().map(|charge| charge.decline).collect::<Vec<_>>(), [Some(class)], "{code}");
        assert_eq!(renewal.state.attempts, 1, "{code}");
        let mail = stack.mail_of(user, "payment_failed").await;
        assert_eq!(mail["reason"], json!(reason), "{code}");
        assert_eq!(mail["next_try"].is_string(), class == DeclineClass::Soft, "{code}: {mail}");
        assert!(!mail.to_string().contains(code), "{code} is not told as it is: {mail}");
        assert!(!charge_is_due(app, order).await, "{code}: not the same card at once");
        assert_eq!(stack.charge_through(app, order).await, RenewalPhase::PastDue, "{code}");
        assert_eq!(stack.attempts_at_stripe(order).await, [false], "{code}: tried once");
    }
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_declined_softly_pays_by_the_same_intent_another_day() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_chargeCustomerFail_insufficient_funds").await;
    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::PastDue);
    let card = stack.cards(app, renewer.user).await.remove(0).id;
    stack.sim(&format!("payment_methods/{card}"), &json!({ "outcome": "succeed" })).await;

    stack.pass_until_before(app, renewer.account, 22).await;
    assert!(charge_is_due(app, renewer.order).await);
    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::Paid);

    let (_, charges) = stack.renewal_of(app, renewer.order).await;
    assert_eq!(charges.iter().map(|charge| charge.state.as_str()).collect::<Vec<_>>(), ["declined", "succeeded"]);
    assert_eq!(charges[0].intent, charges[1].intent, "one intent a renewal");
    assert_eq!(stack.attempts_at_stripe(renewer.order).await, [false, true]);
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_asks_for_the_customer_gets_them_by_a_mail_with_a_page() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_authenticationRequired").await;

    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::AwaitingCustomer);
    let mail = stack.mail_of(renewer.user, "payment_confirmation_needed").await;
    assert_eq!(stack.count_mails(renewer.user, "payment_failed").await, 0, "it is no failure");
    stack.pass_until_before(app, renewer.account, 22).await;
    assert!(!charge_is_due(app, renewer.order).await, "the card is not tried without its customer");
    let (status, page) = follow(&stack, &mail["pay_url"]).await;
    assert_eq!(status, 303);
    let session = page.unwrap().rsplit('/').next().unwrap().to_owned();
    let paid = json!({ "as": "paid", "card": "pm_card_authenticationRequired" });
    stack.sim(&format!("checkout/sessions/{session}/complete"), &paid).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::Paid).await;
    stack.until_idle().await;

    assert_eq!(app.store.account(renewer.account).await.unwrap().state.phase, AccountPhase::Active);
    assert_eq!(stack.count_mails(renewer.user, "renewal_receipt").await, 1);
    let (status, page) = follow(&stack, &mail["pay_url"]).await;
    assert_eq!((status, page), (200, None), "it is paid, says the page");
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_card_is_tried_at_once_after_a_hard_decline() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_chargeCustomerFail_lost_card").await;
    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::PastDue);
    assert!(!charge_is_due(app, renewer.order).await);
    stack.pass_everywhere(app, 60.0).await;
    let looked = "select count(*) from berth.agenda where look_at <= berth.now() - interval '30 s'";

    let page: Answer = stack.ask(&stack.token(renewer.user), "POST", "/v1/payment-methods", &Value::Null).await;
    let page = page.ok();
    let session = page["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    sqlx::query("update berth.agenda set look_at = berth.now() + interval '1 day'").execute(&stack.pool).await.unwrap();
    stack.sim(&format!("checkout/sessions/{session}/complete"), &json!({ "as": "paid" })).await;
    stack
        .until("the new card is the one that is charged", async || {
            stack.cards(app, renewer.user).await.first().is_some_and(|card| card.last4.as_deref() == Some("4242"))
        })
        .await;
    stack.until_idle().await;

    assert_eq!(stack.count(looked).await, 0);
    assert_eq!(
        stack.count("select count(*) from berth.agenda where look_at <= berth.now()").await,
        1,
        "the account is looked at at once"
    );
    assert!(charge_is_due(app, renewer.order).await, "a new card is due at once");
    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::Paid);
    assert_eq!(stack.attempts_at_stripe(renewer.order).await, [false, true]);
    assert_eq!(stack.mail_of(renewer.user, "renewal_receipt").await["card"], "Visa ending in 4242");
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_came_while_suspended_for_it_lets_the_account_work_again_and_nothing_else_does() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    let state = app.store.account(renewer.account).await.unwrap().state;
    let suspending = state.suspend(berth::domain::account::SuspensionReason::NonPayment).unwrap();
    let suspended = state.after(&suspending).suspended(app.clock.now()).unwrap();
    app.committer.write(Effects::from(suspending)).await.unwrap();
    app.committer.write(Effects::from(suspended)).await.unwrap();

    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::Paid);

    let account = app.store.account(renewer.account).await.unwrap();
    assert!(
        matches!(account.state.phase, AccountPhase::Unsuspending | AccountPhase::Active),
        "{:?}",
        account.state.phase
    );
    assert!(account.state.standing.reasons.is_empty());
    stack.money_agrees().await;
    berth.stop().await;
}
