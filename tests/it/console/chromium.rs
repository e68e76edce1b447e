//! The same in a real browser, where there is one: signed in, a stuck order is found, a dead job is run again, and a page
//! refreshes itself. Leaves pictures of every page in `target/console/`.

mod driver;

use std::path::{Path, PathBuf};

use berth_jobs::Queue;
use serde_json::json;
use uuid::Uuid;

use super::{staff_token, stuck::sold_on_a_dead_server};
use crate::support::{Stack, StackOptions};
use driver::Chromium;

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("console")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_finds_a_stuck_order_in_two_clicks_and_runs_a_dead_job_again() {
    let Some(mut chromium) = Chromium::start(&pictures()).await else {
        println!(
            "SKIPPED: no Chromium is on this machine's PATH, so no page of the console was looked at in a browser"
        );
        return;
    };
    let settings = StackOptions::default().setting("hosting.probe_seconds", "1").setting("log.level", "error");
    let stack = Stack::with(settings).await;
    let (berth, panel, order) = sold_on_a_dead_server(&stack).await;
    let dead = stack.insert_job("no_op", Queue::Mail, &json!({ "nonsense": "typed by hand" }), None).await;
    stack.until_count("select count(*) from berth.jobs where state = 'dead'", 1).await;

    // Signs in.
    chromium.open(&format!("{}/console", stack.base())).await;
    chromium.picture("login").await;
    chromium.fill("#token", &staff_token(&stack, Uuid::new_v4(), true)).await;
    chromium.press("main button").await;
    assert_eq!(chromium.path().await, "/console");
    chromium.picture("overview").await;

    // One click: the order, with the reason.
    let line = format!("a.head[href='/console/orders/{order}']");
    chromium.press(&line).await;
    let why = chromium.text(".why").await;
    assert!(why.contains("server web1 is broken since") && why.contains("Mend the server web1"), "{why}");
    chromium.picture("order").await;
    // The second: the job that waits.
    chromium.press(".why a.id[href^='/console/jobs/']").await;
    assert!(chromium.text("h1").await.contains("provision_account"));
    chromium.picture("job_waiting").await;

    // The dead job: from the overview by its number, then run again.
    chromium.press("header nav a").await;
    chromium.press("a[href$='state=dead']:not([href*='q='])").await;
    chromium.picture("jobs_dead").await;
    chromium.press("tbody a.id").await;
    chromium.fill("#reason", "the typo is mended").await;
    chromium.press("form.act button:not(.danger)").await;
    assert!(chromium.text(".said").await.contains("queued again"));
    let audited = "select count(*) from berth.audit where action = 'job.retry' and reason = 'the typo is mended'";
    assert_eq!(stack.count(audited).await, 1);
    assert!(chromium.path().await.starts_with(&format!("/console/jobs/{}", berth_jobs::ids::JobId(dead))));

    // The order's page tells by itself that the server is mended.
    chromium.open(&format!("{}/console/orders/{order}", stack.base())).await;
    panel.memory.revive();
    stack.until_count("select count(*) from berth.hosting_accounts where phase = 'active'", 6).await;
    stack.until("the page says so", async || chromium.text(".why").await.contains("It is live")).await;
    chromium.picture("order_live").await;

    look_at_everything(&mut chromium, &stack).await;
    assert_eq!(chromium.complaints(), Vec::<String>::new(), "the browser refuses nothing that a page of ours asks for");
    chromium.stop().await;
    berth.stop().await;
}

/// Every page, wide and narrow.
async fn look_at_everything(chromium: &mut Chromium, stack: &Stack) {
    let one = async |sql: &'static str| -> String { sqlx::query_scalar(sql).fetch_one(&stack.pool).await.unwrap() };
    let account = one("select berth.show_id('acc_', id) from berth.hosting_accounts limit 1").await;
    let customer = one("select id::text from berth.customers limit 1").await;
    let mail = one("select berth.show_id('mail_', id) from berth.mails limit 1").await;
    for (name, path) in [
        ("overview_live", "/console".to_owned()),
        ("alerts", "/console/alerts".to_owned()),
        ("jobs", "/console/jobs".to_owned()),
        ("orders", "/console/orders".to_owned()),
        ("accounts", "/console/accounts".to_owned()),
        ("account", format!("/console/accounts/{account}")),
        ("customers", "/console/customers".to_owned()),
        ("customer", format!("/console/customers/{customer}")),
        ("renewals", "/console/renewals".to_owned()),
        ("sweeps", "/console/sweeps".to_owned()),
        ("sweep", "/console/sweeps/accounts".to_owned()),
        ("servers", "/console/servers".to_owned()),
        ("mails", "/console/mails".to_owned()),
        ("mail", format!("/console/mails/{mail}")),
        ("audit", "/console/audit".to_owned()),
        ("search", "/console/search?q=customer".to_owned()),
        ("nothing", "/console/nothing".to_owned()),
    ] {
        chromium.open(&format!("{}{path}", stack.base())).await;
        chromium.picture(name).await;
    }
    chromium.narrow(true).await;
    for (name, path) in [
        ("narrow_overview", "/console".to_owned()),
        ("narrow_jobs", "/console/jobs".to_owned()),
        ("narrow_account", format!("/console/accounts/{account}")),
    ] {
        chromium.open(&format!("{}{path}", stack.base())).await;
        chromium.picture(name).await;
        let wider = chromium.evaluate("document.documentElement.scrollWidth > innerWidth").await;
        assert_eq!(wider, json!(false), "{path} scrolls sideways");
    }
    chromium.narrow(false).await;
    chromium.dark().await;
    chromium.open(&format!("{}/console", stack.base())).await;
    chromium.picture("dark_overview").await;
}
