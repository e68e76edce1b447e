//! What the pages say, and that every link on them leads somewhere.

use std::collections::{BTreeSet, VecDeque};

use berth_jobs::Queue;
use reqwest::StatusCode;
use serde_json::json;

use super::Browser;
use crate::support::{Stack, StackOptions};

/// So many pages are looked at; a small shop has fewer.
const MOST_PAGES: usize = 400;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_shop_has_pages_that_say_that_nothing_is_there() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let browser = Browser::signed_in(&stack).await;
    for (path, says) in [
        ("/console", "Everything that was paid for is delivered."),
        ("/console/alerts", "Nothing asks for a person."),
        ("/console/jobs", "No job is like that."),
        ("/console/orders", "No order is like that."),
        ("/console/accounts", "No account is like that."),
        ("/console/customers", "No customer is like that."),
        ("/console/credit", "Nobody has credit."),
        ("/console/renewals", "No renewal is late."),
        ("/console/renewals?which=due", "No renewal waits to be paid."),
        ("/console/mails", "No mail was written yet."),
        ("/console/mails?which=unsent", "Every mail was sent."),
        ("/console/servers", "No worker has started yet"),
        ("/console/sweeps", "not yet"),
        ("/console/sweeps/accounts", "It has not run yet."),
        ("/console/audit", "Nothing was done by hand."),
        ("/console/search?q=nobody", "Nothing is known by that name."),
    ] {
        let text = browser.page(path).await.text();

        assert!(text.contains(says), "{path}: {text}");
    }
    for path in [
        "/console/orders/ord_01k9z3m6sne5y8r7q2w4x6t8va",
        "/console/accounts/acc_01k9z3m6sne5y8r7q2w4x6t8va",
        "/console/jobs/job_01k9z3m6sne5y8r7q2w4x6t8va",
        "/console/mails/mail_01k9z3m6sne5y8r7q2w4x6t8va",
        "/console/customers/6f1b2a3c-0d4e-4f5a-8b6c-7d8e9f0a1b2c",
        "/console/sweeps/nothing",
        "/console/jobs/nonsense",
        "/console/nothing/at/all",
    ] {
        let answer = browser.get(path).await;

        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text().contains("Nothing here"), "{path}: {}", answer.text());
    }
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_leads_to_a_page_from_the_overview_to_the_last() {
    let stack = Stack::with(StackOptions::default().setting("log.level", "error")).await;
    let berth = stack.start().await;
    let renewer = stack.renewer(&berth.app, "pm_card_visa").await;
    stack.insert_job("no_op", Queue::Mail, &json!({ "note": "</pre><script>alert(1)</script>" }), None).await;
    stack.until_idle().await;
    stack.insert_job("no_op", Queue::Mail, &json!({ "note": [renewer.order.to_string()] }), None).await;
    stack.until_count("select count(*) from berth.jobs where state = 'dead'", 1).await;
    let browser = Browser::signed_in(&stack).await;
    let mut waiting: VecDeque<String> = VecDeque::from(["/console".to_owned()]);
    let mut seen: BTreeSet<String> = waiting.iter().cloned().collect();
    let mut looked = 0;

    while let Some(path) = waiting.pop_front() {
        let answer = browser.get(&path).await;
        looked += 1;

        let fine = answer.status == StatusCode::OK || answer.status == StatusCode::SEE_OTHER;
        assert!(fine, "{path}: {} {}", answer.status, answer.text());
        assert!(!answer.body.contains("<script>"), "{path}");
        if answer.status == StatusCode::OK && answer.header("content-type").starts_with("text/html") {
            let news = answer.links().into_iter().filter(|link| !link.contains('#') && seen.insert(link.clone()));
            waiting.extend(news.collect::<Vec<_>>());
        }
        assert!(looked < MOST_PAGES, "{seen:#?}");
    }

    for part in ["/console/orders/ord_", "/console/accounts/acc_", "/console/jobs/job_", "/console/mails/mail_"] {
        assert!(seen.iter().any(|path| path.starts_with(part)), "{part}: {seen:#?}");
    }
    assert!(seen.contains(&format!("/console/customers/{}", renewer.user)), "{seen:#?}");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_tells_its_whole_story_and_its_jobs_what_caused_them() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (user, account) = stack.buyer(&berth.app, "pm_card_visa").await;
    stack.until_idle().await;
    let order = berth.app.store.account(account).await.unwrap().order_id;
    let browser = Browser::signed_in(&stack).await;

    let page = browser.page(&format!("/console/orders/{order}")).await;

    let text = page.text();
    assert!(text.contains("It is live: its account works."), "{text}");
    // In the order in which it happened: each is found after the one before.
    let mut rest = text.as_str();
    for step in [
        "order agreed",
        "event page at Stripe",
        "event checkout.session.completed",
        "job complete checkout",
        "order pending → processing",
        "account provisioning → active",
    ] {
        let at = rest.find(step).unwrap_or_else(|| panic!("{step} in {rest}"));
        rest = &rest[at..];
    }
    for part in [
        "job provision account",
        "payment of",
        "invoice",
        "welcome",
        "order confirmation",
        "panel asked local for",
        "took",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let job: String =
        sqlx::query_scalar("select berth.show_id('job_', id) from berth.jobs where kind = 'provision_account'")
            .fetch_one(&stack.pool)
            .await
            .unwrap();
    let of_job = browser.page(&format!("/console/jobs/{job}")).await.text();
    let (causes, caused) = of_job.split_once("Has caused").unwrap();
    assert!(causes.contains("complete_checkout"), "{of_job}");
    assert!(caused.contains("No job.") || caused.contains("send_mail"), "{of_job}");
    let of_account = browser.page(&format!("/console/accounts/{account}")).await.text();
    assert!(of_account.contains("provisioning → active") && of_account.contains("local"), "{of_account}");
    let of_customer = browser.page(&format!("/console/customers/{user}")).await.text();
    assert!(of_customer.contains("visa ··4242") && of_customer.contains("order_confirmation"), "{of_customer}");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_names_something_finds_it() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (user, account) = stack.buyer(&berth.app, "pm_card_visa").await;
    stack.until_idle().await;
    let order = berth.app.store.account(account).await.unwrap().order_id;
    let browser = Browser::signed_in(&stack).await;
    let (order_page, account_page) = (format!("/console/orders/{order}"), format!("/console/accounts/{account}"));
    let customer_page = format!("/console/customers/{user}");
    let one = async |sql: &'static str| -> String { sqlx::query_scalar(sql).fetch_one(&stack.pool).await.unwrap() };

    for (text, page) in [
        (order.to_string(), &order_page),
        (account.to_string(), &account_page),
        (user.to_string(), &customer_page),
        (one("select id from berth.checkout_sessions").await, &order_page),
        (one("select stripe_payment_intent_id from berth.payments").await, &order_page),
        (one("select number from berth.invoices").await, &order_page),
        (one("select number from berth.invoices").await.to_lowercase(), &order_page),
        (one("select username from berth.hosting_accounts").await, &account_page),
        (one("select stripe_customer_id from berth.customers").await, &customer_page),
        (format!("  {user}@customer.test "), &customer_page),
        (format!("{user}@CUSTOMER"), &customer_page),
    ] {
        let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();

        let answer = browser.get(&format!("/console/search?q={query}")).await;

        assert_eq!(answer.to(), page, "{text}");
    }
    let event = one("select id from berth.stripe_events where type = 'checkout.session.completed'").await;
    let answer = browser.get(&format!("/console/search?q={event}")).await;
    let jobs = browser.page(answer.to()).await.text();
    assert!(jobs.contains("complete_checkout"), "{jobs}");
    let wild = browser.page("/console/search?q=%25").await.text();
    assert!(
        wild.contains("Nothing is known by that name."),
        "a sign that means `anything` to SQL means itself: {wild}"
    );
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_filtered_and_paged() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    for number in 0..120 {
        let queue = if number % 2 == 0 { Queue::Mail } else { Queue::Payments };
        stack.insert_job("no_op", queue, &json!({ "note": format!("n{number:03}_") }), None).await;
    }
    sqlx::query(
        "update berth.jobs set state = 'dead', last_error = 'the disk is full' where payload ->> 'note' < 'n060'",
    )
    .execute(&stack.pool)
    .await
    .unwrap();
    let browser = Browser::signed_in(&stack).await;
    let rows = |text: &str| text.matches(" class=\"code\">no_op</td>").count();

    let mut path = "/console/jobs".to_owned();
    let mut all = 0;
    let mut pages = 0;
    loop {
        let page = browser.page(&path).await;
        all += rows(&page.body);
        pages += 1;
        let older = page.links().into_iter().find(|link| link.contains("before="));
        match older {
            Some(older) => path = older,
            None => break,
        }
    }
    assert_eq!((all, pages), (120, 3));
    for (path, found) in [
        ("/console/jobs?state=dead&queue=mail", 30),
        ("/console/jobs?state=queued&queue=payments", 30),
        ("/console/jobs?state=running", 0),
        ("/console/jobs?q=n007_", 1),
        ("/console/jobs?q=n007%25", 0),
        ("/console/jobs?state=dead&q=disk+is+FULL&queue=payments", 30),
        ("/console/jobs?kind=send_mail", 0),
        ("/console/jobs?state=nonsense&before=nonsense", 50),
    ] {
        assert_eq!(rows(&browser.page(path).await.body), found, "{path}");
    }
    berth.stop().await;
}
