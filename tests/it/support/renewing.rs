//! Accounts whose renewal is open, made as a customer, Stripe and the timetable make them; and what must agree after it.

use std::collections::BTreeMap;

use berth::{
    app::App,
    domain::{money::Money, order::Actor, period, renewal::RenewalPhase},
    effects::{CreditFor, CreditHand, CreditKind, CreditMove, Effects, NewRenewal},
    ending,
    store::{
        cards::SavedCard,
        orders::Order,
        renewals::{Charge, Renewal},
    },
};
use berth_jobs::{
    ids::{AccountId, CreditEntryId, CustomerId, MailId, OrderId},
    renewals::ChargeRenewal,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Stack, shop};

/// Somebody with a live account, a saved card, and a renewal that is open.
pub(crate) struct Renewer {
    pub(crate) user: Uuid,
    pub(crate) account: AccountId,
    /// The renewal's order.
    pub(crate) order: OrderId,
}

impl Stack {
    /// Somebody who has bought an account for a month with that test card.
    pub(crate) async fn buyer(&self, app: &App, card: &str) -> (Uuid, AccountId) {
        let user = Uuid::new_v4();
        let (order, session) = self.checkout(user, "shared-monthly", 1).await;
        self.sim(&format!("checkout/sessions/{session}/complete"), &json!({ "as": "paid", "card": card })).await;
        let order: OrderId = order.parse().unwrap();
        self.until(&format!("{order} is complete, and its card known"), async || {
            let order = app.store.order(order).await.unwrap();
            order.completed_at.is_some() && !app.store.cards_of(order.customer.id).await.unwrap().is_empty()
        })
        .await;
        (user, app.store.order(order).await.unwrap().items[0].account_id.unwrap())
    }

    /// Lets business time pass, at Stripe as well.
    pub(crate) async fn pass_everywhere(&self, app: &App, seconds: f64) {
        self.pass_for(app, seconds).await;
        let offset: i64 = sqlx::query_scalar("select extract(epoch from clock_offset)::int8 from berth.clock")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        self.sim("clock", &json!({ "offset_seconds": offset })).await;
    }

    /// Lets time pass until so many hours before an account is due (after it, where negative).
    pub(crate) async fn pass_until_before(&self, app: &App, account: AccountId, hours: i64) {
        let due = app.store.account(account).await.unwrap().expires_at.unwrap();
        self.pass_until(app, due - SignedDuration::from_hours(hours)).await;
    }

    /// Lets time pass until then.
    pub(crate) async fn pass_until(&self, app: &App, at: Timestamp) {
        let left = at.duration_since(app.store.now().await.unwrap());
        self.pass_everywhere(app, left.as_secs_f64()).await;
    }

    /// Issues the renewal of the period that begins with the end of what is paid for.
    pub(crate) async fn issue(&self, app: &App, account: AccountId, credit: &str) -> OrderId {
        let account = app.store.account(account).await.unwrap();
        let (start, anchor) = (account.expires_at.unwrap(), account.billing_anchor.unwrap());
        let mut order = shop::new_order(app, &[("shared-monthly", 1)]);
        order.customer = account.customer.clone();
        order.terms.customer_snapshot = Some(json!({ "email": account.customer.email, "country": "DE" }));
        order.created_at = app.store.now().await.unwrap();
        let (id, now) = (order.id, order.created_at);
        let invoice = Order::from(&order).invoice(&app.seller, &app.catalogue, now).unwrap().unwrap();
        let credit = Money::parse(credit, order.total.currency()).unwrap();
        let mut effects = Effects::none();
        if !credit.is_zero() {
            let of =
                CreditFor { customer_id: order.customer.id, order_id: Some(id), account_id: account.state.id, at: now };
            effects = effects.credit(granted(order.customer.id, credit, now)).credit_for(of, CreditKind::Used, credit);
        }
        let renewal = NewRenewal {
            account_id: account.state.id,
            period_start: start,
            period_end: period::next_end(anchor, account.state.cycle, start).unwrap(),
            credit,
            invoice_mail_id: MailId::new(),
            order,
        };
        app.committer.write(effects.renewal(renewal).invoice(invoice)).await.unwrap();
        id
    }

    /// Somebody who has paid by that card, two days before they are due, with the renewal invoiced.
    pub(crate) async fn renewer(&self, app: &App, card: &str) -> Renewer {
        let (user, account) = self.buyer(app, card).await;
        self.pass_until_before(app, account, 48).await;
        let order = self.issue(app, account, "0").await;
        Renewer { user, account, order }
    }

    /// Asks for the charge, as the sweep does.
    pub(crate) async fn charge(&self, app: &App, order: OrderId) {
        app.committer.write(Effects::none().enqueue(ChargeRenewal { order_id: order })).await.unwrap();
    }

    /// Asks for the charge, and waits for its end.
    pub(crate) async fn charge_through(&self, app: &App, order: OrderId) -> RenewalPhase {
        self.charge(app, order).await;
        self.until_idle().await;
        app.store.renewal(order).await.unwrap().state.phase
    }

    /// Waits until a renewal is in a phase.
    pub(crate) async fn until_renewal(&self, app: &App, order: OrderId, phase: RenewalPhase) {
        self.until(&format!("{order} is {phase}"), async || {
            app.store.renewal(order).await.is_ok_and(|renewal| renewal.state.phase == phase)
        })
        .await;
    }

    /// Calls a renewal off, as a cancellation does.
    pub(crate) async fn call_off(&self, app: &App, order: OrderId) {
        let account = app.store.renewal(order).await.unwrap().account_id;
        let open = app.store.unsettled_renewals(&[account]).await.unwrap();
        let effects = ending::call_off(Effects::none(), &open, Actor::Customer, app.clock.now());
        app.committer.write(effects).await.unwrap();
    }

    pub(crate) async fn renewal_of(&self, app: &App, order: OrderId) -> (Renewal, Vec<Charge>) {
        (app.store.renewal(order).await.unwrap(), app.store.charges_of(order).await.unwrap())
    }

    /// Goes wrong at Stripe so often.
    pub(crate) async fn fault(&self, path: &str, times: u32, fault: Value) {
        let fault = json!({ "on": "response", "path_prefix": path, "method": "POST", "times": times, "fault": fault });
        self.sim("faults", &json!({ "faults": [fault] })).await;
    }

    /// Has Stripe tell nothing of payments by itself.
    pub(crate) async fn say_nothing(&self) {
        let silence = json!({
            "on": "delivery", "event_type": "payment_intent.*", "times": 1000, "fault": { "kind": "drop" },
        });
        self.sim("faults", &json!({ "faults": [silence] })).await;
    }

    /// The context of the latest mail of a kind to a customer.
    pub(crate) async fn mail_of(&self, user: Uuid, kind: &str) -> Value {
        sqlx::query_scalar(
            "select context from berth.mails where customer_id = $1 and kind = $2 order by created_at desc limit 1",
        )
        .bind(user)
        .bind(kind)
        .fetch_one(&self.pool)
        .await
        .unwrap_or_else(|error| panic!("no {kind}: {error}"))
    }

    pub(crate) async fn count_mails(&self, user: Uuid, kind: &str) -> i64 {
        sqlx::query_scalar("select count(*) from berth.mails where customer_id = $1 and kind = $2")
            .bind(user)
            .bind(kind)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    pub(crate) async fn cards(&self, app: &App, user: Uuid) -> Vec<SavedCard> {
        app.store.cards_of(CustomerId(user)).await.unwrap()
    }

    /// Every attempt to take money for an order that Stripe has a record of: whether it was paid.
    pub(crate) async fn attempts_at_stripe(&self, order: OrderId) -> Vec<bool> {
        let records = self.sim_get("records").await;
        let charges = records["charges"].as_array().unwrap();
        let of_order = charges.iter().filter(|charge| charge["metadata"]["order_id"] == json!(order.to_string()));
        of_order.map(|charge| charge["paid"] == true).collect()
    }

    /// The audit, and Stripe's own records: each charge that was paid is one payment of that sum, given back where it is not
    /// owed; and nothing else is a payment.
    pub(crate) async fn money_agrees(&self) {
        self.audit_rows().await;
        let records = self.sim_get("records").await;
        let mut taken: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for charge in records["charges"].as_array().unwrap().iter().filter(|charge| charge["paid"] == true) {
            let (sum, back) = (charge["amount"].as_i64().unwrap(), charge["amount_refunded"].as_i64().unwrap());
            let intent = charge["payment_intent"].as_str().unwrap().to_owned();
            assert_eq!(taken.insert(intent, (sum, back)), None, "an intent was paid twice");
        }
        let booked: Vec<(String, i64, String)> = sqlx::query_as(
            "select stripe_payment_intent_id, (amount * 100)::int8, state from berth.payments order by created_at",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let booked: BTreeMap<String, (i64, i64)> = booked
            .into_iter()
            .map(|(intent, sum, state)| (intent, (sum, if state == "succeeded" { 0 } else { sum })))
            .collect();
        assert_eq!(taken, booked, "what Stripe took and gave back, and what is written down of it");
    }

    /// Delivers every event of Stripe's so often again.
    pub(crate) async fn repeat_events(&self, times: usize) {
        let ids: Vec<String> = sqlx::query_scalar("select id from berth.stripe_events order by received_at")
            .fetch_all(&self.pool)
            .await
            .unwrap();
        for _ in 0..times {
            for id in &ids {
                self.sim(&format!("events/{id}/resend"), &json!({})).await;
            }
        }
        self.until("every event was delivered again", async || self.sim_get("healthz").await["undelivered"] == 0).await;
        self.until_idle().await;
    }
}

/// Credit that a member of staff grants.
pub(crate) fn granted(customer_id: CustomerId, amount: Money, at: Timestamp) -> CreditMove {
    let by = CreditHand { actor: "staff".to_owned(), reason: "a test".to_owned(), idempotency: None };
    CreditMove {
        id: CreditEntryId::new(),
        customer_id,
        amount,
        kind: CreditKind::Granted,
        order_id: None,
        account_id: None,
        by: Some(by),
        at,
    }
}
