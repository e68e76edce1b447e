//! Customers' credit in staff's hands: looked at, granted, taken back, and never more than was granted and is left.

use std::collections::BTreeMap;

use berth::{
    app::App,
    domain::order::Actor,
    effects::{CreditFor, CreditKind, Effects},
    ending,
    sweeps::Sweep,
};
use berth_jobs::{
    Queue,
    ids::{AccountId, CustomerId, OrderId},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{
    Running, Stack, StackOptions, WatchedPanel,
    ask::Answer,
    hosting::{Live, invoiced},
    process::Process,
    purchase::usd,
    shop::new_order,
};

/// A shop, and a customer of it with a live account.
struct World {
    stack: Stack,
    berth: Running,
    live: Live,
    /// One member of staff, who stays the same.
    staff: String,
}

impl World {
    async fn new() -> Self {
        let stack = Stack::new().await;
        let berth = stack.start_on(&WatchedPanel::new(), &Queue::ALL).await;
        let live = stack.live_account(&berth.app).await;
        let staff = stack.staff();
        Self { stack, berth, live, staff }
    }

    fn app(&self) -> &App {
        &self.berth.app
    }

    fn path(&self, what: &str) -> String {
        format!("/v1/customers/{}/credit{what}", self.live.user)
    }

    async fn grant(&self, amount: &str) -> Answer {
        let body = json!({ "amount": amount, "currency": "USD", "reason": "an outage" });
        self.stack.ask(&self.staff, "POST", &self.path(""), &body).await
    }

    async fn take_back(&self, amount: Option<&str>) -> Answer {
        let body = json!({ "amount": amount, "currency": "USD", "reason": "a mistake" });
        self.stack.ask(&self.staff, "POST", &self.path("/take-back"), &body).await
    }

    async fn shown(&self) -> Value {
        self.stack.ask(&self.staff, "GET", &self.path(""), &Value::Null).await.ok()
    }

    /// Balance and goodwill.
    async fn usd(&self) -> (String, String) {
        let shown = self.shown().await;
        let of_usd = shown["balances"].as_array().unwrap().iter().find(|it| it["currency"] == "USD").unwrap().clone();
        let text = |name: &str| of_usd[name].as_str().unwrap().to_owned();
        (text("balance"), text("goodwill"))
    }

    /// Credit that is the customer's own, as days that are left are worth.
    async fn own(&self, amount: &str) {
        let of = CreditFor {
            customer_id: CustomerId(self.live.user),
            order_id: None,
            account_id: self.live.id,
            at: self.app().clock.now(),
        };
        let effects = Effects::none().credit_for(of, CreditKind::Proration, usd(amount));
        self.app().committer.write(effects).await.unwrap();
    }

    async fn call_off(&self) {
        let open = self.app().store.unsettled_renewals(&[self.live.id]).await.unwrap();
        let effects = ending::call_off(Effects::none(), &open, Actor::Customer, self.app().clock.now());
        self.app().committer.write(effects).await.unwrap();
    }

    async fn end(self) {
        self.stack.audit_rows().await;
        self.berth.stop().await;
    }
}

/// Kind, amount and goodwill of each movement, the latest first.
fn moves(shown: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entries = shown["entries"]["data"].as_array().unwrap().iter();
    entries.map(|it| (text(&it["kind"]), text(&it["amount"]), text(&it["goodwill"]))).collect()
}

fn told(moves: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    moves.iter().map(|(kind, amount, goodwill)| ((*kind).into(), (*amount).into(), (*goodwill).into())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_grants_credit_takes_it_back_and_sees_who_did_what_and_why() {
    let world = World::new().await;
    assert_eq!(world.shown().await["balances"], json!([]));

    let granted = world.grant("6.50").await.ok();
    let part = world.take_back(Some("2.00")).await.ok();
    let above = world.take_back(Some("4.51")).await;
    let rest = world.take_back(None).await.ok();
    let nothing = world.take_back(None).await;

    assert_eq!((&granted["kind"], &granted["amount"]), (&json!("granted"), &json!("6.50")), "{granted}");
    assert_eq!(granted["now"], json!({ "currency": "USD", "balance": "6.50", "goodwill": "6.50" }));
    assert_eq!((&part["amount"], &part["now"]["balance"]), (&json!("-2.00"), &json!("4.50")), "{part}");
    assert_eq!((above.refusal(), &above.body["goodwill"]), ((422, "credit-above-goodwill"), &json!("4.50")));
    assert_eq!((&rest["amount"], &rest["now"]["goodwill"]), (&json!("-4.50"), &json!("0.00")), "{rest}");
    assert_eq!(nothing.refusal(), (409, "credit-not-granted"));
    let shown = world.shown().await;
    let all = [("taken_back", "-4.50", "-4.50"), ("taken_back", "-2.00", "-2.00"), ("granted", "6.50", "6.50")];
    assert_eq!(moves(&shown), told(&all));
    assert_eq!(shown["entries"]["data"][2]["reason"], "an outage");
    let audited = world.app().store.audit_entries(Some(&world.live.user.to_string()), None, 10).await.unwrap();
    let by_whom: Vec<_> = audited.iter().map(|it| (it.action.as_str(), it.actor.as_str())).collect();
    let actor = shown["entries"]["data"][0]["actor"].as_str().unwrap();
    assert_eq!(by_whom, [("credit.take_back", actor), ("credit.take_back", actor), ("credit.grant", actor)]);
    let page = format!("?limit=1&starting_after={}", shown["entries"]["data"][0]["id"].as_str().unwrap());
    let page = world.stack.ask(&world.staff, "GET", &world.path(&page), &Value::Null).await.ok();
    assert_eq!((moves(&page), &page["entries"]["has_more"]), (told(&all[1..2]), &json!(true)));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sum_or_nobodys_is_refused_and_customers_grant_nothing() {
    let world = World::new().await;
    let ask = async |path: String, body: Value| world.stack.ask(&world.staff, "POST", &path, &body).await;
    let nobodys = format!("/v1/customers/{}/credit", Uuid::new_v4());
    let good = json!({ "amount": "1.00", "currency": "USD", "reason": "x" });

    for (amount, currency) in [("0.00", "USD"), ("-1", "USD"), ("1.999", "USD"), ("1", "XXX"), ("99999999999", "USD")] {
        let body = json!({ "amount": amount, "currency": currency, "reason": "x" });
        for what in ["", "/take-back"] {
            let answer = ask(world.path(what), body.clone()).await;
            assert_eq!(answer.refusal(), (422, "credit-amount-invalid"), "{amount} {currency}");
        }
    }
    for body in [json!({ "amount": "1", "currency": "USD" }), json!({ "currency": "USD", "reason": "x" })] {
        assert_eq!(ask(world.path(""), body).await.refusal(), (400, "invalid-body"));
    }
    assert_eq!(ask(nobodys, good.clone()).await.refusal(), (404, "not-found"));
    let (by_customer, _) = world.stack.post(world.live.user, &world.path(""), &good).await;
    let (seen_by_customer, _) = world.stack.get(world.live.user, &world.path("")).await;
    assert_eq!((by_customer, seen_by_customer), (403, 403));
    assert_eq!(world.stack.count("select count(*) from berth.credit_entries").await, 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_moves_credit_once() {
    let world = World::new().await;
    let ask = async |what: &str, key: &str, amount: &str| {
        let body = json!({ "amount": amount, "currency": "USD", "reason": "late" });
        let url = format!("{}{}", world.stack.base(), world.path(what));
        let request = world.stack.client.post(url).bearer_auth(&world.staff).header("Idempotency-Key", key);
        let response = request.json(&body).send().await.unwrap();
        let replayed = response.headers().contains_key("idempotent-replayed");
        (response.status().as_u16(), replayed, response.json::<Value>().await.unwrap())
    };

    let (one, same) = tokio::join!(ask("", "one", "3.00"), ask("", "one", "3.00"));
    let (status, replayed, later) = ask("", "one", "3.00").await;
    let (reused, _, problem) = ask("", "one", "4.00").await;
    let (other_verb, _, _) = ask("/take-back", "one", "3.00").await;
    let (back, back_again) = tokio::join!(ask("/take-back", "two", "3.00"), ask("/take-back", "two", "3.00"));

    assert_eq!((one.0, same.0, status, replayed), (201, 201, 201, true), "{one:?} {same:?}");
    assert_eq!((&one.2["id"], &same.2["id"]), (&later["id"], &later["id"]));
    assert_eq!((reused, other_verb), (422, 422), "{problem}");
    assert_eq!((back.0, back_again.0, &back.2["id"]), (201, 201, &back_again.2["id"]));
    assert_eq!(world.usd().await, ("0.00".to_owned(), "0.00".to_owned()));
    assert_eq!(world.stack.count("select count(*) from berth.credit_entries").await, 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goodwill_is_used_first_comes_back_as_such_and_what_is_the_customers_own_is_never_taken() {
    let world = World::new().await;
    world.own("3.00").await;
    world.grant("4.00").await.ok();

    let order: OrderId = invoiced_from_credit(&world, "4.99").await;
    let after_use = world.usd().await;
    let spent = world.take_back(None).await;
    world.call_off().await;
    let after_call_off = world.usd().await;
    let all = world.take_back(None).await.ok();

    assert_eq!(after_use, ("2.01".to_owned(), "0.00".to_owned()));
    assert_eq!(spent.refusal(), (409, "credit-not-granted"));
    assert_eq!(after_call_off, ("7.00".to_owned(), "4.00".to_owned()));
    assert_eq!(all["now"], json!({ "currency": "USD", "balance": "3.00", "goodwill": "0.00" }));
    let shown = world.shown().await;
    let moved = [
        ("taken_back", "-4.00", "-4.00"),
        ("restored", "4.99", "4.00"),
        ("used", "-4.99", "-4.00"),
        ("granted", "4.00", "4.00"),
        ("proration", "3.00", "0.00"),
    ];
    assert_eq!(moves(&shown), told(&moved));
    for at in [1, 2] {
        assert_eq!(shown["entries"]["data"][at]["order_id"], order.to_string());
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_names_the_credit_note_that_took_its_invoice_back() {
    let world = World::new().await;

    let order = world.stack.issue(world.app(), world.live.id, "2.00").await;
    world.stack.call_off(world.app(), order).await;

    let shown = world.shown().await;
    let entries = shown["entries"]["data"].as_array().unwrap();
    let papers: Vec<_> =
        entries.iter().map(|it| (&it["kind"], &it["invoice_number"], &it["credit_note_number"])).collect();
    let (invoice, note) = (json!("INV-000001"), json!("CN-000001"));
    assert_eq!(
        papers,
        [
            (&json!("restored"), &invoice, &note),
            (&json!("used"), &invoice, &Value::Null),
            (&json!("granted"), &Value::Null, &Value::Null),
        ]
    );
    world.end().await;
}

/// Invoices the next period, which takes so much of the credit that is there.
async fn invoiced_from_credit(world: &World, credit: &str) -> OrderId {
    let order = invoiced(world.app(), &world.live, "0").await;
    let of = CreditFor {
        customer_id: CustomerId(world.live.user),
        order_id: Some(order),
        account_id: world.live.id,
        at: world.app().clock.now(),
    };
    let effects = Effects::none().credit_for(of, CreditKind::Used, usd(credit));
    world.app().committer.write(effects).await.unwrap();
    sqlx::query("update berth.orders set credit = $2::numeric where id = $1")
        .bind(order.0)
        .bind(credit)
        .execute(&world.stack.pool)
        .await
        .unwrap();
    order
}

/// What there should be, in cents: goodwill, and the customer's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ledger {
    goodwill: i64,
    own: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_moves_credit_in_whatever_order_the_ledger_is_what_a_count_by_hand_says() {
    let world = World::new().await;
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let text = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
    let (mut is, mut taken) = (Ledger::default(), None::<Ledger>);

    for _ in 0..60 {
        let cents = rng.random_range(1..400);
        match rng.random_range(0..5) {
            0 => {
                world.grant(&text(cents)).await.ok();
                is.goodwill += cents;
            }
            1 => {
                world.own(&text(cents)).await;
                is.own += cents;
            }
            2 => {
                let answer = world.take_back(Some(&text(cents))).await;
                assert_eq!(answer.status == 201, cents <= is.goodwill, "seed {seed}: {answer:?} at {is:?}");
                is.goodwill -= if cents <= is.goodwill { cents } else { 0 };
            }
            3 if taken.is_none() && cents <= is.goodwill + is.own => {
                invoiced_from_credit(&world, &text(cents)).await;
                let goodwill = cents.min(is.goodwill);
                let part = Ledger { goodwill, own: cents - goodwill };
                is = Ledger { goodwill: is.goodwill - part.goodwill, own: is.own - part.own };
                taken = Some(part);
            }
            _ => {
                if let Some(part) = taken.take() {
                    world.call_off().await;
                    is = Ledger { goodwill: is.goodwill + part.goodwill, own: is.own + part.own };
                }
            }
        }
        let shown = world.shown().await;
        if is != Ledger::default() || shown["balances"] != json!([]) {
            assert_eq!(world.usd().await, (text(is.goodwill + is.own), text(is.goodwill)), "seed {seed}");
        }
    }

    assert_eq!(world.stack.broken_rules().await, []);
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_take_the_same_credit_at_once_only_so_many_get_it_as_there_is() {
    let world = World::new().await;
    world.own("1.00").await;
    world.grant("5.00").await.ok();

    let answers = futures::future::join_all((0..8).map(|_| world.take_back(Some("2.00")))).await;

    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for answer in &answers {
        *statuses.entry(answer.status).or_default() += 1;
    }
    assert_eq!(statuses.get(&201), Some(&2), "{answers:?}");
    assert_eq!(world.usd().await, ("2.00".to_owned(), "1.00".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_nobody_pays_gives_back_the_credit_that_it_took() {
    let world = World::new().await;
    world.grant("2.00").await.ok();
    let account = world.app().store.account(world.live.id).await.unwrap();
    let mut order = new_order(world.app(), &[("shared-monthly", 1)]);
    order.customer = account.customer.clone();
    (order.terms.changes, order.terms.credit) = (Some(world.live.id), Some(usd("1.50")));
    let of = CreditFor {
        customer_id: account.customer.id,
        order_id: Some(order.id),
        account_id: world.live.id,
        at: world.app().clock.now(),
    };
    let agreed = Effects::new_order(order).credit_for(of, CreditKind::Used, usd("1.50"));
    world.app().committer.write(agreed).await.unwrap();
    assert_eq!(world.usd().await, ("0.50".to_owned(), "0.50".to_owned()));
    // Stripe knows nothing of this customer, so there is no page to be asked about.
    sqlx::query("update berth.customers set stripe_customer_id = null").execute(&world.stack.pool).await.unwrap();
    world.stack.pass_hours(world.app(), 48).await;

    world.stack.sweep(world.app(), Sweep::UnpaidOrders).await;

    assert_eq!(world.stack.count("select count(*) from berth.orders where phase = 'cancelled'").await, 1);
    assert_eq!(world.usd().await, ("2.00".to_owned(), "2.00".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_in_another_currency_is_left_alone_and_hides_none_that_can_be_used() {
    let world = World::new().await;
    let account: AccountId = world.live.id;
    for (currency, amount) in [("EUR", "50.00"), ("USD", "5.00"), ("GBP", "50.00")] {
        let body = json!({ "amount": amount, "currency": currency, "reason": "an outage" });
        world.stack.ask(&world.staff, "POST", &world.path(""), &body).await.ok();
    }
    let due = world.app().store.account(account).await.unwrap().expires_at.unwrap();
    let week = jiff::SignedDuration::from_hours(24 * 7 - 1);
    world.stack.set_time(world.app(), due - week).await;

    world.stack.sweep(world.app(), Sweep::Accounts).await;

    assert_eq!(world.usd().await, ("0.01".to_owned(), "0.01".to_owned()));
    assert_eq!(world.stack.count("select count(*) from berth.renewals where phase = 'paid'").await, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_whose_server_is_killed_around_its_commit_is_made_once_when_asked_again() {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let (app, _tasks) = stack.app(&WatchedPanel::new()).await;
    stack.agree(&app, &[("shared-monthly", 1)]).await;
    let customer = stack.text("select customer_id::text from berth.orders").await;
    let staff = stack.staff();
    let ask = async |what: &str, key: &str| {
        let url = format!("{}/v1/customers/{customer}/credit{what}", stack.base());
        let body = json!({ "amount": "1.00", "currency": "USD", "reason": "an outage" });
        let request = stack.client.post(url).bearer_auth(&staff).header("Idempotency-Key", key).json(&body);
        let response = request.send().await.ok()?;
        let replayed = response.headers().contains_key("idempotent-replayed");
        Some((response.status().as_u16(), replayed, response.json::<Value>().await.ok()?))
    };

    for (what, balances) in [("", ["1.00", "2.00"]), ("/take-back", ["1.00", "0.00"])] {
        for (point, balance) in ["committer.before_commit=kill@1", "committer.after_commit=kill@1"].iter().zip(balances)
        {
            let key = format!("{what}{point}");
            let mut serve = Process::start(&stack, &["serve"], &[("BERTH_FAILPOINTS", point)]);
            stack.until_listening().await;
            assert!(ask(what, &key).await.is_none(), "{point} was not met");
            serve.wait().await;

            let mut serve = Process::start(&stack, &["serve"], &[]);
            stack.until_listening().await;
            let (status, replayed, moved) = ask(what, &key).await.unwrap();
            assert_eq!((status, replayed), (201, point.contains("after")), "{what} {point}: {moved}");
            assert_eq!(moved["now"]["balance"], balance, "{what} {point}");
            serve.kill().await;
        }
    }

    assert_eq!(stack.count("select count(*) from berth.credit_entries").await, 4);
    assert_eq!(stack.count("select count(*) from berth.audit where action like 'credit.%'").await, 4);
    stack.audit_rows().await;
}
