//! A shop whose days pass, and customers in it.

use std::sync::atomic::{AtomicBool, Ordering};

use berth::{app::App, effects::Effects, store::accounts::Account, sweeps::Sweep};
use berth_jobs::ids::{AccountId, OrderId};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Running, Stack, StackOptions};

/// What a shop's schedule runs that may concern an account. The accounts' sweep is the first, for the others follow it.
const SWEEPS: [Sweep; 7] = [
    Sweep::Accounts,
    Sweep::Cards,
    Sweep::UnpaidOrders,
    Sweep::CheckoutPages,
    Sweep::StripeEvents,
    Sweep::SilentCharges,
    Sweep::Panels,
];
/// So often in a row may a run find something that the one before it made due.
const MOST_RUNS: usize = 6;

/// Berth with its clock, and Stripe with the same one.
pub(super) struct World {
    pub(super) stack: Stack,
    pub(super) berth: Running,
    is_silent: AtomicBool,
}

/// One account, its customer, and what was seen of it from outside.
pub(super) struct Life {
    pub(super) user: Uuid,
    pub(super) account: AccountId,
    /// What the customer did, and how the site and the backup changed.
    pub(super) seen: Vec<(Timestamp, String)>,
    site: String,
    backup: bool,
}

impl World {
    pub(super) async fn at(text: &str) -> Self {
        Self::with(StackOptions::default(), text).await
    }

    pub(super) async fn with(options: StackOptions, text: &str) -> Self {
        let stack = Stack::with(options).await;
        let berth = stack.start().await;
        let world = Self { stack, berth, is_silent: AtomicBool::new(false) };
        world.go_to(text.parse().unwrap()).await;
        world
    }

    pub(super) fn app(&self) -> &App {
        &self.berth.app
    }

    pub(super) async fn now(&self) -> Timestamp {
        self.app().store.now().await.unwrap()
    }

    /// Lets it be that time; it is never earlier than it was.
    pub(super) async fn go_to(&self, at: Timestamp) {
        assert!(at >= self.now().await, "the clock goes on: {at}");
        self.stack.set_time(self.app(), at).await;
        let offset = at.as_second() - berth::clock::Clock::machine().as_second();
        self.stack.sim("clock", &json!({ "offset_seconds": offset })).await;
    }

    /// Waits until nothing is under way, at Stripe neither. Of payments it may have been told to say nothing.
    pub(super) async fn settle(&self) {
        loop {
            self.stack.until("Stripe has told all", async || self.has_told().await).await;
            self.stack.until_idle().await;
            if self.has_told().await {
                return;
            }
        }
    }

    async fn has_told(&self) -> bool {
        self.is_silent.load(Ordering::Relaxed) || self.stack.sim_get("healthz").await["undelivered"] == 0
    }

    /// Has Stripe say nothing of payments by itself from now on.
    pub(super) async fn silence(&self) {
        self.settle().await;
        self.stack.say_nothing().await;
        self.is_silent.store(true, Ordering::Relaxed);
    }

    /// Buys an account with that test card.
    pub(super) async fn buy(&self, service: &str, card: &str) -> Life {
        self.buy_with(service, card, None).await
    }

    pub(super) async fn buy_with(&self, service: &str, card: &str, coupon: Option<&str>) -> Life {
        let user = Uuid::new_v4();
        let mut body = json!({ "items": [{ "service_id": service, "quantity": 1 }] });
        if let Some(code) = coupon {
            body["coupon"] = json!(code);
        }
        let (status, order) = self.stack.post(user, "/v1/checkout", &body).await;
        assert_eq!(status, 201, "{order}");
        let order: OrderId = order["order_id"].as_str().unwrap().parse().unwrap();
        let (_, shown) = self.stack.get(user, &format!("/v1/orders/{order}")).await;
        self.complete(shown["stripe_session_id"].as_str().unwrap(), card).await;
        let store = &self.app().store;
        self.stack
            .until(&format!("{order} is complete, and its card known"), async || {
                let order = store.order(order).await.unwrap();
                order.completed_at.is_some() && !store.cards_of(order.customer.id).await.unwrap().is_empty()
            })
            .await;
        self.settle().await;
        let account = store.order(order).await.unwrap().items[0].account_id.unwrap();
        let mut life = Life { user, account, seen: Vec::new(), site: String::new(), backup: false };
        self.look_at(&mut life).await;
        life
    }

    /// Pays on a page as its customer would.
    pub(super) async fn complete(&self, session: &str, card: &str) {
        let body = json!({ "as": "paid", "card": card });
        self.stack.sim(&format!("checkout/sessions/{session}/complete"), &body).await;
    }

    pub(super) async fn account(&self, life: &Life) -> Account {
        self.app().store.account(life.account).await.unwrap()
    }

    /// The end of what is paid for: D.
    pub(super) async fn due(&self, life: &Life) -> Timestamp {
        self.account(life).await.expires_at.unwrap()
    }

    /// Has the accounts' sweep run until it finds nothing that is due now.
    pub(super) async fn sweep(&self) {
        for _ in 0..MOST_RUNS {
            self.stack.sweep(self.app(), Sweep::Accounts).await;
            self.settle().await;
            if self.stack.count("select count(*) from berth.agenda where look_at <= berth.now()").await == 0 {
                return;
            }
        }
        panic!("after {MOST_RUNS} runs something is still due: {}", self.agenda().await);
    }

    async fn agenda(&self) -> String {
        self.stack.text("select coalesce(string_agg(a::text, ', '), '') from berth.agenda a").await
    }

    /// Has every sweep run that may concern an account.
    pub(super) async fn sweep_all(&self) {
        let all = SWEEPS.iter().fold(Effects::none(), |effects, sweep| effects.enqueue(sweep.job(None)));
        self.app().committer.write(all).await.unwrap();
        self.settle().await;
    }

    /// Comes to a day, lets the sweep run, and looks at the panel.
    pub(super) async fn visit(&self, lives: &mut [Life], at: Timestamp) {
        self.go_to(at).await;
        self.sweep().await;
        for life in lives {
            self.look_at(life).await;
        }
    }

    /// Goes through days that count from D.
    pub(super) async fn walk(&self, life: &mut Life, due: Timestamp, days: impl IntoIterator<Item = i64>) {
        for day in days {
            self.visit(std::slice::from_mut(life), day_of(due, day)).await;
        }
    }

    /// Goes through these days of the period that is paid for now.
    pub(super) async fn through(&self, life: &mut Life, days: impl IntoIterator<Item = i64>) {
        let due = self.due(life).await;
        self.walk(life, due, days).await;
    }

    /// Notes how the site answers and whether there is a backup, where that has changed.
    pub(super) async fn look_at(&self, life: &mut Life) {
        let account = self.account(life).await;
        let name = account.username.clone().unwrap_or_default();
        let request = self.stack.client.get(self.stack.base()).header("Host", format!("{name}.localhost"));
        let answer = request.send().await.unwrap().status().as_u16().to_string();
        let now = self.now().await;
        if answer != life.site {
            life.seen.push((now, format!("site answers {answer}")));
            life.site = answer;
        }
        let backup = account.backup_reference.is_some();
        if backup != life.backup {
            life.seen.push((now, if backup { "backup is kept" } else { "backup is gone" }.to_owned()));
            life.backup = backup;
        }
    }

    /// Notes what the customer does.
    pub(super) async fn note(&self, life: &mut Life, what: &str) {
        life.seen.push((self.now().await, format!("» {what}")));
    }

    /// Asks for something of the account as its customer.
    pub(super) async fn ask(&self, life: &Life, method: &str, what: &str, body: Value) -> Value {
        let path = format!("/v1/hosting/{}{what}", life.account);
        let answer = self.stack.ask(&self.stack.token(life.user), method, &path, &body).await.ok();
        self.settle().await;
        answer
    }

    /// Removes every saved card.
    pub(super) async fn without_card(&self, life: &mut Life) {
        self.note(life, "removes the card").await;
        for card in self.stack.cards(self.app(), life.user).await {
            let path = format!("/v1/payment-methods/{}", card.id);
            self.stack.ask(&self.stack.token(life.user), "DELETE", &path, &Value::Null).await.ok();
        }
        self.settle().await;
    }

    /// Saves another card, which becomes the one to charge.
    pub(super) async fn save_card(&self, life: &mut Life, card: &str) {
        self.note(life, "saves another card").await;
        let token = self.stack.token(life.user);
        let page = self.stack.ask(&token, "POST", "/v1/payment-methods", &Value::Null).await.ok();
        let known = self.stack.cards(self.app(), life.user).await.len();
        self.complete(page["url"].as_str().unwrap().rsplit('/').next().unwrap(), card).await;
        self.stack
            .until("the card is known", async || self.stack.cards(self.app(), life.user).await.len() > known)
            .await;
        self.settle().await;
    }

    /// Has the bank answer otherwise to the saved card from now on.
    pub(super) async fn bank_says(&self, life: &Life, outcome: &str) {
        for card in self.stack.cards(self.app(), life.user).await {
            self.stack.sim(&format!("payment_methods/{}", card.id), &json!({ "outcome": outcome })).await;
        }
    }

    /// Pays by the link of the latest mail of a kind.
    pub(super) async fn pay_by_link(&self, life: &mut Life, kind: &str, card: &str) {
        self.note(life, "pays by the link in the mail").await;
        let mail = self.stack.mail_of(life.user, kind).await;
        let link = mail["pay_url"].as_str().or(mail["action_url"].as_str()).unwrap();
        let response = self.stack.client.get(link).send().await.unwrap();
        assert_eq!(response.status(), 303);
        let page = response.headers()["location"].to_str().unwrap().to_owned();
        self.complete(page.rsplit('/').next().unwrap(), card).await;
        self.stack
            .until("what was paid on the page is booked", async || {
                let open =
                    "select count(*) from berth.renewals where phase not in ('paid', 'void', 'abandoned', 'returned')";
                self.stack.count(open).await == 0
            })
            .await;
        self.settle().await;
    }

    /// Has a member of staff grant the customer credit, or take some of that back (`/take-back`); answers what there is now.
    pub(super) async fn credit(&self, life: &mut Life, what: &str, amount: &str) -> Value {
        let verb = if what.is_empty() { "is granted" } else { "has taken back" };
        self.note(life, &format!("{verb} {amount}")).await;
        let path = format!("/v1/customers/{}/credit{what}", life.user);
        let body = json!({ "amount": amount, "currency": "USD", "reason": "an outage" });
        self.stack.ask(&self.stack.staff(), "POST", &path, &body).await.ok()["now"].clone()
    }

    /// What must hold after every case: the audit is clean, and every sweep can run again, twice, without anything new.
    pub(super) async fn end(self, lives: &mut [Life]) {
        self.runs_again(lives).await;
        self.stack.money_agrees().await;
        self.berth.stop().await;
    }

    /// As `end`, where money went back: what Stripe has of it is told by the timeline.
    pub(super) async fn end_of_refunds(self, lives: &mut [Life]) {
        self.runs_again(lives).await;
        self.stack.audit_rows().await;
        self.berth.stop().await;
    }

    async fn runs_again(&self, lives: &mut [Life]) {
        let mut before = Vec::new();
        for life in &mut *lives {
            before.push(self.timeline(life).await);
        }
        for _ in 0..2 {
            self.sweep_all().await;
        }
        for (life, before) in lives.iter_mut().zip(before) {
            self.look_at(life).await;
            assert_eq!(self.timeline(life).await, before, "every sweep, run again, does nothing");
        }
    }
}

/// Some minutes into the day that is so many days after D. Each day's visit is a little later than the one before it, as what
/// was told then must be a whole day old.
pub(super) fn day_of(due: Timestamp, day: i64) -> Timestamp {
    due + SignedDuration::from_hours(24 * day) + SignedDuration::from_secs(20 * (day + 40))
}
