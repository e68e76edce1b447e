//! What Stripe has of a renewal and no row tells of, as after a backup was restored: it is found before a card is charged.

use berth::{app::App, domain::renewal::RenewalPhase};
use berth_jobs::ids::OrderId;
use serde_json::{Value, json};

use super::{app, start};
use crate::support::{STRIPE_KEY, Stack, renewing::Renewer};

async fn at_stripe(stack: &Stack, of: &Renewer) -> String {
    sqlx::query_scalar("select stripe_customer_id from berth.customers where id = $1")
        .bind(of.user)
        .fetch_one(&stack.pool)
        .await
        .unwrap()
}

async fn make_intent(stack: &Stack, body: String) -> String {
    let request = stack.client.post(format!("{}/v1/payment_intents", stack.stripe)).bearer_auth(STRIPE_KEY).body(body);
    let response = request.header("Content-Type", "application/x-www-form-urlencoded").send().await.unwrap();
    let intent: Value = response.json().await.unwrap();
    intent["id"].as_str().unwrap_or_else(|| panic!("{intent}")).to_owned()
}

/// Has the renewer's card charged at Stripe for their period, as a Berth did of which nothing is known here; answers the intent.
async fn charged_unheard(stack: &Stack, app: &App, of: &Renewer, order: OrderId, minor: i64) -> String {
    let customer = at_stripe(stack, of).await;
    let card = stack.cards(app, of.user).await.remove(0).id;
    let renewal = app.store.renewal(of.order).await.unwrap();
    let body = format!(
        "amount={minor}&currency=usd&customer={customer}&payment_method={card}&off_session=true&confirm=true\
         &allowed_payment_method_types[0]=card&metadata[charge_id]=chg_lost&metadata[order_id]={order}\
         &metadata[account_id]={}&metadata[period_start]={}",
        of.account, renewal.period_start
    );
    make_intent(stack, body).await
}

/// Two whose renewals are invoiced at the same time.
async fn renewers(stack: &Stack, app: &App) -> [Renewer; 2] {
    let bought = [stack.buyer(app, "pm_card_visa").await, stack.buyer(app, "pm_card_visa").await];
    stack.pass_until_before(app, bought[0].1, 48).await;
    let orders = [stack.issue(app, bought[0].1, "0").await, stack.issue(app, bought[1].1, "0").await];
    [0, 1].map(|at| Renewer { user: bought[at].0, account: bought[at].1, order: orders[at] })
}

/// What was taken at Stripe for the renewer's period, less what went back, payment by payment.
async fn taken(stack: &Stack, of: &Renewer) -> Vec<(i64, i64)> {
    let records = stack.sim_get("records").await;
    let of_account = json!(of.account.to_string());
    let charges = records["charges"].as_array().unwrap().iter();
    charges
        .filter(|charge| charge["paid"] == true && charge["metadata"]["account_id"] == of_account)
        .map(|charge| (charge["amount"].as_i64().unwrap(), charge["amount_refunded"].as_i64().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_that_was_paid_under_a_lost_order_is_not_charged_again() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    stack.say_nothing().await;
    charged_unheard(&stack, app, &renewer, OrderId::new(), 499).await;

    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::Paid);

    assert_eq!(taken(&stack, &renewer).await, [(499, 0)]);
    let (renewal, charges) = stack.renewal_of(app, renewer.order).await;
    assert_eq!(charges.iter().map(|charge| charge.state.as_str()).collect::<Vec<_>>(), ["succeeded"]);
    assert_eq!(app.store.account(renewer.account).await.unwrap().expires_at, Some(renewal.period_end));
    assert_eq!(stack.mail_of(renewer.user, "renewal_receipt").await["card"], "Visa ending in 4242");
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_for_a_period_and_is_not_what_is_due_goes_back_and_what_is_due_is_charged() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    stack.say_nothing().await;
    charged_unheard(&stack, app, &renewer, OrderId::new(), 399).await;

    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::Invoiced);
    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::Paid);

    assert_eq!(taken(&stack, &renewer).await, [(399, 399), (499, 0)]);
    assert_eq!(stack.count("select count(*) from berth.alerts where kind = 'second_payment'").await, 1);
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_back_pays_only_the_order_that_it_came_for() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let [called_off, goodwill] = renewers(&stack, app).await;
    stack.say_nothing().await;
    for (renewer, order) in [(&called_off, OrderId::new()), (&goodwill, goodwill.order)] {
        let intent = charged_unheard(&stack, app, renewer, order, 499).await;
        stack.refund_at_stripe(&intent, 499).await.unwrap();
    }
    stack.until_idle().await;

    assert_eq!(stack.charge_through(app, called_off.order).await, RenewalPhase::Paid);
    assert_eq!(stack.charge_through(app, goodwill.order).await, RenewalPhase::Paid);

    assert_eq!(taken(&stack, &called_off).await, [(499, 499), (499, 0)]);
    assert_eq!(taken(&stack, &goodwill).await, [(499, 499)], "what somebody gave back is not asked for again");
    assert_eq!(stack.refunds_known().await.len(), 1);
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_went_back_is_known_with_its_payment() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    stack.say_nothing().await;
    let intent = charged_unheard(&stack, app, &renewer, OrderId::new(), 499).await;
    stack.refund_at_stripe(&intent, 100).await.unwrap();

    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::Paid);
    stack.until_idle().await;

    assert_eq!(taken(&stack, &renewer).await, [(499, 100)]);
    assert_eq!(stack.refunds_known().await.iter().map(|(_, minor, _)| *minor).collect::<Vec<_>>(), [100]);
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unheard_payment_that_its_bank_takes_days_for_is_waited_for() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    stack.say_nothing().await;
    let card = stack.cards(app, renewer.user).await.remove(0).id;
    stack.sim(&format!("payment_methods/{card}"), &json!({ "outcome": "processing" })).await;
    let intent = charged_unheard(&stack, app, &renewer, OrderId::new(), 499).await;
    stack.sim(&format!("payment_methods/{card}"), &json!({ "outcome": "succeed" })).await;

    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::InDoubt);
    stack.sim(&format!("payment_intents/{intent}/settle"), &json!({ "result": "succeed" })).await;
    stack.pass_everywhere(app, 400.0).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::Paid).await;
    stack.until_idle().await;

    assert_eq!(taken(&stack, &renewer).await, [(499, 0)]);
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_stripe_does_not_say_what_was_paid_nothing_is_charged_and_nobody_is_suspended_for_it() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    stack.say_nothing().await;
    charged_unheard(&stack, app, &renewer, OrderId::new(), 499).await;
    let away = json!({ "on": "response", "path_prefix": "/v1/payment_intents", "method": "GET", "times": 50,
        "fault": { "kind": "server_error", "committed": false } });
    stack.sim("faults", &json!({ "faults": [away] })).await;

    stack.charge(app, renewer.order).await;
    let asked =
        "select count(*) from berth.jobs where kind = 'charge_renewal' and state = 'queued' and last_error is not null";
    stack.until_count(asked, 1).await;
    assert_eq!(app.store.renewal(renewer.order).await.unwrap().state.phase, RenewalPhase::Charging);
    assert_eq!(taken(&stack, &renewer).await, [(499, 0)]);
    stack.client.delete(format!("{}/_sim/faults", stack.stripe)).send().await.unwrap();
    stack.pass_everywhere(app, 60.0).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::Paid).await;
    stack.until_idle().await;

    assert_eq!(taken(&stack, &renewer).await, [(499, 0)]);
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_more_payments_than_are_read_is_charged_unless_they_are_all_of_a_day() {
    const READ: usize = 1_000;
    let (stack, berth) = start().await;
    let app = app(&berth);
    let [of_days, of_a_day] = renewers(&stack, app).await;
    stack.say_nothing().await;
    let pay_often = async |renewer: &Renewer| {
        let customer = at_stripe(&stack, renewer).await;
        for _ in 0..=READ {
            make_intent(&stack, format!("amount=100&currency=usd&customer={customer}")).await;
        }
    };
    pay_often(&of_days).await;
    stack.pass_until_before(app, of_days.account, 22).await;
    pay_often(&of_a_day).await;

    assert_eq!(stack.charge_through(app, of_days.order).await, RenewalPhase::Paid);
    stack.charge(app, of_a_day.order).await;
    let refused = "select count(*) from berth.jobs where kind = 'charge_renewal' and last_error like '%more payments%'";
    stack.until_count(refused, 1).await;

    assert_eq!(app.store.renewal(of_a_day.order).await.unwrap().state.phase, RenewalPhase::Charging);
    assert_eq!((taken(&stack, &of_days).await, taken(&stack, &of_a_day).await), (vec![(499, 0)], vec![]));
    stack.money_agrees().await;
    berth.stop().await;
}
