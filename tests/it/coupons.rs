//! Coupons: staff makes them, customers try codes, and nobody else learns of one.

use berth_jobs::ids::CouponId;
use jiff::ToSpan as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{
    Running, Stack, StackOptions,
    ask::Answer,
    purchase::{agreeing, order, paying},
};

struct World {
    stack: Stack,
    berth: Running,
    staff: String,
    /// A customer's.
    token: String,
    user: Uuid,
}

impl World {
    /// A shop in which codes can be tried as often as a test likes.
    async fn new() -> Self {
        let options = StackOptions::default().setting("http.coupon_checks_per_customer", "1000");
        Self::with(options.setting("http.coupon_checks_per_address", "1000")).await
    }

    async fn with(options: StackOptions) -> Self {
        let stack = Stack::with(options).await;
        let berth = stack.start_with(&[]).await;
        let user = Uuid::new_v4();
        let (staff, token) = (stack.staff(), stack.token(user));
        Self { stack, berth, staff, token, user }
    }

    async fn as_staff(&self, method: &str, path: &str, body: Value) -> Answer {
        self.stack.ask(&self.staff, method, path, &body).await
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        self.stack.ask(&self.token, method, path, &body).await
    }

    async fn put_in(&self, service: &str, quantity: u32) -> Value {
        self.ask("POST", "/v1/cart/items", json!({ "service_id": service, "quantity": quantity })).await.ok()
    }

    async fn apply(&self, code: &str) -> Answer {
        self.ask("PUT", "/v1/cart/coupon", json!({ "code": code })).await
    }

    async fn cart(&self) -> Value {
        self.ask("GET", "/v1/cart", Value::Null).await.ok()
    }

    /// A coupon that takes a percentage off, with other terms.
    async fn percent(&self, code: &str, percent: &str, terms: Value) -> Value {
        let mut body =
            json!({ "code": code, "discount_type": "percentage", "percentage": percent, "reason": "a test" });
        for (key, value) in terms.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.as_staff("POST", "/v1/coupons", body).await.ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_is_made_listed_changed_and_ended_by_staff_who_is_remembered() {
    let world = World::new().await;

    let made = world.percent(" summer_10 ", "10", json!({ "max_uses": 5, "services": ["vps-monthly"] })).await;
    assert_eq!(
        (&made["code"], &made["percentage"], &made["active"]),
        (&json!("SUMMER_10"), &json!("10"), &json!(true))
    );
    assert_eq!((&made["current_uses"], &made["fixed"], &made["max_uses"]), (&json!(0), &Value::Null, &json!(5)));
    let again = json!({ "code": "Summer_10", "discount_type": "percentage", "percentage": "5", "reason": "x" });
    assert_eq!(world.as_staff("POST", "/v1/coupons", again).await.refusal(), (409, "code-taken"));
    let patch =
        json!({ "percentage": "12.5", "max_uses": null, "expiry_date": "2027-06-30", "reason": "one more month" });
    let changed = world.as_staff("PATCH", "/v1/coupons/summer_10", patch).await.ok();
    assert_eq!((&changed["percentage"], &changed["max_uses"]), (&json!("12.5"), &Value::Null));
    assert_eq!((&changed["expiry_date"], &changed["ends_at"]), (&json!("2027-06-30"), &json!("2027-07-01T00:00:00Z")));
    assert_eq!(changed["services"], json!(["vps-monthly"]), "what is not said stays");
    let fixed = json!({ "fixed": { "USD": "5.00", "EUR": "4.50" }, "expiry_date": null, "reason": "other terms" });
    let changed = world.as_staff("PATCH", "/v1/coupons/SUMMER_10", fixed).await.ok();
    assert_eq!((&changed["discount_type"], &changed["fixed"]["EUR"]), (&json!("fixed"), &json!("4.50")));
    assert_eq!((&changed["percentage"], &changed["ends_at"]), (&Value::Null, &Value::Null));
    for _ in 0..2 {
        let ended = world.as_staff("POST", "/v1/coupons/summer_10/end", json!({ "reason": "over" })).await.ok();
        assert_eq!(ended["active"], false);
    }
    assert_eq!(world.as_staff("GET", "/v1/coupons/summer_10", Value::Null).await.ok()["active"], false);

    let id = made["id"].as_str().unwrap();
    let told = world.berth.app.store.audit_entries(Some(id), None, 10).await.unwrap();
    let actions: Vec<_> = told.iter().map(|entry| (entry.action.as_str(), entry.reason.as_deref().unwrap())).collect();
    assert_eq!(
        actions,
        [
            ("coupon.end", "over"),
            ("coupon.change", "other terms"),
            ("coupon.change", "one more month"),
            ("coupon.create", "a test")
        ]
    );
    assert_eq!(told[2].before.as_ref().unwrap()["percentage"], "10");
    assert_eq!(told[2].after.as_ref().unwrap()["percentage"], "12.5");
    assert_eq!(told[3].before, None);
    for at in 0..3 {
        world.percent(&format!("MORE-{at}"), "1", json!({})).await;
    }
    let page = world.as_staff("GET", "/v1/coupons?limit=3", Value::Null).await.ok();
    assert_eq!((page["data"][0]["code"].as_str(), &page["has_more"]), (Some("MORE-2"), &json!(true)));
    let after = format!("/v1/coupons?starting_after={}", page["data"][2]["id"].as_str().unwrap());
    let rest = world.as_staff("GET", &after, Value::Null).await.ok();
    assert_eq!(
        (&rest["data"][0]["id"], rest["data"].as_array().unwrap().len(), &rest["has_more"]),
        (&made["id"], 1, &json!(false))
    );
    for bad in ["limit=0", "limit=101", "limit=x", "starting_after=ord_1", "page=2"] {
        assert_eq!(
            world.as_staff("GET", &format!("/v1/coupons?{bad}"), Value::Null).await.refusal(),
            (400, "invalid-request"),
            "{bad}"
        );
    }
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_that_cannot_be_meant_is_not_made() {
    let world = World::new().await;
    let percent = |percent: Value| json!({ "code": "TEN", "discount_type": "percentage", "percentage": percent });
    let fixed = |amounts: Value| json!({ "code": "TEN", "discount_type": "fixed", "fixed": amounts });
    let ten = |key: &str, value: Value| {
        let mut body = percent(json!("10"));
        body[key] = value;
        body
    };

    for (status, body) in [
        (422, percent(json!("999"))),
        (422, percent(json!("-50"))),
        (422, percent(json!("0"))),
        (422, percent(json!("100.01"))),
        (422, percent(json!("12.345"))),
        (422, percent(json!("ten"))),
        (400, percent(json!(10))),
        (422, percent(Value::Null)),
        (422, fixed(json!({}))),
        (422, fixed(json!({ "USD": "0" }))),
        (422, fixed(json!({ "USD": "-5" }))),
        (422, fixed(json!({ "USD": "1000000000000" }))),
        (422, fixed(json!({ "BTC": "1" }))),
        (400, fixed(json!({ "USD": 5 }))),
        (422, ten("fixed", json!({ "USD": "5" }))),
        (422, ten("discount_type", json!("half"))),
        (422, ten("code", json!("TE"))),
        (422, ten("code", json!("SALE TEN"))),
        (422, ten("code", json!("TEN\0X"))),
        (422, ten("max_uses", json!(0))),
        (400, ten("max_uses", json!(-1))),
        (422, ten("max_uses", json!(4_000_000_000_u32))),
        (422, ten("max_uses_per_customer", json!(0))),
        (422, ten("cycles", json!(0))),
        (422, ten("minimum_spend", json!({ "USD": "0" }))),
        (422, ten("services", json!(["vps-weekly"]))),
        (422, ten("services", json!(["a\0b"]))),
        (422, ten("starts_at", json!("-005000-01-01T00:00:00Z"))),
        (422, ten("ends_at", json!("9000-01-01T00:00:00Z"))),
        (400, ten("expiry_date", json!("2026-02-30"))),
        (400, ten("uses", json!(1))),
        (400, ten("active", Value::Null)),
    ] {
        let mut body = body;
        body["reason"] = json!("a test");
        let answer = world.as_staff("POST", "/v1/coupons", body.clone()).await;
        let slug = if status == 400 { "invalid-body" } else { "coupon-terms" };
        assert_eq!(answer.refusal(), (status, slug), "{body}: {}", answer.body);
    }
    let never = json!({ "starts_at": "2027-01-02T00:00:00Z", "expiry_date": "2027-01-01" });
    let mut body = percent(json!("10"));
    body.as_object_mut().unwrap().extend(never.as_object().unwrap().clone());
    assert_eq!(world.as_staff("POST", "/v1/coupons", body.clone()).await.refusal(), (400, "invalid-body"), "no reason");
    body["reason"] = json!("a test");
    assert_eq!(world.as_staff("POST", "/v1/coupons", body).await.refusal(), (422, "coupon-terms"));
    assert_eq!(world.stack.count("select count(*) from berth.coupons").await, 0);
    assert_eq!(world.stack.count("select count(*) from berth.audit").await, 0);
    world.percent("TEN", "10", json!({})).await;
    for patch in [
        json!({ "percentage": "101" }),
        json!({ "max_uses": 0 }),
        json!({ "percentage": "5", "fixed": { "USD": "5" } }),
    ] {
        let mut patch = patch;
        patch["reason"] = json!("a test");
        assert_eq!(world.as_staff("PATCH", "/v1/coupons/TEN", patch).await.refusal(), (422, "coupon-terms"));
    }
    assert_eq!(
        world.as_staff("PATCH", "/v1/coupons/ELEVEN", json!({ "reason": "x" })).await.refusal(),
        (404, "not-found")
    );
    for nonsense in ["a%00b", "%FF", "a%2Fb"] {
        let path = format!("/v1/coupons/{nonsense}");
        assert_eq!(world.as_staff("GET", &path, Value::Null).await.refusal(), (404, "not-found"), "{path}");
    }
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_tells_a_customer_of_coupons() {
    let world = World::new().await;
    world.percent("SECRET-77", "10", json!({})).await;
    world.put_in("vps-monthly", 1).await;

    for (method, path, body) in [
        ("GET", "/v1/coupons", Value::Null),
        ("GET", "/v1/coupons/SECRET-77", Value::Null),
        (
            "POST",
            "/v1/coupons",
            json!({ "code": "MINE", "discount_type": "percentage", "percentage": "99", "reason": "x" }),
        ),
        ("PATCH", "/v1/coupons/SECRET-77", json!({ "percentage": "99", "reason": "x" })),
        ("POST", "/v1/coupons/SECRET-77/end", json!({ "reason": "x" })),
    ] {
        let answer = world.ask(method, path, body.clone()).await;
        assert_eq!(answer.refusal(), (403, "forbidden"), "{method} {path}");
        assert!(!answer.body.to_string().contains("SECRET"), "{}", answer.body);
        assert_eq!(
            world.stack.ask("e30.e30.", method, path, &body).await.refusal(),
            (401, "unauthorized"),
            "{method} {path}"
        );
    }
    assert!(!world.cart().await.to_string().contains("SECRET"));
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_in_small_letters_holds_and_what_it_takes_off_is_exact_and_never_more_than_there_is() {
    let world = World::new().await;
    world.percent("Fifteen", "15", json!({})).await;
    let fixed = json!({ "code": "LOT", "discount_type": "fixed", "fixed": { "USD": "500" }, "reason": "x" });
    world.as_staff("POST", "/v1/coupons", fixed).await.ok();
    world.put_in("shared-annual", 1).await;

    let cart = world.apply(" fifteen ").await.ok();
    assert_eq!(
        [&cart["subtotal"], &cart["discount"], &cart["total"]],
        [&json!("49.99"), &json!("7.50"), &json!("42.49")]
    );
    assert_eq!(cart["coupon"], json!({ "code": "FIFTEEN", "discount": "7.50" }));
    assert_eq!(world.apply("FIFTEEN").await.ok()["version"], cart["version"], "what is so already is no write");
    let cart = world.put_in("shared-annual", 1).await;
    assert_eq!(
        (&cart["discount"], &cart["total"]),
        (&json!("15.00"), &json!("84.98")),
        "the coupon stays with the cart"
    );
    let cart = world.apply("lot").await.ok();
    assert_eq!(
        [&cart["subtotal"], &cart["discount"], &cart["total"]],
        [&json!("99.98"), &json!("99.98"), &json!("0.00")]
    );
    for _ in 0..2 {
        let cart = world.ask("DELETE", "/v1/cart/coupon", Value::Null).await.ok();
        assert_eq!((&cart["coupon"], &cart["total"]), (&Value::Null, &json!("99.98")));
    }
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_that_does_not_hold_is_refused_by_its_sentence_and_the_cart_stays() {
    let world = World::new().await;
    world.percent("GOOD", "10", json!({})).await;
    world.percent("OLD", "10", json!({ "ends_at": "2020-01-01T00:00:00Z" })).await;
    world.percent("LATER", "10", json!({ "starts_at": "2900-01-01T00:00:00Z" })).await;
    world.percent("ENDED", "10", json!({ "active": false })).await;
    world.percent("CLOUD", "10", json!({ "services": ["cloud-monthly"] })).await;
    world.percent("MUCH", "10", json!({ "minimum_spend": { "USD": "50" } })).await;
    world.percent("EURO", "10", json!({ "minimum_spend": { "EUR": "5" } })).await;
    let once = world.percent("ONCE", "10", json!({ "max_uses": 1 })).await;
    let once: CouponId = once["id"].as_str().unwrap().parse().unwrap();
    let app = &world.berth.app;
    app.committer.write(agreeing(order(app, Some(once)))).await.unwrap();
    assert_eq!(
        world.apply("GOOD").await.refusal(),
        (422, "coupon-not-eligible"),
        "an empty cart has nothing to take it off"
    );
    world.put_in("vps-monthly", 1).await;
    let cart = world.apply("GOOD").await.ok();

    for (code, slug, detail) in [
        ("NO-SUCH", "coupon-invalid", "Invalid coupon code"),
        ("x", "coupon-invalid", "Invalid coupon code"),
        ("GO\0OD", "coupon-invalid", "Invalid coupon code"),
        ("GOOD' or '1'='1", "coupon-invalid", "Invalid coupon code"),
        ("LATER", "coupon-invalid", "Invalid coupon code"),
        ("ENDED", "coupon-invalid", "Invalid coupon code"),
        ("OLD", "coupon-expired", "Coupon has expired"),
        ("ONCE", "coupon-used-up", "Coupon usage limit reached"),
        ("CLOUD", "coupon-not-eligible", "This coupon applies to nothing in the cart"),
        ("MUCH", "coupon-below-minimum", "This coupon applies from 50.00 USD on"),
        ("EURO", "coupon-other-currency", "This coupon does not apply in this currency"),
    ] {
        let answer = world.apply(code).await;
        assert_eq!((answer.refusal(), &answer.body["detail"]), ((422, slug), &json!(detail)), "{code}");
    }
    assert_eq!(world.cart().await, cart, "the coupon of before is still there");
    for nonsense in [json!({}), json!({ "code": 7 }), json!({ "code": "GOOD", "discount": "50" })] {
        assert_eq!(world.ask("PUT", "/v1/cart/coupon", nonsense).await.refusal(), (400, "invalid-body"));
    }

    world.as_staff("POST", "/v1/coupons/good/end", json!({ "reason": "over" })).await.ok();
    let cart = world.cart().await;
    assert_eq!((&cart["discount"], &cart["total"]), (&json!("0.00"), &json!("19.99")));
    assert_eq!(cart["coupon"], json!({ "code": "GOOD", "discount": "0.00" }), "it is not dropped in silence");
    assert_eq!(
        cart["problems"],
        json!([{ "type": "https://berth.dev/problems/coupon-invalid", "detail": "Invalid coupon code" }])
    );
    assert_eq!(world.ask("DELETE", "/v1/cart/coupon", Value::Null).await.ok()["problems"], json!([]));
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_that_waits_to_be_paid_is_its_customers_own_and_one_that_is_paid_is_used() {
    let world = World::new().await;
    let once = world.percent("ONCE", "10", json!({ "max_uses": 1, "max_uses_per_customer": 1 })).await;
    let once: CouponId = once["id"].as_str().unwrap().parse().unwrap();
    world.put_in("vps-monthly", 1).await;
    let app = &world.berth.app;
    let mut mine = order(app, Some(once));
    mine.customer.id = berth_jobs::ids::CustomerId(world.user);
    let id = mine.id;
    app.committer.write(agreeing(mine)).await.unwrap();

    let cart = world.apply("ONCE").await.ok();
    assert_eq!(cart["problems"], json!([]), "who goes back from the page to pay finds the cart as it was");
    let stranger = world.stack.token(Uuid::new_v4());
    world.stack.ask(&stranger, "POST", "/v1/cart/items", &json!({ "service_id": "vps-monthly" })).await.ok();
    let theirs = world.stack.ask(&stranger, "PUT", "/v1/cart/coupon", &json!({ "code": "once" })).await;
    assert_eq!(theirs.refusal(), (422, "coupon-used-up"));
    app.committer.write(paying(app, id).await).await.unwrap();
    assert_eq!(world.apply("ONCE").await.refusal(), (422, "coupon-used-up"));
    assert_eq!(world.cart().await["problems"][0]["detail"], "Coupon usage limit reached");
    assert_eq!(world.as_staff("GET", "/v1/coupons/once", Value::Null).await.ok()["current_uses"], 1);
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_holds_through_the_last_second_of_its_last_day_where_the_shop_is() {
    let options = StackOptions::default().setting("shop.time_zone", "America/New_York");
    let world = World::with(options).await;
    let app = &world.berth.app;
    world.put_in("vps-monthly", 1).await;
    let now = app.clock.now().to_zoned(app.time_zone.clone());
    let tomorrow = now.date() + 1.day();
    let made = world.percent("LAST", "10", json!({ "expiry_date": tomorrow })).await;
    let ends: jiff::Timestamp = made["ends_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(made["expiry_date"], json!(tomorrow));
    assert_eq!(ends.to_zoned(app.time_zone.clone()).date(), tomorrow + 1.day(), "it ends when the day after begins");

    let until = ends.duration_since(app.store.now().await.unwrap()).as_secs();
    let seconds = f64::from(i32::try_from(until).unwrap());
    world.stack.pass_for(app, seconds - 30.0).await;
    assert_eq!(
        world.apply("last").await.ok()["discount"],
        "2.00",
        "it is past midnight in London, and the last day here"
    );
    world.stack.pass_for(app, 31.0).await;
    assert_eq!(world.apply("last").await.refusal(), (422, "coupon-expired"));
    let cart = world.cart().await;
    assert_eq!((&cart["discount"], &cart["problems"][0]["detail"]), (&json!("0.00"), &json!("Coupon has expired")));
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_tries_many_codes_must_wait_and_learns_nothing_meanwhile() {
    // One more try every 30 seconds, and every 10 from the address: longer than a slow machine takes.
    let options = StackOptions::default().setting("http.coupon_checks_per_customer", "2");
    let world = World::with(options.setting("http.coupon_checks_per_address", "6")).await;
    world.percent("GOOD", "10", json!({})).await;
    world.put_in("vps-monthly", 1).await;
    for guess in ["GUESS-1", "GUESS-2"] {
        assert_eq!(world.apply(guess).await.refusal(), (422, "coupon-invalid"));
    }

    let refused = world.apply("GOOD").await;

    assert_eq!(refused.refusal(), (429, "too-many-requests"));
    assert!((1..=30).contains(&refused.retry_after.unwrap()), "{refused:?}");
    assert_eq!(world.cart().await["coupon"], Value::Null, "the cart itself can be used");
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let token = world.stack.token(Uuid::new_v4());
        for _ in 0..2 {
            statuses.push(world.stack.ask(&token, "PUT", "/v1/cart/coupon", &json!({ "code": "GUESS" })).await.status);
        }
    }
    assert_eq!(statuses, [422, 422, 422, 422, 429, 429], "six from one address, whoever asks");
    world.berth.stop().await;
}
