//! Accounts that lie on a server and that the database does not know there: found, told once, and left alone.

use std::sync::Arc;

use berth::{
    app::{App, SITE_SERVER},
    effects::Effects,
    gateways::panels::{
        AccountRef, CreateSpec, Panel, PanelError, Step,
        site::{SiteConfig, SitePanel},
    },
    sweeps::{self, Sources, Sweep},
};
use berth_jobs::{Queue, hosting::ReconcileServer, ids::AccountId};
use serde_json::Value;

use super::support::{Running, Stack, WatchedPanel, process};

const OPEN: &str = "select count(*) from berth.alerts where kind = 'orphans' and resolved_at is null";
const EVER: &str = "select count(*) from berth.alerts where kind = 'orphans'";

const ACTIVE: &str = "select count(*) from berth.hosting_accounts where phase = 'active'";

async fn buy(stack: &Stack, app: &App) {
    let order = stack.agree(app, &[("shared-monthly", 1)]).await;
    stack.tell_paid(app, order).await;
}

async fn on_watched_panel() -> (Stack, Arc<WatchedPanel>, Running) {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &Queue::ALL).await;
    (stack, panel, berth)
}

/// Makes an account on a panel that no row stands for.
async fn make_alien(panel: &dyn Panel, username: &str) -> AccountRef {
    let account_id = AccountId::new();
    let account = AccountRef { account_id, username: username.to_owned(), remote_id: None, domain: None };
    let spec = CreateSpec {
        account: account.clone(),
        password: "Xk2mPq9wRt4vLs8z-hJn".to_owned().into(),
        package: "shared-small".to_owned(),
        owner_email: "nobody@example.org".to_owned(),
        configuration: Value::Null,
        addons: Value::Null,
        intended_at: jiff::Timestamp::UNIX_EPOCH,
    };
    assert!(matches!(panel.ensure_created(&spec).await, Ok(Step::Done(_))));
    account
}

async fn enqueue(app: &App) {
    let job = ReconcileServer { server: SITE_SERVER.to_owned() };
    app.committer.write(Effects::none().enqueue(job)).await.unwrap();
}

/// Has the server looked at, and waits for the end of that.
async fn look(stack: &Stack, app: &App) {
    let done = "select count(*) from berth.jobs where kind = 'reconcile_server' and state = 'done'";
    let before = stack.count(done).await;
    enqueue(app).await;
    stack.until_count(done, before + 1).await;
}

async fn open_alert(stack: &Stack, kind: &str) -> String {
    sqlx::query_scalar("select detail from berth.alerts where kind = $1 and subject = $2 and resolved_at is null")
        .bind(kind)
        .bind(SITE_SERVER)
        .fetch_one(&stack.pool)
        .await
        .unwrap()
}

async fn set(stack: &Stack, account: AccountId, what: &str) {
    let sql = format!("update berth.hosting_accounts set {what} where id = $1");
    let set = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(account.0).execute(&stack.pool).await.unwrap();
    assert_eq!(set.rows_affected(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_told_once_and_no_longer_than_there_are_any() {
    let (stack, panel, berth) = on_watched_panel().await;
    let app = &berth.app;
    let (stays, moved, ended) =
        (stack.live_account(app).await, stack.live_account(app).await, stack.live_account(app).await);
    panel.memory.put_foreign("theirs");
    look(&stack, app).await;
    assert_eq!(stack.count(EVER).await, 0, "each has its row, and what is somebody else's is nobody's orphan");

    let alien = make_alien(&panel.memory, "alien777").await;
    set(&stack, moved.id, "server = 'web9'").await;
    set(&stack, ended.id, "phase = 'terminated', terminated_at = berth.now() - interval '2 hours'").await;
    let there = panel.memory.accounts();
    look(&stack, app).await;
    look(&stack, app).await;

    assert_eq!((stack.count(OPEN).await, stack.count(EVER).await), (1, 1));
    let told = open_alert(&stack, "orphans").await;
    assert!(told.starts_with(&format!("3 accounts are on {SITE_SERVER}")), "{told}");
    assert!(told.contains("alien777 (nothing here knows it)"), "{told}");
    assert!(told.contains(&format!("{} ({} is placed on web9)", moved.username, moved.id)), "{told}");
    assert!(told.contains(&format!("{} ({} ended at ", ended.username, ended.id)), "{told}");
    assert!(!told.contains("theirs") && !told.contains(&stays.username), "{told}");
    assert_eq!(panel.memory.accounts(), there, "none is removed");

    assert!(matches!(panel.memory.ensure_absent(&alien).await, Ok(Step::Done(()))));
    look(&stack, app).await;
    assert_eq!((stack.count(OPEN).await, stack.count(EVER).await), (1, 2), "what is told is what is true");
    assert!(open_alert(&stack, "orphans").await.starts_with("2 accounts"));
    set(&stack, moved.id, &format!("server = '{SITE_SERVER}'")).await;
    set(&stack, ended.id, "phase = 'active', terminated_at = null").await;
    look(&stack, app).await;
    assert_eq!(stack.count(OPEN).await, 0);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_being_made_is_no_orphan_whenever_the_server_is_asked() {
    let (stack, panel, berth) = on_watched_panel().await;
    let app = &berth.app;

    let (made, answer) = panel.hold();
    buy(&stack, app).await;
    made.await.unwrap();
    look(&stack, app).await;
    assert_eq!(stack.count(EVER).await, 0, "it is there, and its answer is not");
    answer.send(()).unwrap();
    stack.until_count(ACTIVE, 1).await;

    let (asked, list) = panel.hold_list();
    enqueue(app).await;
    asked.await.unwrap();
    buy(&stack, app).await;
    stack.until_count(ACTIVE, 2).await;
    list.send(()).unwrap();
    stack.until_count("select count(*) from berth.jobs where kind = 'reconcile_server' and state = 'done'", 2).await;

    assert_eq!(stack.count(EVER).await, 0, "what was made while the server was asked has its row");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_may_be_worked_on_but_not_listed_is_told_and_stays_in_use() {
    let (stack, panel, berth) = on_watched_panel().await;
    let app = &berth.app;
    let open = "select count(*) from berth.alerts where kind = 'server_unlisted' and resolved_at is null";

    panel.refuse_list(PanelError::misconfigured("the key may not list"));
    look(&stack, app).await;

    assert_eq!(stack.count(open).await, 1);
    assert!(open_alert(&stack, "server_unlisted").await.contains("the key may not list"));
    assert_eq!(stack.count("select count(*) from berth.servers where broken_since is not null").await, 0);
    stack.live_account(app).await;
    look(&stack, app).await;
    assert_eq!(stack.count(open).await, 0);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_asked_again_and_counts_as_failing() {
    let (stack, panel, berth) = on_watched_panel().await;
    let app = &berth.app;
    panel.memory.die();

    enqueue(app).await;
    let failed = "select count(*) from berth.jobs where kind = 'reconcile_server' and state = 'queued' and attempt = 1";
    stack.until_count(failed, 1).await;

    assert_eq!(stack.count("select failures::int8 from berth.servers").await, 1);
    assert_eq!(stack.count("select count(*) from berth.alerts").await, 0);
    panel.memory.revive();
    stack.pass_everywhere(app, 3600.0).await;
    stack.until_count("select count(*) from berth.jobs where kind = 'reconcile_server' and state = 'done'", 1).await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_configured_is_not_waited_for() {
    let (stack, _panel, berth) = on_watched_panel().await;

    let job = ReconcileServer { server: "web7".to_owned() };
    berth.app.committer.write(Effects::none().enqueue(job)).await.unwrap();

    let cancelled = "select count(*) from berth.jobs where state = 'cancelled' and last_error like '%\"web7\"%'";
    stack.until_count(cancelled, 1).await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_shows_which_servers_it_asks_and_asks_each_once() {
    let (stack, panel, berth) = on_watched_panel().await;
    let app = &berth.app;
    make_alien(&panel.memory, "alien777").await;

    let now = app.store.now().await.unwrap();
    let plan = sweeps::plan(&Sources::of(app, now), Sweep::Panels, now, usize::MAX).await.unwrap();
    assert_eq!(stack.count("select count(*) from berth.jobs").await, 0, "a dry run changes nothing");
    app.committer.write(Effects::none().enqueue(Sweep::Panels.job(None))).await.unwrap();
    stack.until_count(OPEN, 1).await;
    stack.until_idle().await;

    let steps: Vec<_> = plan.steps.iter().map(|step| (step.action, step.subject.as_str())).collect();
    assert_eq!(steps, [("look_for_orphans", SITE_SERVER)]);
    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'reconcile_server'").await, 1);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_lists_orphans_and_changes_nothing() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let live = stack.live_account(&berth.app).await;
    let hosting = &stack.config().hosting;
    let site = SitePanel::new(SiteConfig {
        sites_dir: hosting.sites_dir.clone(),
        backups_dir: hosting.backups_dir(),
        url: "http://{username}.localhost/".to_owned(),
    });
    let alien = make_alien(&site, "alien777").await;

    let output = process::run(&stack, &["servers", "orphans", SITE_SERVER, "--json"], &[]).await;
    let shown = process::run(&stack, &["servers", "orphans", SITE_SERVER], &[]).await;
    let unknown = process::run(&stack, &["servers", "orphans", "web7"], &[]).await;

    assert!(output.status.success(), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!([{
        "username": "alien777", "account_id": alien.account_id.to_string(), "remote_id": "alien777", "suspended": false,
        "why": "unknown", "detail": "nothing here knows it",
    }]);
    assert_eq!(found, expected);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("alien777") && !text.contains(&live.username), "{text}");
    assert!(!unknown.status.success());
    assert_eq!(stack.count("select count(*) from berth.alerts").await, 0);
    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'reconcile_server'").await, 0);
    berth.stop().await;
}
