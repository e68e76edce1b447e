//! Buying what is in the cart: one order and one page at a time, coupons, what costs nothing, and money that is not owed.

use std::collections::BTreeSet;

use berth::effects::{CartEdit, CouponAmount, CouponTerms, Effects, ProfileChange};
use berth_jobs::ids::CustomerId;
use futures::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{
    Stack, StackOptions,
    cart::{change, contact, line, slug},
    purchase::{coupon, ten_per_cent},
};

const COMPLETED: &str = "select count(*) from berth.orders where phase = 'completed'";
const ALERTS: &str = "select count(*) from berth.alerts where resolved_at is null";

fn for_one() -> CouponTerms {
    CouponTerms { max_uses: Some(1), ..ten_per_cent() }
}

fn for_nothing() -> CouponTerms {
    CouponTerms { amount: CouponAmount::Percentage("100".parse().unwrap()), ..ten_per_cent() }
}

fn order_of(answer: &Value) -> String {
    answer["order_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_is_bought_as_it_stands_and_emptied_when_it_is_paid() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    coupon(&berth.app, "TEN", for_one()).await;
    let edits = vec![line("shared-monthly", 2), line("vps-monthly", 1), CartEdit::SetCoupon(Some("TEN".to_owned()))];
    let version = change(&berth.app, user, edits).await;

    let (status, _, answer) = stack.buy(user, None, &json!({ "cart_version": version })).await;
    assert_eq!((status, &answer["status"]), (201, &json!("pending")), "{answer}");
    let agreed = berth.app.store.order(order_of(&answer).parse().unwrap()).await.unwrap();
    assert_eq!((agreed.cart_version, agreed.items.len()), (Some(version), 3));
    assert_eq!(agreed.coupon.as_ref().map(|(_, code)| code.as_str()), Some("TEN"));
    assert_eq!(agreed.customer_snapshot.as_ref().unwrap()["email"], format!("{user}@customer.test"));
    assert!(agreed.items.iter().all(|item| item.terms.tax_category.is_some() && item.terms.configuration.is_object()));
    assert_eq!(stack.count("select count(*) from berth.cart_items").await, 2, "it is not paid yet");
    stack.pay(&stack.session_of(user, &answer).await).await;
    stack.until_count(COMPLETED, 1).await;
    stack.until_idle().await;

    let cart = berth.app.store.cart(CustomerId(user)).await.unwrap().unwrap();
    assert_eq!((cart.version, cart.lines.len(), cart.coupon_code), (version + 1, 0, None));
    assert_eq!(stack.count("select count(*) from berth.coupon_redemptions where state = 'committed'").await, 1);
    assert_eq!(
        stack.count("select count(*) from berth.invoices where buyer ->> 'email' like '%@customer.test'").await,
        1
    );
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_that_is_empty_or_not_as_it_was_seen_is_not_bought() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let user = Uuid::new_v4();

    let (status, _, problem) = stack.buy(user, None, &json!({})).await;
    assert_eq!((status, slug(&problem)), (422, "cart-empty"));
    let version = change(&berth.app, user, vec![line("shared-monthly", 1)]).await;
    let (status, _, problem) = stack.buy(user, None, &json!({ "cart_version": version + 1 })).await;
    assert_eq!((status, slug(&problem), &problem["cart_version"]), (409, "cart-changed", &json!(version)));
    let both = json!({ "cart_version": version, "items": [{ "service_id": "shared-monthly" }] });
    let (status, _, problem) = stack.buy(user, None, &both).await;
    assert_eq!((status, slug(&problem)), (400, "invalid-body"));
    for (body, wanted) in [
        (json!({ "coupon": "NOBODYS" }), (422, "coupon-invalid")),
        (json!({ "currency": "JPY" }), (422, "not-sold-in-currency")),
        (json!({ "currency": "nothing" }), (400, "invalid-body")),
        (json!({ "coupon": "a\u{0}b" }), (400, "invalid-body")),
        (json!({ "items": [{ "service_id": "a\u{0}b" }] }), (400, "invalid-body")),
        (json!({ "items": [{ "service_id": "shared-monthly", "domain": "a\u{0}.example" }] }), (400, "invalid-body")),
    ] {
        let (status, _, problem) = stack.buy(user, None, &body).await;
        assert_eq!((status, slug(&problem)), wanted, "{body}: {problem}");
    }

    assert_eq!(stack.count("select count(*) from berth.orders").await, 0);
    assert_eq!(stack.sim_get("requests").await["requests"], json!([]));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_that_is_checked_out_again_unchanged_is_the_same_order_on_the_same_page() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let user = Uuid::new_v4();
    coupon(&berth.app, "TEN", CouponTerms { max_uses_per_customer: Some(1), ..for_one() }).await;
    change(&berth.app, user, vec![line("shared-monthly", 1), CartEdit::SetCoupon(Some("TEN".to_owned()))]).await;

    let the_cart = json!({});
    let at_once = join_all((0..8).map(|_| stack.buy(user, None, &the_cart))).await;
    let later = stack.buy(user, None, &json!({})).await;
    let under_a_key = stack.buy(user, Some("a key"), &json!({})).await;

    let answers: BTreeSet<String> =
        at_once.iter().chain([&later, &under_a_key]).map(|(status, _, body)| format!("{status} {body}")).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(later.0, 201, "{}", later.2);
    assert_eq!(stack.count("select count(*) from berth.orders").await, 1);
    assert_eq!(stack.sessions_at_stripe().await, [(order_of(&later.2), "open".to_owned())]);
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_cart_closes_the_old_page_before_the_new_one_opens() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    coupon(&berth.app, "TEN", for_one()).await;
    change(&berth.app, user, vec![line("shared-monthly", 1), CartEdit::SetCoupon(Some("TEN".to_owned()))]).await;
    let (_, _, old) = stack.buy(user, Some("first"), &json!({})).await;
    let old_session = stack.session_of(user, &old).await;

    change(&berth.app, user, vec![line("vps-monthly", 1)]).await;
    let (status, _, new) = stack.buy(user, Some("second"), &json!({})).await;

    assert_eq!(status, 201, "{new}");
    assert_ne!(order_of(&old), order_of(&new));
    let wanted = [(order_of(&old), "expired".to_owned()), (order_of(&new), "open".to_owned())];
    assert_eq!(stack.sessions_at_stripe().await, wanted);
    let requests = stack.sim_get("requests").await.to_string();
    assert!(requests.find("/expire") < requests.rfind("/v1/checkout/sessions\""), "closed first: {requests}");
    let (_, shown) = stack.get(user, &format!("/v1/orders/{}", order_of(&old))).await;
    assert_eq!(shown["status"], "cancelled");
    assert_eq!(
        stack.count("select uses::int8 from berth.coupons").await,
        1,
        "the new order has the use of the old one"
    );
    let (status, _, problem) = stack.buy(user, Some("first"), &json!({})).await;
    assert_eq!((status, slug(&problem), order_of(&problem)), (409, "idempotency-key-spent", order_of(&old)));
    stack.until_idle().await;
    assert_ne!(old_session, stack.session_of(user, &new).await);
    stack.pay(&stack.session_of(user, &new).await).await;
    stack.until_count(COMPLETED, 1).await;
    stack.until_idle().await;
    assert_eq!(stack.count(ALERTS).await, 0);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn carts_checked_out_while_they_change_end_with_one_page_that_can_be_paid() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    change(&berth.app, user, vec![line("shared-monthly", 1)]).await;

    let browsers = (0..6).map(|at| {
        let (stack, app) = (&stack, &berth.app);
        async move {
            if at % 2 == 1 {
                change(app, user, vec![line("vps-monthly", 1)]).await;
            }
            stack.buy(user, None, &json!({})).await
        }
    });
    let answers = join_all(browsers.collect::<Vec<_>>()).await;
    let (status, _, last) = stack.buy(user, None, &json!({})).await;
    stack.until_idle().await;

    assert!(answers.iter().all(|(status, _, _)| [201, 409].contains(status)), "{answers:?}");
    assert_eq!(status, 201, "{last}");
    let sessions = stack.sessions_at_stripe().await;
    let open: Vec<_> = sessions.iter().filter(|(_, status)| status == "open").collect();
    assert_eq!(open, [&(order_of(&last), "open".to_owned())], "{sessions:?}");
    assert_eq!(stack.count("select count(*) from berth.orders where phase = 'pending'").await, 1);
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_that_was_paid_just_now_opens_no_second_page() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let user = Uuid::new_v4();
    change(&berth.app, user, vec![line("shared-monthly", 1)]).await;
    let (_, _, paid) = stack.buy(user, None, &json!({})).await;
    stack.pay(&stack.session_of(user, &paid).await).await;
    change(&berth.app, user, vec![line("vps-monthly", 1)]).await;

    let (status, _, problem) = stack.buy(user, None, &json!({})).await;

    assert_eq!((status, slug(&problem), order_of(&problem)), (409, "order-being-paid", order_of(&paid)));
    assert_eq!(stack.sessions_at_stripe().await, [(order_of(&paid), "complete".to_owned())]);
    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'sync_checkout'").await, 1);
    berth.stop().await;
    // It is looked at, and the next checkout of what is in the cart by then is another order.
    let berth = stack.start().await;
    stack.until_count(COMPLETED, 1).await;
    stack.until_idle().await;
    let (status, _, next) = stack.buy(user, None, &json!({})).await;
    assert_eq!(status, 201, "{next}");
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_page_cannot_be_closed_no_other_one_opens() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let user = Uuid::new_v4();
    change(&berth.app, user, vec![line("shared-monthly", 1)]).await;
    let (_, _, old) = stack.buy(user, None, &json!({})).await;
    change(&berth.app, user, vec![line("vps-monthly", 1)]).await;
    let path = format!("/v1/checkout/sessions/{}", stack.session_of(user, &old).await);
    let fault = json!({ "kind": "server_error", "committed": false });
    let fault = json!({ "on": "response", "path_prefix": path, "method": "POST", "times": 1000, "fault": fault });
    stack.sim("faults", &json!({ "faults": [fault] })).await;

    let (status, _, problem) = stack.buy(user, None, &json!({})).await;
    assert_eq!((status, order_of(&problem)), (503, order_of(&old)), "{problem}");
    assert_eq!(stack.sessions_at_stripe().await, [(order_of(&old), "open".to_owned())]);
    let cleared = stack.client.delete(format!("{}/_sim/faults", stack.stripe)).send().await.unwrap();
    assert_eq!(cleared.status(), 204);

    let (status, _, new) = stack.buy(user, None, &json!({})).await;
    assert_eq!(status, 201, "{new}");
    assert_eq!(stack.sessions_at_stripe().await[0], (order_of(&old), "expired".to_owned()));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_paid_on_two_pages_is_paid_once_and_the_other_money_goes_back() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    let rival = stack.rival_session(&order, 499).await;

    tokio::join!(stack.pay(&session), stack.pay(&rival));
    stack.until_count(COMPLETED, 1).await;
    stack.until_count("select count(*) from berth.payments where state = 'refunded'", 1).await;
    stack.until_idle().await;

    assert_eq!(stack.charged_net().await, 499);
    assert_eq!(stack.count("select count(*) from berth.payments where state = 'succeeded'").await, 1);
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts").await, 1);
    assert_eq!(stack.count(ALERTS).await, 1);
    assert_eq!(stack.text("select kind from berth.alerts").await, "second_payment");
    assert_eq!(stack.sim_get("records").await["refunds"].as_array().unwrap().len(), 1);
    // Told again, both events change nothing.
    sqlx::query("update berth.jobs set state = 'queued', dispatched_at = null where kind = 'complete_checkout'")
        .execute(&stack.pool)
        .await
        .unwrap();
    stack.until_idle().await;
    assert_eq!(stack.charged_net().await, 499);
    assert_eq!(stack.count(ALERTS).await, 1);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_for_an_order_that_was_replaced_goes_back_and_its_customer_pays_once() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    change(&berth.app, user, vec![line("shared-monthly", 1)]).await;
    let (_, _, old) = stack.buy(user, None, &json!({})).await;
    let slipped = stack.rival_session(&order_of(&old), 499).await;
    change(&berth.app, user, vec![line("shared-monthly", 1)]).await;
    let (_, _, new) = stack.buy(user, None, &json!({})).await;

    let session = stack.session_of(user, &new).await;
    tokio::join!(stack.pay(&slipped), stack.pay(&session));
    stack.until_count(COMPLETED, 1).await;
    stack.until_count("select count(*) from berth.payments where state = 'refunded'", 1).await;
    stack.until_idle().await;

    assert_eq!(stack.charged_net().await, 998, "two of what costs 4.99");
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts").await, 2);
    // Withdrawn by the checkout, or cancelled by Stripe's word that its page is closed, whichever came first.
    assert_eq!(stack.count("select count(*) from berth.orders where phase in ('withdrawn', 'cancelled')").await, 1);
    assert_eq!(stack.count(ALERTS).await, 1);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_checkouts_at_once_with_a_coupon_for_one_one_wins_and_the_others_read_why() {
    let stack = Stack::with(StackOptions::default().setting("http.coupon_checks_per_address", "1000")).await;
    let berth = stack.start().await;
    coupon(&berth.app, "TEN", for_one()).await;
    let body = json!({ "items": [{ "service_id": "shared-monthly" }], "coupon": "ten" });
    let users: Vec<Uuid> = (0..50).map(|_| Uuid::new_v4()).collect();

    let answers = join_all(users.iter().map(|user| stack.buy(*user, None, &body))).await;

    let won: Vec<usize> = (0..answers.len()).filter(|at| answers[*at].0 == 201).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    for (status, _, problem) in answers.iter().filter(|(status, _, _)| *status != 201) {
        assert_eq!((*status, slug(problem)), (422, "coupon-used-up"), "{problem}");
        assert_eq!(problem["detail"], "Coupon usage limit reached");
    }
    assert_eq!(stack.count("select count(*) from berth.orders").await, 1);
    assert_eq!(stack.count("select uses::int8 from berth.coupons").await, 1);
    stack.audit_rows().await;
    // When the page ends unpaid, the use is free for somebody else.
    let session = stack.session_of(users[won[0]], &answers[won[0]].2).await;
    stack.sim(&format!("checkout/sessions/{session}/complete"), &json!({ "as": "expired" })).await;
    stack.until_count("select count(*) from berth.orders where phase = 'cancelled'", 1).await;
    assert_eq!(stack.count("select uses::int8 from berth.coupons").await, 0);
    assert_eq!(stack.buy(Uuid::new_v4(), None, &body).await.0, 201);
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_nothing_is_sold_at_once_and_stripe_hears_nothing_of_it() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    coupon(&berth.app, "GIFT", for_nothing()).await;
    let version =
        change(&berth.app, user, vec![line("shared-monthly", 2), CartEdit::SetCoupon(Some("GIFT".to_owned()))]).await;

    let (status, _, answer) = stack.buy(user, Some("gift"), &json!({})).await;
    assert_eq!((status, &answer["status"], &answer["checkout_url"]), (201, &json!("processing"), &Value::Null));
    stack.until_count(COMPLETED, 1).await;
    stack.until_idle().await;

    let (status, replayed, again) = stack.buy(user, Some("gift"), &json!({})).await;
    assert_eq!((status, replayed, order_of(&again)), (201, true, order_of(&answer)));
    assert_eq!((&again["status"], &again["checkout_url"]), (&json!("completed"), &Value::Null));
    assert_eq!(stack.sim_get("requests").await["requests"], json!([]));
    assert_eq!(stack.count("select count(*) from berth.payments").await, 0);
    assert_eq!(stack.count("select count(*) from berth.invoices where total = 0 and subtotal = discount").await, 1);
    assert_eq!(stack.count("select count(*) from berth.coupon_redemptions where state = 'committed'").await, 1);
    assert_eq!(stack.mailbox.mails().len(), 3, "one confirmation and two welcomes");
    let cart = berth.app.store.cart(CustomerId(user)).await.unwrap().unwrap();
    assert_eq!((cart.version, cart.lines.len()), (version + 1, 0));
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_takes_days_keeps_the_cart_from_being_sold_twice() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (pays, fails) = (Uuid::new_v4(), Uuid::new_v4());
    coupon(&berth.app, "TEN", ten_per_cent()).await;
    let mut sessions = Vec::new();
    for user in [pays, fails] {
        change(&berth.app, user, vec![line("shared-monthly", 1), CartEdit::SetCoupon(Some("TEN".to_owned()))]).await;
        let (_, _, answer) = stack.buy(user, None, &json!({})).await;
        let session = stack.session_of(user, &answer).await;
        stack.sim(&format!("checkout/sessions/{session}/complete"), &json!({ "as": "unpaid" })).await;
        sessions.push(session);
    }
    stack.until_count("select count(*) from berth.orders where phase = 'awaiting_payment'", 2).await;

    let (status, _, waiting) = stack.buy(pays, None, &json!({})).await;
    assert_eq!((status, &waiting["status"], &waiting["checkout_url"]), (201, &json!("pending"), &Value::Null));
    assert_eq!(stack.count("select count(*) from berth.orders").await, 2);
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts").await, 0);
    stack.sim(&format!("checkout/sessions/{}/async", sessions[0]), &json!({ "result": "succeed" })).await;
    stack.sim(&format!("checkout/sessions/{}/async", sessions[1]), &json!({ "result": "fail" })).await;
    stack.until_count(COMPLETED, 1).await;
    stack.until_count("select count(*) from berth.orders where phase = 'failed'", 1).await;
    stack.until_idle().await;

    assert_eq!(stack.count("select uses::int8 from berth.coupons").await, 1, "the failed one's use is free again");
    let (status, _, next) = stack.buy(fails, None, &json!({})).await;
    assert_eq!(status, 201, "{next}");
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_another_sum_holds_the_order_and_the_order_says_why() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    coupon(&berth.app, "TEN", for_one()).await;
    change(&berth.app, user, vec![line("shared-monthly", 1), CartEdit::SetCoupon(Some("TEN".to_owned()))]).await;
    let (_, _, answer) = stack.buy(user, None, &json!({})).await;
    let session = stack.session_of(user, &answer).await;

    let cheap = json!({ "as": "paid", "amount_total": 50 });
    stack.sim(&format!("checkout/sessions/{session}/complete"), &cheap).await;
    stack.until_count("select count(*) from berth.orders where phase = 'held'", 1).await;
    stack.until_idle().await;

    let why = stack.text("select hold_reason from berth.orders").await;
    assert!(why.contains("paid were 50 usd") && why.contains(&session), "{why}");
    assert_eq!(stack.text("select kind from berth.alerts").await, "payment_mismatch");
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts").await, 0);
    assert_eq!(stack.count("select count(*) from berth.cart_items").await, 1, "nothing was sold");
    assert_eq!(stack.count("select uses::int8 from berth.coupons").await, 1, "a person decides about it");
    let (status, _, again) = stack.buy(user, None, &json!({})).await;
    assert_eq!((status, order_of(&again), &again["checkout_url"]), (201, order_of(&answer), &Value::Null));
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_taxes_are_charged_a_country_is_needed_and_the_order_keeps_who_bought() {
    let options = StackOptions::default().setting("seller.country", "DE").setting("tax.rates", "DE:*:19,AT:*:20");
    let stack = Stack::with(options).await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    change(&berth.app, user, vec![line("shared-monthly", 1)]).await;

    let (status, _, problem) = stack.buy(user, None, &json!({})).await;
    assert_eq!((status, slug(&problem)), (422, "address-required"));
    let profile = |country: &str| ProfileChange {
        customer: berth::effects::CustomerContact { name: Some("Ada".to_owned()), ..contact(user) },
        company: None,
        country: Some(country.to_owned()),
        address: Some(json!({ "line1": "Weg 1", "city": "Wien" })),
        vat_id: None,
    };
    berth.app.committer.write(Effects::none().profile(profile("DE"))).await.unwrap();
    let (_, _, german) = stack.buy(user, None, &json!({})).await;
    berth.app.committer.write(Effects::none().profile(profile("AT"))).await.unwrap();
    let (status, _, austrian) = stack.buy(user, None, &json!({})).await;

    assert_eq!(status, 201, "{austrian}");
    assert_ne!(order_of(&german), order_of(&austrian), "another tax is another order");
    let order = berth.app.store.order(order_of(&austrian).parse().unwrap()).await.unwrap();
    assert_eq!((order.tax.amount_text(), order.total.amount_text()), ("1.00".to_owned(), "5.99".to_owned()));
    assert_eq!(order.items[0].terms.tax_rate, "20".parse().unwrap());
    let buyer = order.customer_snapshot.clone().unwrap();
    assert_eq!((&buyer["name"], &buyer["country"]), (&json!("Ada"), &json!("AT")));
    stack.pay(&stack.session_of(user, &austrian).await).await;
    stack.until_count(COMPLETED, 1).await;
    stack.until_idle().await;
    assert_eq!(
        stack.count("select count(*) from berth.invoices where buyer ->> 'country' = 'AT' and tax = 1.00").await,
        1
    );
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_order_can_no_longer_be_paid_asks_for_a_new_one() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let user = Uuid::new_v4();
    let body = json!({ "items": [{ "service_id": "shared-monthly" }] });
    let (_, _, first) = stack.buy(user, Some("key"), &body).await;

    stack.pass(24.0 * 3600.0).await;
    stack.sim("clock", &json!({ "offset_seconds": 24 * 3600 })).await;
    berth.app.clock.set(berth.app.clock.now() + SignedDuration::from_hours(24));
    let (status, _, problem) = stack.buy(user, Some("key"), &body).await;

    assert_eq!((status, slug(&problem), order_of(&problem)), (409, "idempotency-key-spent", order_of(&first)));
    let (status, replayed, second) = stack.buy(user, Some("another key"), &body).await;
    assert_eq!((status, replayed), (201, false), "{second}");
    berth.stop().await;
}
