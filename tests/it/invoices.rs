//! `GET /v1/orders/{id}/invoice`: who sees it, in which form, and what it says.

use std::time::Duration;

use berth::{
    app::App,
    domain::money::{Currency, Money},
    effects::NewOrder,
    http::auth::development_token,
};
use berth_jobs::ids::OrderId;
use reqwest::{Response, header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{
    Running, Stack, StackOptions,
    purchase::{agreeing, order, paying, usd},
    shop,
};

/// A shop in Hamburg that charges 19 % there.
async fn shop_with_taxes() -> (Stack, Running) {
    let options = StackOptions::default()
        .setting("seller.name", "Hosting & Söhne GmbH")
        .setting("seller.address", "Am Hafen 1,20457 Hamburg")
        .setting("seller.country", "DE")
        .setting("seller.vat_id", "DE123456789")
        .setting("shop.time_zone", "Pacific/Kiritimati")
        .setting("tax.rates", "DE:*:19");
    let stack = Stack::with(options).await;
    let running = stack.start_with(&[]).await;
    (stack, running)
}

/// An order of two services for somebody whose name is hostile, as the route would make it.
fn wanted(app: &App) -> NewOrder {
    let mut wanted = shop::new_order(app, &[("shared-monthly", 2), ("vps-monthly", 1)]);
    wanted.terms.customer_snapshot = Some(json!({
        "email": wanted.customer.email, "name": "</style><script>alert(1)</script>", "company": "Ada \"&\" Co",
        "country": "DE", "address": { "line1": "Weg 1", "city": "Berlin", "postal_code": "10115" }, "vat_id": null,
    }));
    wanted.terms.tax_note = Some("A note on the tax.".to_owned());
    for (at, item) in wanted.items.iter_mut().enumerate() {
        item.terms.tax_rate = "19".parse().unwrap();
        item.terms.domain = Some(format!("site{at}.test"));
        if item.service_id == "vps-monthly" {
            item.terms.configuration = json!({ "ram_gb": 8 });
            item.terms.addons = json!([{ "id": "daily-backups", "name": "Daily backups", "price": "3.00" }]);
        }
    }
    wanted
}

async fn sold(app: &App) -> (OrderId, Uuid) {
    let wanted = wanted(app);
    let (id, user) = (wanted.id, wanted.customer.id.0);
    app.committer.write(agreeing(wanted)).await.unwrap();
    app.committer.write(paying(app, id).await).await.unwrap();
    (id, user)
}

async fn ask(stack: &Stack, token: &str, order: &str, accept: Option<&str>) -> Response {
    let mut request = stack.client.get(format!("{}/v1/orders/{order}/invoice", stack.base())).bearer_auth(token);
    if let Some(accept) = accept {
        request = request.header(header::ACCEPT, accept);
    }
    request.send().await.unwrap()
}

async fn json_of(stack: &Stack, user: Uuid, order: OrderId) -> Value {
    let answer = ask(stack, &stack.token(user), &order.to_string(), Some("application/json")).await;
    assert_eq!(answer.status().as_u16(), 200);
    answer.json().await.unwrap()
}

/// Status and slug of a refusal.
async fn refused(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let problem: Value = answer.json().await.unwrap();
    (status, problem["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_says_what_was_sold_to_whom_with_its_tax() {
    let (stack, running) = shop_with_taxes().await;
    let (id, user) = sold(&running.app).await;

    let invoice = json_of(&stack, user, id).await;

    assert_eq!((&invoice["number"], &invoice["order_id"]), (&json!("INV-000001"), &json!(id)));
    assert_eq!(invoice["seller"]["name"], "Hosting & Söhne GmbH");
    assert_eq!(invoice["seller"]["address"], json!(["Am Hafen 1", "20457 Hamburg"]));
    assert_eq!(invoice["seller"]["email"], "help@shop.test");
    assert_eq!(invoice["buyer"]["address"]["city"], "Berlin");
    assert_eq!(invoice["notes"], json!(["A note on the tax."]));
    let [two, vps] = invoice["lines"].as_array().unwrap().as_slice() else { panic!("{invoice}") };
    assert_eq!((&two["quantity"], &two["unit_price"], &two["subtotal"]), (&json!(2), &json!("4.99"), &json!("9.98")));
    assert_eq!(two["domains"], json!(["site0.test", "site1.test"]));
    assert_eq!(vps["details"][1], json!({ "name": "Daily backups", "value": null }));
    assert_eq!((&vps["details"][0]["value"], &vps["tax_rate"]), (&json!("8"), &json!("19")));
    assert_eq!(invoice["taxes"][0]["rate"], "19");
    assert_eq!((&invoice["taxes"][0]["tax"], &invoice["taxes"][0]["net"]), (&invoice["tax"], &invoice["subtotal"]));
    let order = running.app.store.order(id).await.unwrap();
    assert_eq!(invoice["total"], order.total.amount_text());
    assert_eq!(stack.broken_rules().await, []);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_a_page_or_json_as_the_reader_would_rather_have_it() {
    let (stack, running) = shop_with_taxes().await;
    let (id, user) = sold(&running.app).await;
    let (token, order) = (stack.token(user), id.to_string());

    for (accept, kind) in [
        (None, "text/html; charset=utf-8"),
        (Some("*/*"), "text/html; charset=utf-8"),
        (Some("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"), "text/html; charset=utf-8"),
        (Some("application/json"), "application/json"),
        (Some("text/html;q=0.5, application/json;q=0.6"), "application/json"),
        (Some("application/pdf"), "application/pdf"),
        (Some("application/pdf, */*;q=0.1"), "application/pdf"),
    ] {
        let answer = ask(&stack, &token, &order, accept).await;

        assert_eq!((answer.status().as_u16(), &answer.headers()[header::CONTENT_TYPE]), (200, &kind.parse().unwrap()));
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "private, no-store");
        assert!(answer.headers()[header::VARY].to_str().unwrap().contains("accept"));
    }
    let neither = ask(&stack, &token, &order, Some("image/png, */*;q=0")).await;
    assert_eq!(refused(neither).await, (406, "not-acceptable".to_owned()));

    let page = ask(&stack, &token, &order, Some("text/html")).await;
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("script"), "{policy}");
    let html = page.text().await.unwrap();
    assert!(html.contains("INV-000001") && html.contains("site0.test, site1.test"), "{html}");
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script"), "{html}");
    assert!(html.contains("Ada &quot;&amp;&quot; Co"), "{html}");
    // 14 hours before Greenwich: the shop's own day.
    let zone = jiff::tz::TimeZone::get("Pacific/Kiritimati").unwrap();
    let invoice = running.app.store.invoice_of(id).await.unwrap().unwrap();
    let day = invoice.issued_at.to_zoned(zone).strftime("%-d %B %Y").to_string();
    assert!(html.contains(&format!("<dd>{day}</dd>")), "{day} is not in {html}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_a_file_that_is_the_same_each_time() {
    let (stack, running) = shop_with_taxes().await;
    let (id, user) = sold(&running.app).await;
    let (token, order) = (stack.token(user), id.to_string());

    let first = ask(&stack, &token, &order, Some("application/pdf")).await;
    let again = ask(&stack, &token, &order, Some("application/pdf")).await;

    assert_eq!(first.headers()[header::CONTENT_DISPOSITION], "inline; filename=\"INV-000001.pdf\"");
    assert_eq!(first.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let bytes = first.bytes().await.unwrap();
    assert_eq!(again.bytes().await.unwrap(), bytes);
    let file = lopdf::Document::load_mem(&bytes).unwrap();
    let text = file.extract_text(&[1]).unwrap();
    let invoice = json_of(&stack, user, id).await;
    let total = format!("{} USD", invoice["total"].as_str().unwrap());
    for told in [
        "INV-000001",
        "Hosting & Söhne GmbH",
        "</style><script>alert(1)</script>",
        "site0.test, site1.test",
        &total,
        "Paid",
    ] {
        assert!(text.contains(told), "{told} is not in {text}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_of_a_renewal_asks_for_its_money_until_it_is_paid() {
    let (stack, running) = shop_with_taxes().await;
    let (id, user) = sold(&running.app).await;
    let renewed = "with o as (
            update berth.orders
            set is_renewal = true, phase = 'pending', paid_at = null, period_start = '2027-03-01T12:00:00Z',
                renewal_of_hosting_id = (select id from berth.hosting_accounts limit 1)
            returning *)
        insert into berth.renewals
            (order_id, account_id, customer_id, period_start, period_end, phase, invoice_mail_id, issued_at)
        select o.id, o.renewal_of_hosting_id, o.customer_id, o.period_start, o.period_start + interval '31 days',
               'invoiced', o.id, o.created_at
        from o";
    sqlx::query(renewed).execute(&stack.pool).await.unwrap();

    let answer = ask(&stack, &stack.token(user), &id.to_string(), Some("application/pdf")).await;

    let file = lopdf::Document::load_mem(&answer.bytes().await.unwrap()).unwrap();
    let text = file.extract_text(&[1]).unwrap();
    // 14 hours before Greenwich it is the next day.
    for told in ["Due on", "2 March 2027", "To be paid", "Please pay by 2 March 2027."] {
        assert!(text.contains(told), "{told} is not in {text}");
    }
    assert!(!text.contains("paid in full"), "{text}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_for_its_customer_and_staff_and_there_once_the_order_is_paid() {
    let (stack, running) = shop_with_taxes().await;
    let (id, user) = sold(&running.app).await;
    let unpaid = order(&running.app, None);
    let (unpaid_id, unpaid_user) = (unpaid.id.to_string(), unpaid.customer.id.0);
    running.app.committer.write(agreeing(unpaid)).await.unwrap();
    let stranger = stack.token(Uuid::new_v4());
    let auth = stack.config().auth;
    let now = berth::clock::Clock::machine();
    let staff =
        development_token(&auth, Uuid::new_v4(), Some("s@shop.test"), true, now, Duration::from_secs(60)).unwrap();
    let not_found = || (404, "not-found".to_owned());

    assert_eq!(ask(&stack, &staff, &id.to_string(), None).await.status().as_u16(), 200);
    assert_eq!(ask(&stack, &stack.token(user), &id.to_string(), None).await.status().as_u16(), 200);
    assert_eq!(refused(ask(&stack, &stranger, &id.to_string(), None).await).await, not_found());
    assert_eq!(refused(ask(&stack, &stranger, &unpaid_id, None).await).await, not_found());
    for no_order in [OrderId::new().to_string().as_str(), "ord_x", "acc_01k9z3m6sne5y8r7q2w4x6t8va", "%00"] {
        assert_eq!(refused(ask(&stack, &staff, no_order, None).await).await, not_found(), "{no_order}");
    }
    let own = ask(&stack, &stack.token(unpaid_user), &unpaid_id, None).await;
    assert_eq!(refused(own).await, (404, "no-invoice-yet".to_owned()));
    assert_eq!(refused(ask(&stack, "no.token.here", &id.to_string(), None).await).await.0, 401);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_keeps_what_it_said_whatever_becomes_of_shop_and_customer() {
    let (stack, running) = shop_with_taxes().await;
    let (id, user) = sold(&running.app).await;
    let before = json_of(&stack, user, id).await;
    sqlx::query("update berth.hosting_accounts set phase = 'terminated'").execute(&stack.pool).await.unwrap();
    sqlx::query("update berth.orders set phase = 'completed'").execute(&stack.pool).await.unwrap();
    running.stop().await;
    let elsewhere = StackOptions::default().setting("seller.name", "Somebody else");
    let mut stack = stack;
    stack.settings.retain(|(key, _)| key != "seller.name");
    stack.settings.extend(elsewhere.settings);
    let running = stack.start_with(&[]).await;

    let gone = stack.client.delete(format!("{}/v1/me", stack.base())).bearer_auth(stack.token(user)).send().await;
    assert_eq!(gone.unwrap().status().as_u16(), 204);

    assert_eq!(json_of(&stack, user, id).await, before);
    assert_eq!(running.app.seller.name, "Somebody else");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_many_units_is_few_lines_whose_amounts_are_the_orders() {
    let (stack, running) = shop_with_taxes().await;
    let mut wanted = shop::new_order(&running.app, &[("shared-monthly", 10), ("wordpress-monthly", 10)]);
    wanted.terms.customer_snapshot = Some(json!({ "email": wanted.customer.email }));
    let (id, user) = (wanted.id, wanted.customer.id.0);
    running.app.committer.write(agreeing(wanted)).await.unwrap();
    running.app.committer.write(paying(&running.app, id).await).await.unwrap();

    let invoice = json_of(&stack, user, id).await;

    let lines = invoice["lines"].as_array().unwrap();
    assert_eq!(lines.iter().map(|line| &line["quantity"]).collect::<Vec<_>>(), [10, 10]);
    let sum = |amount: &str| {
        let amounts = lines.iter().map(|line| usd(line[amount].as_str().unwrap()));
        Money::sum(Currency::Usd, amounts).unwrap().amount_text()
    };
    for amount in ["subtotal", "discount", "tax", "total"] {
        assert_eq!(invoice[amount], sum(amount), "{amount}");
    }
    assert_eq!(invoice["subtotal"], "149.80");
    running.stop().await;
}
