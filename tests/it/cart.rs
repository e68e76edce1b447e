//! The cart: what is in it, what it costs, and who may say so.

use berth::effects::{CartChange, CartEdit, CartLine, CustomerContact, Effects, ProfileChange};
use berth_jobs::ids::{CartItemId, CustomerId};
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{
    Running, Stack, StackOptions,
    ask::Answer,
    purchase::{agreeing, paying},
    shop::new_order,
};

/// A customer with a cart, in a shop without workers.
struct World {
    stack: Stack,
    berth: Running,
    user: Uuid,
    token: String,
}

impl World {
    async fn new() -> Self {
        Self::with(StackOptions::default()).await
    }

    async fn with(options: StackOptions) -> Self {
        let stack = Stack::with(options).await;
        let berth = stack.start_with(&[]).await;
        let user = Uuid::new_v4();
        let token = stack.token(user);
        Self { stack, berth, user, token }
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        self.stack.ask(&self.token, method, path, &body).await
    }

    async fn cart(&self) -> Value {
        self.ask("GET", "/v1/cart", Value::Null).await.ok()
    }

    async fn add(&self, item: Value) -> Answer {
        self.ask("POST", "/v1/cart/items", item).await
    }

    /// The path of an item.
    fn path(&self, cart: &Value, at: usize) -> String {
        format!("/v1/cart/items/{}", cart["items"][at]["id"].as_str().unwrap())
    }

    /// Writes to the cart as no route would.
    async fn write(&self, edits: Vec<CartEdit>) {
        let app = &self.berth.app;
        let customer = CustomerContact { id: CustomerId(self.user), email: "zoe@customer.test".to_owned(), name: None };
        let cart = app.store.cart(customer.id).await.unwrap();
        let version = cart.map_or(0, |cart| cart.version);
        let change = CartChange { customer, version, currency: app.currency, edits };
        app.committer.write(Effects::none().cart(change)).await.unwrap();
    }
}

fn line(service: &str) -> CartLine {
    CartLine {
        id: CartItemId::new(),
        line_key: service.to_owned(),
        service_id: service.to_owned(),
        quantity: 1,
        addon_ids: Vec::new(),
        configuration: json!({}),
        domain: None,
        price_override: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_in_twice_becomes_more_and_is_shown_by_name_at_our_prices() {
    let world = World::new().await;
    let empty = world.ask("GET", "/v1/cart", Value::Null).await;
    assert_eq!(
        (empty.etag.as_deref(), &empty.body["items"], &empty.body["total"]),
        (Some("\"0\""), &json!([]), &json!("0.00"))
    );

    world.add(json!({ "service_id": "shared-monthly" })).await.ok();
    world.add(json!({ "service_id": "vps-annual", "configuration": { "ram_gb": 4 } })).await.ok();
    let added = world.add(json!({ "service_id": "shared-monthly", "quantity": 2 })).await;

    assert_eq!(added.etag.as_deref(), Some("\"3\""));
    let cart = world.cart().await;
    assert_eq!(cart, added.body, "a write answers the cart that a look then shows");
    let items = cart["items"].as_array().unwrap();
    let told: Vec<_> =
        items.iter().map(|item| [&item["name"], &item["quantity"], &item["unit_price"], &item["line_total"]]).collect();
    assert_eq!(
        told,
        [
            [&json!("VPS - Annual"), &json!(1), &json!("239.99"), &json!("239.99")],
            [&json!("Shared Hosting - Monthly"), &json!(3), &json!("4.99"), &json!("14.97")],
        ],
        "the newest first, options priced"
    );
    assert_eq!(
        items[0]["configuration"],
        json!({ "ram_gb": 4, "cpu_cores": 1, "disk_gb": 40, "region": "eu-central" })
    );
    assert_eq!(
        (&cart["subtotal"], &cart["total"], &cart["currency"]),
        (&json!("254.96"), &json!("254.96"), &json!("USD"))
    );
    assert_eq!((&cart["problems"], &cart["user_id"]), (&json!([]), &json!(world.user)));
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_changed_taken_out_and_taken_out_again() {
    let world = World::new().await;
    world.add(json!({ "service_id": "shared-monthly" })).await.ok();
    let before = world.add(json!({ "service_id": "vps-monthly" })).await.ok();
    let (vps, shared) = (world.path(&before, 0), world.path(&before, 1));
    world.stack.pass_for(&world.berth.app, 60.0).await;

    let cart = world.ask("PATCH", &shared, json!({ "quantity": 4 })).await.ok();
    assert_eq!((&cart["items"][1]["quantity"], &cart["items"][1]["line_total"]), (&json!(4), &json!("19.96")));
    let item = &cart["items"][1];
    assert_eq!(item["added_at"], before["items"][1]["added_at"]);
    assert!(item["updated_at"].as_str() > item["added_at"].as_str(), "{item}");
    assert_eq!(
        cart["items"][0]["updated_at"], before["items"][0]["updated_at"],
        "what was not changed was not changed"
    );
    let same = world.ask("PATCH", &shared, json!({ "quantity": 4 })).await.ok();
    assert_eq!(same["version"], cart["version"], "what is so already is no write");

    let richer = json!({ "configuration": { "ram_gb": 8 }, "addon_ids": ["daily-backups", "daily-backups"] });
    let cart = world.ask("PATCH", &vps, richer).await.ok();
    assert_eq!(
        (&cart["items"][0]["id"], &cart["items"][0]["addon_ids"]),
        (&before["items"][0]["id"], &json!(["daily-backups"]))
    );
    assert_ne!(cart["items"][0]["unit_price"], before["items"][0]["unit_price"]);
    world.add(json!({ "service_id": "vps-monthly", "quantity": 2 })).await.ok();
    let plain = json!({ "configuration": {}, "addon_ids": [] });
    let cart = world.ask("PATCH", &vps, plain).await.ok();
    assert_eq!(cart["items"].as_array().unwrap().len(), 2, "two that have become the same are one");
    let vps_now = cart["items"].as_array().unwrap().iter().find(|item| item["service_id"] == "vps-monthly").unwrap();
    assert_eq!(vps_now["quantity"], 3);

    let cart = world.ask("PATCH", &shared, json!({ "quantity": 0 })).await.ok();
    assert_eq!(cart["items"].as_array().unwrap().len(), 1);
    assert_eq!(world.ask("PATCH", &shared, json!({ "quantity": 1 })).await.refusal(), (404, "not-found"));
    for _ in 0..2 {
        let cart = world.ask("DELETE", &vps, Value::Null).await.ok();
        assert_eq!(cart["items"], json!([]));
    }
    world.add(json!({ "service_id": "shared-monthly" })).await.ok();
    let cleared = world.ask("DELETE", "/v1/cart", Value::Null).await.ok();
    assert_eq!((&cleared["items"], &cleared["total"]), (&json!([]), &json!("0.00")));
    let again = world.ask("DELETE", "/v1/cart", Value::Null).await.ok();
    assert_eq!(again["version"], cleared["version"]);
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sold_is_refused_by_name_and_changes_nothing() {
    let world = World::new().await;
    let cart = world.add(json!({ "service_id": "shared-monthly", "quantity": 9 })).await.ok();
    let item = world.path(&cart, 0);
    let vps = |configuration: Value| json!({ "service_id": "vps-monthly", "configuration": configuration });
    let shared = |quantity: Value| json!({ "service_id": "shared-monthly", "quantity": quantity });

    for (status, slug, body) in [
        (400, "invalid-body", shared(json!(-3))),
        (400, "invalid-body", shared(json!(1.5))),
        (400, "invalid-body", shared(json!(1_u64 << 40))),
        (400, "invalid-body", shared(json!("2"))),
        (400, "invalid-body", shared(Value::Null)),
        (422, "quantity-not-allowed", shared(json!(0))),
        (422, "quantity-not-allowed", shared(json!(2))),
        (422, "quantity-not-allowed", shared(json!(101))),
        (422, "service-not-sold", json!({ "service_id": "shared hosting-monthly" })),
        (422, "service-not-sold", json!({ "service_id": "" })),
        (422, "service-not-sold", json!({ "service_id": "a\0b" })),
        (422, "configuration-invalid", vps(json!({ "ram_gb": 3 }))),
        (422, "configuration-invalid", vps(json!({ "ram_gb": 64 }))),
        (422, "configuration-invalid", vps(json!({ "ram_gb": -2 }))),
        (422, "configuration-invalid", vps(json!({ "ram_gb": [2] }))),
        (422, "configuration-invalid", vps(json!({ "region": "moon\0" }))),
        (422, "configuration-invalid", vps(json!({ "price": "0.01" }))),
        (422, "addon-not-sold", json!({ "service_id": "vps-monthly", "addon_ids": ["gold"] })),
        (422, "domain-not-needed", json!({ "service_id": "vps-monthly", "domain": "example.com" })),
        (422, "domain-invalid", json!({ "service_id": "shared-monthly", "domain": "127.0.0.1" })),
        (422, "domain-invalid", json!({ "service_id": "shared-monthly", "domain": "a\0.com" })),
        (422, "domain-reserved", json!({ "service_id": "shared-monthly", "domain": "zoe.localhost" })),
        // A price is nothing that a customer says.
        (400, "invalid-body", json!({ "service_id": "shared-monthly", "price_override": "0.01" })),
        (400, "invalid-body", json!({ "service_id": "shared-monthly", "price": 0.01 })),
    ] {
        let answer = world.add(body.clone()).await;
        assert_eq!(answer.refusal(), (status, slug), "{body}: {}", answer.body);
    }
    assert_eq!(world.ask("PATCH", &item, json!({ "quantity": 11 })).await.refusal(), (422, "quantity-not-allowed"));
    assert_eq!(world.ask("PATCH", &item, json!({ "price_override": "0.01" })).await.refusal(), (400, "invalid-body"));
    assert_eq!(world.ask("PATCH", "/v1/cart/items/cit_x", json!({})).await.refusal(), (404, "not-found"));
    assert_eq!(world.cart().await, cart);
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_with_different_memory_and_sites_with_different_domains_are_items_of_their_own() {
    let world = World::new().await;
    let vps = |ram: u32, addons: Value| json!({ "service_id": "vps-monthly", "configuration": { "ram_gb": ram }, "addon_ids": addons });
    let site = |domain: Value| json!({ "service_id": "shared-monthly", "domain": domain });

    world.add(vps(2, json!([]))).await.ok();
    world.add(vps(4, json!([]))).await.ok();
    world.add(vps(4, json!(["daily-backups"]))).await.ok();
    world.add(site(json!("Zoe.Example."))).await.ok();
    world.add(site(json!("xn--zo-hka.example"))).await.ok();
    let cart = world.add(site(Value::Null)).await.ok();

    let items = cart["items"].as_array().unwrap();
    let domains: Vec<_> = items.iter().map(|item| &item["domain"]).take(3).collect();
    assert_eq!(domains, [&Value::Null, &json!("xn--zo-hka.example"), &json!("zoe.example")]);
    let machines: Vec<_> = items.iter().skip(3).map(|item| item["unit_price"].as_str().unwrap()).collect();
    let prices: Vec<f64> = machines.iter().map(|price| price.parse().unwrap()).collect();
    assert_eq!((machines[2], machines[1]), ("19.99", "23.99"));
    assert!(prices[0] > prices[1], "add-ons are paid for: {machines:?}");
    assert_eq!(world.add(site(json!("zoe.example"))).await.refusal(), (422, "domain-for-one"));
    let second = json!({ "service_id": "wordpress-monthly", "domain": "zoe.example" });
    assert_eq!(world.add(second).await.refusal(), (422, "domain-taken"));
    assert_eq!(world.cart().await, cart);
    let path = world.path(&cart, 2);
    let cart = world.ask("PATCH", &path, json!({ "domain": null })).await.ok();
    let plain: Vec<_> =
        cart["items"].as_array().unwrap().iter().filter(|item| item["service_id"] == "shared-monthly").collect();
    assert_eq!(plain.len(), 2, "{plain:?}");
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_at_which_an_account_lives_is_taken_and_what_was_paid_was_bought() {
    let world = World::new().await;
    let app = &world.berth.app;
    let cart = world.add(json!({ "service_id": "shared-monthly", "domain": "shop.example" })).await.ok();
    assert_eq!(cart["problems"], json!([]));
    let mut order = new_order(app, &[("shared-monthly", 1)]);
    order.items[0].terms.domain = Some("Shop.example".to_owned());
    let (id, buyer) = (order.id, order.customer.id);
    app.committer.write(agreeing(order)).await.unwrap();
    let services = ["shared-monthly".to_owned(), "vps-monthly".to_owned()];
    assert!(app.store.services_bought(buyer, &services).await.unwrap().is_empty(), "agreed is not bought");

    app.committer.write(paying(app, id).await).await.unwrap();

    assert_eq!(app.store.services_bought(buyer, &services).await.unwrap(), ["shared-monthly".to_owned()].into());
    let cart = world.cart().await;
    assert_eq!(cart["problems"][0]["type"], "https://berth.dev/problems/domain-taken");
    assert_eq!((&cart["problems"][0]["item"], &cart["total"]), (&cart["items"][0]["id"], &json!("4.99")));
    let again = json!({ "service_id": "wordpress-monthly", "domain": "SHOP.example" });
    assert_eq!(world.add(again).await.refusal(), (422, "domain-taken"));
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_that_write_at_once_lose_nothing_and_who_names_a_version_is_told() {
    let world = World::new().await;
    let other = world.stack.token(world.user);
    let sites = (0..8).map(|at| json!({ "service_id": "shared-monthly", "domain": format!("site{at}.example") }));
    let machines = (0..8).map(|_| json!({ "service_id": "vps-monthly" }));
    let bodies: Vec<Value> = sites.zip(machines).flat_map(|(site, machine)| [site, machine]).collect();
    let writes = bodies.iter().enumerate().map(|(at, body)| {
        let token = if at % 2 == 0 { &world.token } else { &other };
        world.stack.ask(token, "POST", "/v1/cart/items", body)
    });

    let answers = join_all(writes).await;

    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let cart = world.cart().await;
    assert_eq!((cart["version"].as_i64(), cart["items"].as_array().unwrap().len()), (Some(16), 9));
    assert!(
        cart["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|item| item["service_id"] == "vps-monthly" && item["quantity"] == 8)
    );

    let path = world.path(&cart, 0);
    let body = json!({ "domain": "moved.example" });
    let named = |body| world.stack.ask_if(&world.token, "PATCH", &path, body, Some("\"16\""));
    let answers = join_all((0..6).map(|_| named(&body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    let told = answers.iter().filter(|answer| answer.refusal() == (412, "cart-changed"));
    assert_eq!(told.count(), 5, "{answers:?}");

    let clear = |version| world.stack.ask_if(&world.token, "DELETE", "/v1/cart", &Value::Null, Some(version));
    assert_eq!(clear("\"3\"").await.refusal(), (412, "cart-changed"));
    assert_eq!(clear("W/\"17\"").await.refusal(), (400, "invalid-request"));
    assert_eq!(clear("17").await.refusal(), (400, "invalid-request"));
    assert_eq!(clear("*").await.status, 200);
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_of_its_own_is_staffs_to_give_for_a_time_for_a_reason_and_for_what_was_there() {
    let home = World::new().await;
    let world = &home;
    let staff = world.stack.staff();
    let cart = world.add(json!({ "service_id": "vps-monthly", "quantity": 2 })).await.ok();
    let item = cart["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/carts/{}/items/{item}/price-override", world.user);
    let in_an_hour = world.berth.app.clock.now() + jiff::SignedDuration::from_hours(1);
    let given = json!({ "price": "10.00", "currency": "USD", "until": in_an_hour, "reason": "promised" });
    let (staff, path) = (&staff, &path);
    let tell = |body: Value| async move { world.stack.ask(staff, "PUT", path, &body).await };
    let but = |key: &str, value: Value| {
        let mut body = given.clone();
        body[key] = value;
        body
    };

    assert_eq!(world.ask("PUT", path, given.clone()).await.refusal(), (403, "forbidden"));
    assert_eq!(world.ask("DELETE", &format!("{path}?reason=x"), Value::Null).await.refusal(), (403, "forbidden"));
    assert_eq!(world.ask("GET", &format!("/v1/carts/{}", world.user), Value::Null).await.refusal(), (403, "forbidden"));
    assert_eq!(tell(but("reason", json!(" "))).await.refusal(), (400, "invalid-body"));
    assert_eq!(tell(but("reason", json!("a\0"))).await.refusal(), (400, "invalid-body"));
    assert_eq!(tell(but("price", json!("-1"))).await.refusal(), (422, "price-invalid"));
    assert_eq!(tell(but("price", json!("1.001"))).await.refusal(), (422, "price-invalid"));
    assert_eq!(tell(but("currency", json!("EUR"))).await.refusal(), (422, "price-in-other-currency"));
    assert_eq!(tell(but("until", json!("2020-01-01T00:00:00Z"))).await.refusal(), (422, "until-not-to-come"));
    let nobody = format!("/v1/carts/{}/items/{item}/price-override", Uuid::new_v4());
    assert_eq!(world.stack.ask(staff, "PUT", &nobody, &given).await.refusal(), (404, "not-found"));
    assert_eq!(world.cart().await, cart);

    let cart = tell(given.clone()).await.ok();
    assert_eq!(cart, world.cart().await, "staff is answered with the customer's cart");
    let shown = &cart["items"][0];
    assert_eq!(
        (&shown["unit_price"], &shown["line_total"], &shown["price_override"]),
        (&json!("10.00"), &json!("20.00"), &json!("10.00"))
    );
    let audited = world.berth.app.store.audit_entries(Some(&item), None, 10).await.unwrap();
    assert_eq!(
        (audited.len(), audited[0].action.as_str(), audited[0].reason.as_deref()),
        (1, "cart.price_override", Some("promised"))
    );
    assert_eq!(audited[0].before.as_ref().unwrap()["price_override"], Value::Null);
    assert_eq!(audited[0].after.as_ref().unwrap()["price_override"], "10.00");

    let more = world.ask("PATCH", &format!("/v1/cart/items/{item}"), json!({ "quantity": 3 })).await;
    assert_eq!(more.refusal(), (422, "price-given-for-fewer"));
    let cart = world.add(json!({ "service_id": "vps-monthly" })).await.ok();
    assert_eq!((&cart["items"][0]["unit_price"], &cart["items"][1]["unit_price"]), (&json!("19.99"), &json!("10.00")));
    let richer = json!({ "configuration": { "ram_gb": 32 } });
    let cart = world.ask("PATCH", &format!("/v1/cart/items/{item}"), richer).await.ok();
    assert_eq!((&cart["items"][1]["unit_price"], &cart["items"][1]["price_override"]), (&json!("79.99"), &Value::Null));

    tell(given).await.ok();
    world.stack.pass_for(&world.berth.app, 3_601.0).await;
    let cart = world.cart().await;
    assert_eq!((&cart["items"][1]["unit_price"], &cart["items"][1]["price_override"]), (&json!("79.99"), &Value::Null));
    let back = world.stack.ask(staff, "DELETE", &format!("{path}?reason=over"), &Value::Null).await.ok();
    assert_eq!(back["total"], cart["total"]);
    assert_eq!(world.stack.ask(staff, "DELETE", path, &Value::Null).await.refusal(), (400, "invalid-request"));
    let audited = world.berth.app.store.audit_entries(Some(&item), None, 10).await.unwrap();
    assert_eq!(audited[0].action, "cart.price_override.end");
    home.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_anothers_cart_is_not_there() {
    let world = World::new().await;
    let cart = world.add(json!({ "service_id": "vps-monthly" })).await.ok();
    let path = world.path(&cart, 0);
    let stranger = world.stack.token(Uuid::new_v4());
    let own =
        world.stack.ask(&stranger, "POST", "/v1/cart/items", &json!({ "service_id": "cloud-monthly" })).await.ok();

    let change = world.stack.ask(&stranger, "PATCH", &path, &json!({ "quantity": 9 })).await;
    let remove = world.stack.ask(&stranger, "DELETE", &path, &Value::Null).await;
    let theirs = world.stack.ask(&stranger, "GET", "/v1/cart", &Value::Null).await;

    assert_eq!(change.refusal(), (404, "not-found"));
    assert_eq!((remove.status, &remove.body), (200, &own));
    assert_eq!(theirs.body, own);
    assert_eq!(world.cart().await, cart);
    for (method, path) in [("GET", "/v1/cart"), ("DELETE", "/v1/cart"), ("POST", "/v1/cart/items"), ("DELETE", &path)] {
        assert_eq!(
            world.stack.ask("e30.e30.", method, path, &json!({})).await.refusal(),
            (401, "unauthorized"),
            "{method} {path}"
        );
    }
    let seen = world.stack.ask(&world.stack.staff(), "GET", &format!("/v1/carts/{}", world.user), &Value::Null).await;
    assert_eq!(seen.ok(), cart);
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sold_no_more_is_shown_with_its_problem_and_the_rest_is_priced() {
    let world = World::new().await;
    let odd = CartLine { configuration: json!({ "colour": "red" }), ..line("vps-monthly") };
    let gone = CartLine { quantity: 3, ..line("shared-weekly") };
    world.write(vec![CartEdit::Add(gone), CartEdit::Add(odd)]).await;
    let cart = world.add(json!({ "service_id": "cloud-monthly" })).await.ok();

    assert_eq!((&cart["subtotal"], &cart["total"]), (&json!("99.99"), &json!("99.99")));
    let problem = |service: &str| {
        let items = cart["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["service_id"] == service).unwrap();
        (
            item["unit_price"].clone(),
            item["problem"]["type"].as_str().map(|kind| kind.rsplit('/').next().unwrap().to_owned()),
        )
    };
    assert_eq!(problem("shared-weekly"), (Value::Null, Some("service-not-sold".to_owned())));
    assert_eq!(problem("vps-monthly"), (Value::Null, Some("configuration-invalid".to_owned())));
    assert_eq!(problem("cloud-monthly"), (json!("99.99"), None));
    let problems = cart["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2);
    let items = cart["items"].as_array().unwrap();
    assert!(problems.iter().all(|problem| items.iter().any(|item| item["id"] == problem["item"])));
    let gone = items.iter().find(|item| item["service_id"] == "shared-weekly").unwrap();
    let path = format!("/v1/cart/items/{}", gone["id"].as_str().unwrap());
    assert_eq!(world.ask("PATCH", &path, json!({ "quantity": 2 })).await.refusal(), (422, "service-not-sold"));
    let cart = world.ask("DELETE", &path, Value::Null).await.ok();
    assert_eq!(cart["problems"].as_array().unwrap().len(), 1);
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_is_priced_in_the_currency_that_its_customer_chooses_and_has_its_bounds() {
    let world = World::new().await;
    world.add(json!({ "service_id": "vps-monthly", "quantity": 10 })).await.ok();
    let shop = &world;
    let choose = |currency: &str| {
        let body = json!({ "currency": currency });
        async move { shop.ask("PUT", "/v1/cart/currency", body).await }
    };

    let cart = choose("gbp").await.ok();
    assert_eq!((&cart["currency"], &cart["total"]), (&json!("GBP"), &json!("179.90")));
    assert_eq!(choose("GBP").await.ok()["version"], cart["version"]);
    for unknown in ["JPY", "XXX", "A\0B", ""] {
        assert_eq!(choose(unknown).await.refusal(), (422, "not-sold-in-currency"), "{unknown:?}");
    }
    assert_eq!(world.cart().await, cart);

    let lines = (0..49).map(|at| {
        CartEdit::Add(CartLine {
            domain: Some(format!("s{at}.example")),
            line_key: at.to_string(),
            ..line("shared-monthly")
        })
    });
    world.write(lines.collect()).await;
    let full = world.add(json!({ "service_id": "cloud-monthly" })).await;
    assert_eq!(full.refusal(), (422, "cart-full"));
    let crowded = world.cart().await;
    assert_eq!(crowded["items"].as_array().unwrap().len(), 50);
    assert_eq!(crowded["problems"].as_array().unwrap().len(), 39, "ten of a service at most: {}", crowded["problems"]);
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tax_is_shown_as_the_customer_will_pay_it() {
    let options = StackOptions::default().setting("tax.rates", "DE:*:19,FR:*:20").setting("seller.country", "DE");
    let world = World::with(options).await;
    let cart = world.add(json!({ "service_id": "shared-monthly", "quantity": 3 })).await.ok();
    let live_in = |country: &str, vat_id: Option<&str>| {
        let profile = ProfileChange {
            customer: CustomerContact { id: CustomerId(world.user), email: "zoe@customer.test".to_owned(), name: None },
            company: None,
            country: Some(country.to_owned()),
            address: None,
            vat_id: vat_id.map(str::to_owned),
        };
        world.berth.app.committer.write(Effects::none().profile(profile))
    };

    assert_eq!([&cart["subtotal"], &cart["tax"], &cart["total"]], [&json!("14.97"), &json!("2.84"), &json!("17.81")]);
    live_in("FR", None).await.unwrap();
    let cart = world.cart().await;
    assert_eq!([&cart["tax"], &cart["total"], &cart["tax_note"]], [&json!("2.99"), &json!("17.96"), &Value::Null]);
    live_in("FR", Some("FR12345678901")).await.unwrap();
    let cart = world.cart().await;
    assert_eq!([&cart["tax"], &cart["total"]], [&json!("0.00"), &json!("14.97")]);
    assert!(cart["tax_note"].as_str().unwrap().starts_with("Reverse charge"), "{cart}");
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_shown_to_anybody() {
    let world = World::new().await;

    let response = world.stack.client.get(format!("{}/v1/plans", world.stack.base())).send().await.unwrap();

    assert_eq!(response.status(), 200);
    let plans: Value = response.json().await.unwrap();
    let first = &plans["data"][0];
    assert_eq!((&first["service_id"], &first["prices"]["USD"]), (&json!("shared-monthly"), &json!("4.99")));
    for plan in plans["data"].as_array().unwrap() {
        let added = world.add(json!({ "service_id": plan["service_id"] })).await.ok();
        let item =
            added["items"].as_array().unwrap().iter().find(|item| item["service_id"] == plan["service_id"]).unwrap();
        assert_eq!((&item["unit_price"], &item["name"]), (&plan["prices"]["USD"], &plan["name"]));
    }
    world.berth.stop().await;
}
