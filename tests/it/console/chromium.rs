//! The same in a real browser, where there is one: signed in, a stuck order is found, a dead job is run again, and a page
//! refreshes itself. Leaves pictures of every page in `target/console/`.

mod driver;

use std::path::{Path, PathBuf};

use berth_jobs::Queue;
use serde_json::json;
use uuid::Uuid;

use super::{
    staff_token,
    stuck::{declined, sold_on_a_dead_server},
};
use crate::support::{
    Stack, StackOptions,
    oidc::{Manner, Provider},
};
use driver::{Chromium, Screen};

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
    let (unpaid, _) = declined(&stack).await;
    let dead = stack.insert_job("no_op", Queue::Mail, &json!({ "note": ["typed by hand"] }), None).await;
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

    // A card that was declined: told on the overview, and with what can be done one click on.
    chromium.press("header nav a").await;
    chromium.press(&format!("a.head[href='/console/orders/{unpaid}']")).await;
    let why = chromium.text(".why").await;
    assert!(why.contains("a card was declined") && why.contains("insufficient_funds"), "{why}");
    chromium.picture("order_declined").await;

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

/// Every page, on a screen, on a smaller one and on a telephone: nothing scrolls sideways, and no table is cut off.
async fn look_at_everything(chromium: &mut Chromium, stack: &Stack) {
    let pages = pages(stack).await;
    for (screen, prefix) in [(Screen::Wide, ""), (Screen::Middle, "middle_"), (Screen::Telephone, "narrow_")] {
        chromium.looked_at_on(screen).await;
        for (name, path) in &pages {
            chromium.open(&format!("{}{path}", stack.base())).await;
            chromium.picture(&format!("{prefix}{name}")).await;
            let wider = chromium.evaluate("document.documentElement.scrollWidth > innerWidth").await;
            assert_eq!(wider, json!(false), "{path} scrolls sideways on {screen:?}");
            let cut = "[...document.querySelectorAll('.table')].filter(of => of.scrollWidth > of.clientWidth).length";
            assert_eq!(chromium.evaluate(cut).await, json!(0), "{path} has a table that is cut off on {screen:?}");
        }
    }
    chromium.looked_at_on(Screen::Wide).await;
    chromium.dark().await;
    chromium.open(&format!("{}/console", stack.base())).await;
    chromium.picture("dark_overview").await;
}

async fn pages(stack: &Stack) -> Vec<(&'static str, String)> {
    let one = async |sql: &'static str| -> String { sqlx::query_scalar(sql).fetch_one(&stack.pool).await.unwrap() };
    let account = one("select berth.show_id('acc_', id) from berth.hosting_accounts limit 1").await;
    let order = one("select berth.show_id('ord_', order_id) from berth.hosting_accounts limit 1").await;
    let customer = one("select id::text from berth.customers limit 1").await;
    let mail = one("select berth.show_id('mail_', id) from berth.mails limit 1").await;
    let job = one("select berth.show_id('job_', id) from berth.jobs where kind = 'provision_account' limit 1").await;
    vec![
        ("overview_live", "/console".to_owned()),
        ("alerts", "/console/alerts".to_owned()),
        ("jobs", "/console/jobs".to_owned()),
        ("job", format!("/console/jobs/{job}")),
        ("orders", "/console/orders".to_owned()),
        ("order_done", format!("/console/orders/{order}")),
        ("accounts", "/console/accounts".to_owned()),
        ("account", format!("/console/accounts/{account}")),
        ("customers", "/console/customers".to_owned()),
        ("customer", format!("/console/customers/{customer}")),
        ("credit", "/console/credit".to_owned()),
        ("renewals", "/console/renewals".to_owned()),
        ("sweeps", "/console/sweeps".to_owned()),
        ("sweep", "/console/sweeps/accounts".to_owned()),
        ("servers", "/console/servers".to_owned()),
        ("mails", "/console/mails".to_owned()),
        ("mail", format!("/console/mails/{mail}")),
        ("audit", "/console/audit".to_owned()),
        ("search", "/console/search?q=customer".to_owned()),
        ("nothing", "/console/nothing".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_at_the_provider_in_a_browser_and_stays_signed_in() {
    let Some(mut chromium) = Chromium::start(&pictures()).await else {
        println!("SKIPPED: no Chromium is on this machine's PATH, so nobody has signed in by one");
        return;
    };
    let provider = Provider::start().await;
    provider.does(Manner { asks: true, ..Manner::default() });
    let stack = Stack::with(provider.options()).await;
    let berth = stack.start_with(&[]).await;
    // Another site than the provider, which is at 127.0.0.1: a browser sends its strict cookies to none that another leads to.
    let console = format!("{}console", stack.config().http.public_url);

    chromium.open(&format!("{console}/sweeps")).await;
    chromium.picture("login_provider").await;
    chromium.press("a.button").await;
    chromium.press("#allow").await;

    stack.until("the page that was wanted is there", async || chromium.path().await == "/console/sweeps").await;
    assert_eq!(chromium.text(".staff").await, "ada@shop.test (u-4711)");
    chromium.press("header nav a").await;
    assert_eq!(chromium.path().await, "/console");
    chromium.press(".leave button").await;
    assert_eq!(chromium.path().await, "/console/login");
    assert_eq!(chromium.complaints(), Vec::<String>::new());
    chromium.stop().await;
    berth.stop().await;
}
