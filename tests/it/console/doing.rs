//! What is done by the console's forms: as the API's routes do it, and written down.

use berth::gateways::panels::PanelError;
use berth_jobs::{Queue, ids::JobId};
use reqwest::StatusCode;
use serde_json::json;

use super::{Browser, stuck::on_web1};
use crate::support::{Stack, StackOptions, WatchedPanel, hosting};

async fn audited(stack: &Stack) -> Vec<(String, String, Option<String>)> {
    sqlx::query_as("select action, subject, reason from berth.audit order by id").fetch_all(&stack.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_is_run_again_or_cancelled_and_it_is_written_down_who_did_and_why() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let browser = Browser::signed_in(&stack).await;
    let mut pages = Vec::new();
    for _ in 0..2 {
        let id = JobId(stack.insert_job("no_op", Queue::Mail, &json!({}), None).await);
        pages.push((id, format!("/console/jobs/{id}")));
    }
    sqlx::query("update berth.jobs set state = 'dead', attempt = 7, last_error = 'x', finished_at = now()")
        .execute(&stack.pool)
        .await
        .unwrap();

    for ((_, page), what) in pages.iter().zip(["retry", "cancel"]) {
        let answer = browser.submit(page, &format!("{page}/{what}"), &[("reason", "the disk has room again")]).await;
        let shown = browser.page(answer.to()).await.text();
        assert!(shown.contains("The job is"), "{shown}");
    }

    let states: Vec<(String, i32)> =
        sqlx::query_as("select state, attempt from berth.jobs order by id").fetch_all(&stack.pool).await.unwrap();
    assert_eq!(states, [("queued".to_owned(), 0), ("cancelled".to_owned(), 7)]);
    let why = Some("the disk has room again".to_owned());
    assert_eq!(
        audited(&stack).await,
        [
            ("job.retry".to_owned(), pages[0].0.to_string(), why.clone()),
            ("job.cancel".to_owned(), pages[1].0.to_string(), why)
        ]
    );
    let log = browser.page("/console/audit").await.text();
    assert!(log.contains("job.cancel") && log.contains("the disk has room again"), "{log}");

    sqlx::query("update berth.jobs set state = 'done'").execute(&stack.pool).await.unwrap();
    let page = &pages[0].1;
    assert!(!browser.page(page).await.body.contains("/retry\""), "what is done has no such button");
    let csrf = browser.page("/console").await.csrf();
    let fields = [("csrf", csrf.as_str()), ("reason", "x")];
    let late = browser.send(reqwest::Method::POST, &format!("{page}/retry"), &fields, &[super::HERE]).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert_eq!(audited(&stack).await.len(), 2, "what was not done is not written down");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_suspends_lifts_and_ends_an_account_by_the_functions_of_the_api() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let live = stack.live_account(&berth.app).await;
    let browser = Browser::signed_in(&stack).await;
    let page = format!("/console/accounts/{}", live.id);

    let fields = [("reason", "abuse"), ("note", "sends spam")];
    let answer = browser.submit(&page, &format!("{page}/suspend"), &fields).await;
    assert_eq!(answer.to(), format!("{page}?done=suspended"));
    stack.until_phase(&live, "suspended").await;
    let shown = browser.page(&page).await.text();
    assert!(shown.contains("Suspended for abuse."), "{shown}");
    let account = hosting::account(&berth.app, &live).await;
    let order = browser.page(&format!("/console/orders/{}", account.order_id)).await.text();
    assert!(order.contains("because it is misused"), "{order}");

    let wrong = [("reason", "staff"), ("note", "x")];
    let refused = browser.submit(&page, &format!("{page}/unsuspend"), &wrong).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text().contains("The account is not suspended for that."), "{}", refused.text());
    let fields = [("reason", "abuse"), ("note", "it was cleaned"), ("days", "")];
    browser.submit(&page, &format!("{page}/unsuspend"), &fields).await.to();
    stack.until_phase(&live, "active").await;

    let unconfirmed = browser.submit(&page, &format!("{page}/terminate"), &[("reason", "x")]).await;
    assert_eq!(unconfirmed.status, StatusCode::UNPROCESSABLE_ENTITY);
    let fields = [("reason", "it was asked for by mail"), ("confirm", "yes")];
    browser.submit(&page, &format!("{page}/terminate"), &fields).await.to();
    stack.until_phase(&live, "terminated").await;
    assert!(!browser.page(&page).await.text().contains("What staff can do"), "there is nothing left to do");

    let actions: Vec<String> = audited(&stack).await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(actions, ["hosting.suspend", "hosting.unsuspend", "hosting.terminate"]);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_is_shown_before_it_is_run() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let live = stack.live_account(&berth.app).await;
    stack.until_idle().await;
    let browser = Browser::signed_in(&stack).await;
    let page = "/console/sweeps/accounts";

    let in_a_month =
        (berth.app.clock.now() + jiff::SignedDuration::from_hours(24 * 28)).strftime("%Y-%m-%dT%H:%M").to_string();
    let fields = [("reason", "to see"), ("as_of", in_a_month.as_str())];
    let shown = browser.submit(page, &format!("{page}/plan"), &fields).await;

    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
    let text = shown.text();
    assert!(text.contains("What it would do as of") && text.contains("issue"), "{text}");
    assert!(shown.body.contains(&live.id.to_string()), "{text}");
    let far = browser.submit(page, &format!("{page}/plan"), &[("reason", "x"), ("as_of", "2999-01-01T00:00")]).await;
    assert_eq!(far.status, StatusCode::UNPROCESSABLE_ENTITY);

    let started = browser.submit(page, &format!("{page}/run"), &[("reason", "now, please")]).await;
    let job = browser.page(started.to()).await.text();
    assert!(job.contains("sweep_accounts"), "{job}");
    stack.until_idle().await;
    let actions: Vec<String> = audited(&stack).await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(actions, ["sweep.dry_run", "sweep.run"]);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_shown_as_its_reader_sees_it_and_sent_again() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let live = stack.live_account(&berth.app).await;
    stack.until_idle().await;
    let browser = Browser::signed_in(&stack).await;
    let sent = || stack.count("select count(*) from berth.mails where kind = 'welcome' and accepted_at is not null");
    let mail: String =
        sqlx::query_scalar("select berth.show_id('mail_', id) from berth.mails where kind = 'welcome' limit 1")
            .fetch_one(&stack.pool)
            .await
            .unwrap();
    let page = format!("/console/mails/{mail}");
    let before = sent().await;

    let shown = browser.page(&page).await;
    assert!(shown.body.contains("<iframe class=\"mail\" sandbox title="), "{}", shown.body);
    let html = browser.page(&format!("{page}/html")).await;
    assert!(html.body.contains(&live.username), "{}", html.body);
    let policy = html.header("content-security-policy");
    assert!(policy.contains("sandbox") && policy.contains("default-src 'none'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'self'") && !policy.contains("script"), "{policy}");
    assert_eq!(html.header("x-frame-options"), "SAMEORIGIN");

    let answer = browser.submit(&page, &format!("{page}/resend"), &[("reason", "it was lost")]).await;
    assert!(answer.to().starts_with("/console/mails/mail_") && !answer.to().contains(&mail), "{}", answer.to());
    stack.until("it is sent once more", async || sent().await == before + 1).await;
    assert_eq!(audited(&stack).await.last().unwrap().0, "mail.resend");

    sqlx::query("update berth.mails set emptied_at = now(), context = '{}'").execute(&stack.pool).await.unwrap();
    let forgotten = browser.page(&page).await;
    assert!(forgotten.text().contains("What it said is forgotten"), "{}", forgotten.text());
    assert!(!forgotten.body.contains("/resend"), "what is forgotten cannot be sent");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_drained_and_alerts_seen_to() {
    let stack = Stack::with(StackOptions::default()).await;
    let berth = stack.start().await;
    let browser = Browser::signed_in(&stack).await;
    let drained = "select count(*) from berth.servers where drained_at is not null";

    for (what, count, says) in [("drain", 1, "drained"), ("undrain", 0, "active")] {
        let action = format!("/console/servers/local/{what}");
        let answer = browser.submit("/console/servers", &action, &[("reason", "new disks")]).await;
        assert_eq!(answer.to(), format!("/console/servers?done={what}ed"));
        assert_eq!(stack.count(drained).await, count);
        assert!(browser.page("/console/servers").await.text().contains(says), "{says}");
    }
    stack.insert_job("no_op", Queue::Mail, &json!({ "note": 1 }), None).await;
    stack.until_count("select count(*) from berth.alerts where resolved_at is null", 1).await;
    let alert: String = sqlx::query_scalar("select id::text from berth.alerts").fetch_one(&stack.pool).await.unwrap();
    let action = format!("/console/alerts/{alert}/resolve");
    assert!(browser.page("/console").await.text().contains("1 open alerts"), "it is counted");
    browser.submit("/console/alerts", &action, &[("reason", "a typo of mine")]).await.to();
    assert_eq!(stack.count("select count(*) from berth.alerts where resolved_at is null").await, 0);

    let actions: Vec<String> = audited(&stack).await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(actions, ["server.drain", "server.undrain", "alert.resolve"]);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_decided_and_what_failed_is_tried_again() {
    let stack = Stack::with(StackOptions::default().setting("fraud.hold_above", "USD:1.00")).await;
    let panel = WatchedPanel::new();
    panel.refuse(PanelError::permanent("no such package"));
    let berth = on_web1(&stack, &panel).await;
    let browser = Browser::signed_in(&stack).await;
    let (order, session) = stack.checkout(uuid::Uuid::new_v4(), "shared-monthly", 1).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'held'", 1).await;
    let page = format!("/console/orders/{order}");
    let told = browser.page("/console").await.text();
    assert!(told.contains("It is held until a person has looked at it"), "{told}");

    browser.submit(&page, &format!("{page}/approve"), &[("reason", "known for years")]).await.to();
    stack.until_count("select count(*) from berth.hosting_accounts where phase = 'failed'", 1).await;

    let text = browser.page(&page).await.text();
    assert!(text.contains("could not be made on server web1") && text.contains("no such package"), "{text}");
    let account: String = sqlx::query_scalar("select berth.show_id('acc_', id) from berth.hosting_accounts")
        .fetch_one(&stack.pool)
        .await
        .unwrap();
    let page_of_account = format!("/console/accounts/{account}");
    let fields = [("reason", "the package is there")];
    browser.submit(&page_of_account, &format!("{page_of_account}/again"), &fields).await.to();
    stack.until_count("select count(*) from berth.hosting_accounts where phase = 'active'", 1).await;
    stack.until_idle().await;
    let text = browser.page(&page).await.text();
    assert!(text.contains("It is live: its account works."), "{text}");
    let actions: Vec<String> = audited(&stack).await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(actions, ["order.approve", "hosting.provision"]);
    berth.stop().await;
}
