//! Two customers, every route, every verb: nothing of one reaches the other. The routes are read from /openapi.json, so
//! that a new one is asked too, and fails here until it is said what its path and body are.

use std::{cmp::Reverse, collections::BTreeMap};

use berth::http::auth::development_token;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Running, Stack};

/// What the owner's answers hold and nobody else's may.
const NAME: &str = "Adelheid Marker";
const DOMAIN: &str = "adelheid-marker.example";

/// One operation of the description.
#[derive(Clone, Debug)]
struct Route {
    method: Method,
    path: String,
    is_guarded: bool,
    takes_body: bool,
}

/// Somebody who asks.
struct Person {
    id: Uuid,
    token: String,
}

struct World {
    stack: Stack,
    ada: Person,
    stranger: Person,
    staff: Person,
    /// An application's key.
    machine: String,
    /// What stands in Ada's paths, by the path's name for it.
    ids: BTreeMap<&'static str, Vec<String>>,
}

impl World {
    /// Ada has a profile, a cart, a live account with its invoice, and an order to pay.
    async fn new() -> (Self, Running) {
        let stack = Stack::new().await;
        let berth = stack.start().await;
        let person = |email: &str, staff| {
            let (auth, now) = (stack.config().auth, berth::clock::Clock::machine());
            let id = Uuid::new_v4();
            let token = development_token(&auth, id, Some(email), staff, now, std::time::Duration::from_secs(3600));
            Person { id, token: token.unwrap() }
        };
        let (ada, stranger) = (person("adelheid@marker.example", false), person("eve@stranger.example", false));
        let staff = person("ops@shop.example", true);
        let machine = stack.key("crm", &["no_op", "complete_checkout"]).await.token;
        let mut world = Self { ada, stranger, staff, machine, ids: BTreeMap::new(), stack };
        world.settle_in().await;
        (world, berth)
    }

    async fn settle_in(&mut self) {
        let profile = json!({ "name": NAME, "country": "DE", "address": { "line1": "Marker Way 1", "city": "Kiel",
            "postal_code": "24103" } });
        self.must(&self.ada, Method::PUT, "/v1/me", Some(&profile)).await;
        let line = json!({ "items": [{ "service_id": "shared-monthly" }] });
        let paid = self.must(&self.ada, Method::POST, "/v1/checkout", Some(&line)).await;
        let session = paid["checkout_url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        self.stack.pay(&session).await;
        self.stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
        self.stack.until_idle().await;
        let part = json!({ "amount": "1.00", "reason": "a test" });
        let refund = format!("/v1/orders/{}/refund", paid["order_id"].as_str().unwrap());
        self.must(&self.staff, Method::POST, &refund, Some(&part)).await;
        self.stack.until_count("select count(*) from berth.credit_notes", 1).await;
        self.stack.until_idle().await;
        let notes = self.must(&self.ada, Method::GET, "/v1/credit-notes", None).await;
        let pending = self.must(&self.ada, Method::POST, "/v1/checkout", Some(&line)).await;
        let item = json!({ "service_id": "wordpress-monthly", "domain": DOMAIN });
        let cart = self.must(&self.ada, Method::POST, "/v1/cart/items", Some(&item)).await;
        let credit = json!({ "amount": "0.01", "currency": "USD", "reason": "a test" });
        let granted = format!("/v1/customers/{}/credit", self.ada.id);
        self.must(&self.staff, Method::POST, &granted, Some(&credit)).await;
        let code = json!({ "code": "MARKER", "discount_type": "percentage", "percentage": "10", "reason": "a test" });
        self.must(&self.staff, Method::POST, "/v1/coupons", Some(&code)).await;
        let hosting = self.must(&self.ada, Method::GET, "/v1/hosting", None).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let job = self
            .stack
            .text("select berth.show_id('job_', id) from berth.jobs where kind = 'complete_checkout' limit 1")
            .await;
        let cards = self.must(&self.ada, Method::GET, "/v1/payment-methods", None).await;
        self.ids = BTreeMap::from([
            ("/v1/orders/{id}", vec![text(&paid["order_id"]), text(&pending["order_id"])]),
            ("/v1/credit-notes/{id}", vec![text(&notes["data"][0]["id"])]),
            ("/v1/hosting/{id}", vec![text(&hosting["data"][0]["id"])]),
            ("/v1/cart/items/{id}", vec![text(&cart["items"][0]["id"])]),
            ("/v1/carts/{customer_id}", vec![self.ada.id.to_string()]),
            ("/v1/customers/{customer_id}", vec![self.ada.id.to_string()]),
            ("/v1/coupons/{code}", vec!["MARKER".to_owned()]),
            ("/v1/payment-methods/{id}", vec![text(&cards["data"][0]["id"])]),
            ("/v1/sweeps/{name}", vec!["unpaid_orders".to_owned()]),
            ("/v1/jobs/{id}", vec![job]),
        ]);
    }

    /// Each path of Ada's that a route stands for, beside one of the same shape that nobody has ever had.
    fn paths(&self, route: &Route) -> Vec<(String, String)> {
        let Some((prefix, ids)) = self.ids.iter().find(|(prefix, _)| route.path.starts_with(**prefix)) else {
            panic!("say in `ids` what stands in {}", route.path);
        };
        let rest = route.path.strip_prefix(prefix).unwrap();
        let item = &self.ids["/v1/cart/items/{id}"][0];
        let filled = |id: &str, item: &str| {
            let head = &prefix[..prefix.find('{').unwrap()];
            // Staff takes a price back for a reason, which a DELETE has in its query.
            let query = if route.path.ends_with("/price-override") && !route.takes_body { "?reason=test" } else { "" };
            format!("{head}{id}{}{query}", rest.replace("{id}", item))
        };
        ids.iter().map(|id| (filled(id, item), filled(&unknown_like(id), &unknown_like(item)))).collect()
    }

    async fn ask(&self, token: Option<&str>, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self.stack.client.request(method, format!("{}{path}", self.stack.base()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        // A stream does not end: that there is one says enough.
        let is_stream = kind.as_deref().is_some_and(|kind| kind.starts_with("text/event-stream"));
        let body = if is_stream { String::new() } else { response.text().await.unwrap() };
        Answer { status, body }
    }

    async fn must(&self, who: &Person, method: Method, path: &str, body: Option<&Value>) -> Value {
        let answer = self.ask(Some(&who.token), method.clone(), path, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    /// Texts that only Ada's answers hold.
    fn marks(&self) -> Vec<String> {
        const OF_ALL: [&str; 2] = ["/v1/coupons/{code}", "/v1/sweeps/{name}"];
        let ids = self.ids.iter().filter(|(prefix, _)| !OF_ALL.contains(prefix)).flat_map(|(_, ids)| ids.clone());
        ids.chain([NAME, DOMAIN, "adelheid@marker.example"].map(str::to_owned)).collect()
    }

    /// All rows that say something of Ada, as one text.
    async fn rows_of_ada(&self) -> String {
        const TABLES: [(&str, &str); 13] = [
            ("customers", "id"),
            ("carts", "customer_id"),
            ("cart_items", "customer_id"),
            ("orders", "customer_id"),
            ("hosting_accounts", "customer_id"),
            ("invoices", "customer_id"),
            ("refunds", "customer_id"),
            ("credit_notes", "customer_id"),
            ("coupon_redemptions", "customer_id"),
            ("stream_tickets", "customer_id"),
            ("cards", "customer_id"),
            ("credit_balances", "customer_id"),
            ("credit_entries", "customer_id"),
        ];
        let mut all = String::new();
        for (table, owner) in TABLES {
            let sql = format!(
                "select coalesce(string_agg(t::text, E'\\n' order by t::text), '') from berth.{table} t where {owner} = $1"
            );
            let rows: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .bind(self.ada.id)
                .fetch_one(&self.stack.pool)
                .await
                .unwrap();
            all.push_str(&format!("{table}: {rows}\n"));
        }
        all
    }
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    body: String,
}

impl Answer {
    /// What a stranger can learn from it: not what differs from request to request.
    fn said(&self) -> (StatusCode, Option<Value>) {
        let body: Option<Value> = serde_json::from_str(&self.body).ok();
        (self.status, body.filter(|body| body.get("type").is_some()))
    }
}

impl Answer {
    /// Whether it is about what was named, and not about how it was asked for or who asked.
    fn knows(&self) -> bool {
        let unread = [400, 401, 403, 405, 413, 415].contains(&self.status.as_u16());
        !unread && !self.status.is_server_error() && !self.body.contains("/problems/not-found")
    }
}

/// An id of the same shape that was never given out.
fn unknown_like(id: &str) -> String {
    match id.split_once('_') {
        Some((prefix, _)) => format!("{prefix}_{}", "0".repeat(25) + "1"),
        None if id.len() == 36 => Uuid::nil().to_string(),
        None => "NOSUCHCODE".to_owned(),
    }
}

/// A body that the route takes.
fn body_for(route: &Route) -> Value {
    match (route.method.as_str(), route.path.as_str()) {
        ("POST", "/v1/checkout") => json!({ "items": [{ "service_id": "shared-monthly" }] }),
        ("POST", "/v1/jobs") => json!({ "kind": "no_op", "payload": {} }),
        ("POST", "/v1/jobs/batch") => json!({ "jobs": [{ "kind": "no_op", "payload": {} }] }),
        ("POST", "/v1/cart/items") => json!({ "service_id": "shared-monthly" }),
        ("PATCH", "/v1/cart/items/{id}") => json!({ "quantity": 3 }),
        ("PUT", "/v1/cart/coupon") => json!({ "code": "MARKER" }),
        ("PUT", "/v1/cart/currency") => json!({ "currency": "USD" }),
        ("PUT", "/v1/carts/{customer_id}/items/{id}/price-override") => {
            json!({ "price": "1.00", "currency": "USD", "until": "2100-01-01T00:00:00Z", "reason": "a test" })
        }
        ("PUT", "/v1/me") => json!({ "name": "Eve", "country": "DE" }),
        ("POST", "/v1/coupons") => {
            json!({ "code": "OTHER", "discount_type": "percentage", "percentage": "10", "reason": "a test" })
        }
        ("PATCH", "/v1/coupons/{code}") => json!({ "max_uses": 5, "reason": "a test" }),
        ("POST", "/v1/customers/{customer_id}/credit" | "/v1/customers/{customer_id}/credit/take-back") => {
            json!({ "amount": "0.01", "currency": "USD", "reason": "a test" })
        }
        ("POST", "/v1/orders/{id}/refund") => json!({ "amount": "0.01", "reason": "a test" }),
        ("POST", "/v1/hosting/{id}/change") => {
            json!({ "service_id": "shared-monthly", "addon_ids": ["daily-backups"] })
        }
        ("POST", "/v1/orders/{id}/cancel" | "/v1/hosting/{id}/uncancel") => json!({}),
        ("POST", "/v1/hosting/{id}/login" | "/v1/hosting/{id}/password") => json!({ "reason": "a test" }),
        ("PATCH", "/v1/hosting/{id}") => json!({ "auto_renew": false }),
        ("POST", "/v1/hosting/{id}/cancel") => json!({ "at": "now", "confirm": true }),
        ("POST", "/v1/hosting/{id}/suspend") => json!({ "reason": "staff", "note": "a test" }),
        ("POST", "/v1/hosting/{id}/unsuspend") => json!({ "note": "a test" }),
        ("POST", "/v1/hosting/{id}/terminate") => json!({ "reason": "a test", "confirm": true }),
        ("POST", "/v1/sweeps/{name}") => json!({ "dry_run": true, "reason": "a test" }),
        ("DELETE", _) | ("POST", "/v1/coupons/{code}/end" | "/v1/orders/{id}/approve" | "/v1/orders/{id}/reject") => {
            json!({ "reason": "a test" })
        }
        _ => panic!("say in `body_for` what {} {} takes", route.method, route.path),
    }
}

async fn routes(stack: &Stack) -> Vec<Route> {
    let description: Value =
        stack.client.get(format!("{}/openapi.json", stack.base())).send().await.unwrap().json().await.unwrap();
    let mut routes = Vec::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            routes.push(Route {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                is_guarded: operation.get("security").is_some(),
                takes_body: operation.get("requestBody").is_some(),
            });
        }
    }
    // What deletes comes last, and what it is in after it.
    routes.sort_by_key(|route| {
        (route.method == Method::DELETE, route.path == "/v1/me", Reverse(route.path.len()), route.path.clone())
    });
    routes
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_customer_reaches_another_by_any_route_and_verb() {
    let (world, berth) = World::new().await;
    let routes = routes(&world.stack).await;
    let guarded = routes.iter().filter(|route| route.is_guarded);
    let before = world.rows_of_ada().await;
    let (marks, mut asked) = (world.marks(), 0);

    for route in guarded.clone() {
        let body = route.takes_body.then(|| body_for(route));
        let paths =
            if route.path.contains('{') { world.paths(route) } else { vec![(route.path.clone(), route.path.clone())] };
        for (of_ada, of_nobody) in paths {
            let what = format!("{} {of_ada}", route.method);
            for token in [None, Some("e30.e30.e30"), Some(&*"x".repeat(100_000))] {
                let refused = world.ask(token, route.method.clone(), &of_ada, body.as_ref()).await;
                assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{what} without a good token");
            }
            let token = Some(&*world.stranger.token);
            let answer = world.ask(token, route.method.clone(), &of_ada, body.as_ref()).await;
            asked += 1;
            let leaks: Vec<_> = marks
                .iter()
                .filter(|mark| !of_ada.contains(mark.as_str()) && answer.body.contains(mark.as_str()))
                .collect();
            assert!(leaks.is_empty(), "{what} tells a stranger {leaks:?}: {}", answer.body);
            if of_ada != of_nobody {
                assert!(!answer.status.is_success() || route.path.starts_with("/v1/cart/"), "{what}: {answer:?}");
                let unknown = world.ask(token, route.method.clone(), &of_nobody, body.as_ref()).await;
                assert_eq!(answer.said(), unknown.said(), "{what} tells a stranger that it is there");
            }
            assert_eq!(before, world.rows_of_ada().await, "{what} by a stranger changed what is Ada's");
        }
    }
    println!("{asked} requests of a stranger, over {} guarded operations", guarded.clone().count());

    // The same requests are good ones: from whoever may, they reach what they name.
    for route in guarded.filter(|route| route.path.contains('{')) {
        let body = route.takes_body.then(|| body_for(route));
        for (path, _) in world.paths(route) {
            let owners = world.ask(Some(&world.ada.token), route.method.clone(), &path, body.as_ref()).await;
            let staffs = world.ask(Some(&world.staff.token), route.method.clone(), &path, body.as_ref()).await;
            let machines = world.ask(Some(&world.machine), route.method.clone(), &path, body.as_ref()).await;
            let reached = [&owners, &staffs, &machines].into_iter().any(Answer::knows);
            assert!(reached, "{} {path}: {owners:?}, {staffs:?}, {machines:?}", route.method);
        }
    }
    berth.stop().await;
}
