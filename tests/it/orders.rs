//! Orders as customers and staff see them, cancel them, decide on them and listen to them.

mod cancelling;
mod listening;
mod review;

use berth::{
    app::App,
    effects::{Effects, ItemTerms, OrderTerms},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Stack, WatchedPanel, shop};

/// Asks as a member of staff.
async fn as_staff(stack: &Stack, method: &str, path: &str, body: Value) -> (u16, Value) {
    let answer = stack.ask(&stack.staff(), method, path, &body).await;
    (answer.status, answer.body)
}

fn slug(problem: &Value) -> &str {
    problem["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default()
}

fn ids(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap()).collect()
}

/// An order of one unit with everything that a unit can be sold with; answers its id and its customer.
async fn agree_in_full(app: &App) -> (String, Uuid) {
    let mut order = shop::new_order(app, &[("vps-monthly", 1)]);
    order.terms = OrderTerms {
        tax_note: Some("Reverse charge".to_owned()),
        client_ip: Some("203.0.113.7".parse().unwrap()),
        customer_snapshot: Some(json!({ "email": order.customer.email, "country": "DE" })),
        ..order.terms
    };
    order.items[0].terms = ItemTerms {
        setup_fee: "5".parse().unwrap(),
        tax_rate: "19.00".parse().unwrap(),
        configuration: json!({ "ram_gb": 8 }),
        addons: json!([{ "id": "daily-backups", "name": "Daily backups", "price": "2.00" }]),
        domain: Some("site.example.com".to_owned()),
        trial_days: 14,
        ..ItemTerms::default()
    };
    let (id, customer) = (order.id.to_string(), order.customer.id.0);
    app.committer.write(Effects::new_order(order)).await.unwrap();
    (id, customer)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_shows_what_was_sold_and_customers_see_nothing_that_is_for_staff() {
    let stack = Stack::new().await;
    let berth = stack.start_on(&WatchedPanel::new(), &[]).await;
    let (order, customer) = agree_in_full(&berth.app).await;
    let path = format!("/v1/orders/{order}");

    let (status, shown) = stack.get(customer, &path).await;
    let (_, for_staff) = as_staff(&stack, "GET", &path, Value::Null).await;
    let (_, listed) = stack.get(customer, "/v1/orders").await;

    assert_eq!(status, 200, "{shown}");
    assert_eq!(shown["user_id"], json!(customer));
    assert_eq!(
        (&shown["status"], &shown["version"], &shown["currency"]),
        (&json!("pending"), &json!(1), &json!("USD"))
    );
    let sums = ["subtotal", "discount", "tax", "total"].map(|sum| shown[sum].as_str().unwrap());
    assert_eq!(sums, ["19.99", "0.00", "0.00", "19.99"]);
    assert_eq!(shown["tax_note"], "Reverse charge");
    let item = &shown["items"][0];
    assert_eq!(
        (&item["price"], &item["setup_fee"], &item["tax_rate"]),
        (&json!("19.99"), &json!("5.00"), &json!("19"))
    );
    assert_eq!((&item["tax"], &item["discount"]), (&json!("0.00"), &json!("0.00")));
    assert_eq!(item["configuration"], json!({ "ram_gb": 8 }));
    assert_eq!(item["addons"][0]["id"], "daily-backups");
    assert_eq!((&item["domain"], &item["trial_days"]), (&json!("site.example.com"), &json!(14)));
    for later in ["paid_at", "completed_at", "renewal_date", "invoice_number", "failure", "coupon_code"] {
        assert!(shown.as_object().unwrap().contains_key(later) && shown[later].is_null(), "{later}: {shown}");
    }
    let step = &shown["timeline"][0];
    assert_eq!((&step["from"], &step["to"], &step["actor"]), (&json!(null), &json!("pending"), &json!("customer")));
    assert_eq!((&for_staff["client_ip"], &for_staff["phase"]), (&json!("203.0.113.7"), &json!("pending")));
    for secret in ["client_ip", "hold_reason", "phase"] {
        assert!(shown.get(secret).is_none() && listed["data"][0].get(secret).is_none(), "{secret}: {shown}");
    }
    assert!(listed["data"][0].get("timeline").is_none());
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_order_names_its_payment_and_when_it_is_renewed_and_every_step_has_its_actor() {
    let stack = Stack::new().await;
    let berth = stack.start_on(&WatchedPanel::new(), &berth_jobs::Queue::ALL).await;
    let user = Uuid::new_v4();
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;

    let (_, shown) = stack.get(user, &format!("/v1/orders/{order}")).await;

    let steps: Vec<(&str, &str)> = shown["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["to"].as_str().unwrap(), step["actor"].as_str().unwrap()))
        .collect();
    assert_eq!(steps, [("pending", "customer"), ("processing", "stripe"), ("completed", "berth")]);
    assert!(shown["stripe_payment_intent_id"].as_str().unwrap().starts_with("pi_"), "{shown}");
    assert!(shown["renewal_date"].as_str().unwrap() > shown["completed_at"].as_str().unwrap(), "{shown}");
    assert!(shown["checkout_url"].is_null(), "there is nothing to pay any more");
    assert_eq!(shown["version"], 3);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_listed_by_status_time_and_kind_and_another_customers_by_staff_only() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let (user, other) = (Uuid::new_v4(), Uuid::new_v4());
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(stack.checkout(user, "shared-monthly", 1).await.0);
    }
    let (theirs, _) = stack.checkout(other, "shared-monthly", 1).await;
    let (_, middle) = stack.get(user, &format!("/v1/orders/{}", made[1])).await;
    let at = middle["created_at"].as_str().unwrap();
    let list = async |query: &str| stack.get(user, &format!("/v1/orders?{query}")).await;

    let (_, since) = list(&format!("from={at}")).await;
    assert_eq!(ids(&since), [made[2].as_str(), made[1].as_str()], "from the instant on");
    assert_eq!(ids(&list(&format!("to={at}")).await.1), [made[0].as_str()], "to the instant and not with it");
    assert_eq!(ids(&list("from=0001-01-01T00:00:00Z&to=9999-12-30T00:00:00Z").await.1).len(), 3);
    assert_eq!(ids(&list("is_renewal=true").await.1).len(), 0);
    assert_eq!(ids(&list("is_renewal=false&status=pending").await.1).len(), 3);
    assert_eq!(ids(&list(&format!("customer_id={user}")).await.1).len(), 3);
    // A cursor is a place in time: whose order it names, or whether there is such an order, is not told by it.
    assert_eq!(ids(&list(&format!("starting_after={theirs}")).await.1).len(), 3);
    assert_eq!(ids(&list("starting_after=ord_00000000000000000000000000").await.1).len(), 0);
    for bad in [
        "from=yesterday",
        "to=2026-13-01T00:00:00Z",
        "is_renewal=perhaps",
        "customer_id=me",
        "limit=0",
        "limit=101",
        "limit=99999999999999999999",
        "status=held",
        "status=%00",
        "starting_after=%00",
        "from=",
    ] {
        assert_eq!(list(bad).await.0, 400, "{bad}");
    }

    let (status, problem) = list(&format!("customer_id={other}")).await;
    assert_eq!((status, slug(&problem)), (403, "forbidden"));
    let path = format!("/v1/orders?customer_id={user}");
    let (status, listed) = as_staff(&stack, "GET", &path, Value::Null).await;
    assert_eq!((status, ids(&listed).len()), (200, 3));
    assert_eq!(listed["data"][0]["phase"], "pending");
    berth.stop().await;
}
