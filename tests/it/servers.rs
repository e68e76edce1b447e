//! Several servers: where accounts go, what one that is dead or full does to them, and how many jobs talk to one at once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use berth::{
    app::App,
    config::Role,
    gateways::panels::{Panel, Panels, Placement, memory::Fault},
    supervise::Supervisor,
};
use berth_jobs::Queue;

use super::support::{Running, Stack, StackOptions, WatchedPanel};

/// Servers by their names, each with a panel that the test holds.
struct Servers(BTreeMap<&'static str, (Arc<WatchedPanel>, Placement)>);

impl Servers {
    fn new<const N: usize>(servers: [(&'static str, Arc<WatchedPanel>, Placement); N]) -> Self {
        Self(servers.into_iter().map(|(name, panel, placement)| (name, (panel, placement))).collect())
    }

    fn panel(&self, name: &str) -> &Arc<WatchedPanel> {
        &self.0[name].0
    }

    fn app(&self, stack: &Stack) -> (App, Supervisor) {
        let panels = self.0.iter().fold(Panels::new(), |panels, (name, (panel, placement))| {
            let panel: Arc<dyn Panel> = panel.clone();
            panels.with_placement(*name, "memory", panel, placement.clone())
        });
        let tasks = Supervisor::default();
        (App::with_panels(stack.config(), Role::Up, &tasks, panels).unwrap(), tasks)
    }

    async fn start(&self, stack: &Stack) -> Running {
        let (app, tasks) = self.app(stack);
        app.clock.set(app.store.now().await.unwrap());
        stack.run(app, tasks, &Queue::ALL).await
    }
}

fn holding(capacity: u32) -> Placement {
    Placement { capacity: Some(capacity), ..Placement::default() }
}

async fn buy(stack: &Stack, app: &App, orders: u32, accounts: u32) {
    for _ in 0..orders {
        let order = stack.agree(app, &[("shared-monthly", accounts)]).await;
        stack.tell_paid(app, order).await;
    }
}

async fn placed(stack: &Stack) -> Vec<(String, i64)> {
    sqlx::query_as(
        "select server, count(*) from berth.hosting_accounts where phase = 'active' group by server order by server",
    )
    .fetch_all(&stack.pool)
    .await
    .unwrap()
}

const ACTIVE: &str = "select count(*) from berth.hosting_accounts where phase = 'active'";

fn quickly() -> StackOptions {
    StackOptions::default().setting("hosting.probe_seconds", "1")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_accounts_spread_over_three_servers_by_their_weight() {
    let stack = Stack::new().await;
    let weighing = |weight| Placement { weight, ..Placement::default() };
    let servers = Servers::new([
        ("web1", WatchedPanel::new(), weighing(1)),
        ("web2", WatchedPanel::new(), weighing(1)),
        ("web3", WatchedPanel::new(), weighing(2)),
    ]);
    let berth = servers.start(&stack).await;

    buy(&stack, &berth.app, 20, 10).await;
    stack.until_count(ACTIVE, 200).await;

    let shares: Vec<(String, i64)> = placed(&stack).await;
    for ((_, share), fair) in shares.iter().zip([50, 50, 100]) {
        assert!((share - fair).abs() <= 5, "{shares:?}");
    }
    stack.until_idle().await;
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_holds_more_than_it_may_and_who_finds_no_room_waits_for_a_person() {
    let stack = Stack::new().await;
    let servers = Servers::new([("web1", WatchedPanel::new(), holding(3)), ("web2", WatchedPanel::new(), holding(2))]);
    let berth = servers.start(&stack).await;
    let (other, tasks) = servers.app(&stack);
    berth::worker::start(&other, &Queue::ALL, &tasks).await.unwrap();

    buy(&stack, &berth.app, 7, 1).await;
    stack.until_count(ACTIVE, 5).await;
    let waiting = "select count(*) from berth.jobs
                   where kind = 'provision_account' and last_error like 'no server of the pool shared takes%'";
    stack.until_count(waiting, 2).await;

    assert_eq!(placed(&stack).await, [("web1".to_owned(), 3), ("web2".to_owned(), 2)]);
    let alerts = berth.app.store.open_alerts().await.unwrap();
    assert!(matches!(alerts.as_slice(), [one] if one.starts_with("no_server")), "{alerts:?}");
    assert_eq!(
        stack
            .count("select max(attempt)::int8 from berth.jobs where kind = 'provision_account' and state = 'queued'")
            .await,
        0
    );
    tasks.draining.cancel();
    berth::worker::stop(&other).await;
    tasks.stopped.cancel();
    tasks.wait().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_is_left_alone_and_its_jobs_wait_until_it_answers_without_using_attempts() {
    let stack = Stack::with(quickly()).await;
    let servers = Servers::new([
        ("web1", WatchedPanel::new(), Placement::default()),
        ("web2", WatchedPanel::new(), Placement::default()),
        ("web3", WatchedPanel::new(), Placement::default()),
    ]);
    let dead = servers.panel("web2").clone();
    dead.memory.die();
    let berth = servers.start(&stack).await;

    buy(&stack, &berth.app, 60, 1).await;
    let broken = "select count(*) from berth.servers where name = 'web2' and broken_since is not null";
    stack.until_count(broken, 1).await;
    let elsewhere = "select count(*) from berth.hosting_accounts where phase = 'active' and server <> 'web2'";
    let on_it = "select count(*) from berth.hosting_accounts where server = 'web2'";
    stack
        .until("all but its own are live", async || stack.count(elsewhere).await + stack.count(on_it).await == 60)
        .await;
    let caught = stack.count(on_it).await;
    assert!(caught >= 5, "it takes some failures to know");
    stack.until_count("select count(*) from berth.alerts where kind = 'server_broken'", 1).await;
    let tried = dead.asked().len();
    // New ones go elsewhere.
    buy(&stack, &berth.app, 10, 1).await;
    stack.until_count(elsewhere, 70 - caught).await;
    assert_eq!(dead.asked().len(), tried, "it is left alone");

    dead.memory.revive();
    stack.until_count(ACTIVE, 70).await;
    assert_eq!(placed(&stack).await.iter().map(|(_, accounts)| accounts).sum::<i64>(), 70);
    assert_eq!(stack.count(broken).await, 0);
    let told = "select count(*) from berth.alerts where kind = 'server_broken' and resolved_at is null";
    assert_eq!(stack.count(told).await, 0, "nobody is sent to a server that answers");
    let most = "select max(attempt)::int8 from berth.jobs where kind = 'provision_account'";
    assert!(stack.count(most).await <= 2, "parked jobs use no attempts");
    stack.until_idle().await;
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_it_is_full_is_passed_over_for_the_next_of_its_pool() {
    let stack = Stack::new().await;
    let servers = Servers::new([
        ("web1", WatchedPanel::new(), Placement { weight: 100, ..Placement::default() }),
        ("web2", WatchedPanel::new(), Placement::default()),
        ("elsewhere", WatchedPanel::new(), Placement { pools: Some(vec!["vps".to_owned()]), ..Placement::default() }),
    ]);
    servers.panel("web1").memory.script(Fault::Full);
    let berth = servers.start(&stack).await;

    buy(&stack, &berth.app, 1, 1).await;
    stack.until_count(ACTIVE, 1).await;
    buy(&stack, &berth.app, 3, 1).await;
    stack.until_count(ACTIVE, 4).await;

    assert_eq!(placed(&stack).await, [("web2".to_owned(), 4)]);
    assert_eq!(servers.panel("web1").memory.accounts(), 0);
    stack.until_idle().await;
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_jobs_talk_to_a_server_at_once_than_it_bears_whatever_processes_they_are_of() {
    let stack = Stack::new().await;
    let panel = WatchedPanel::slow(Duration::from_millis(100));
    let servers = Servers::new([("web1", panel, Placement { at_once: Some(2), ..Placement::default() })]);
    let berth = servers.start(&stack).await;
    let (other, tasks) = servers.app(&stack);
    berth::worker::start(&other, &Queue::ALL, &tasks).await.unwrap();

    buy(&stack, &berth.app, 12, 1).await;
    stack
        .until("all are live", async || {
            // Who found it busy waits some seconds.
            stack.pass(1.0).await;
            stack.count(ACTIVE).await == 12
        })
        .await;

    assert_eq!(servers.panel("web1").most_at_once(), 2);
    assert_eq!(stack.count("select max(attempt)::int8 from berth.jobs where kind = 'provision_account'").await, 1);
    stack.until_idle().await;
    stack.audit_rows().await;
    tasks.draining.cancel();
    berth::worker::stop(&other).await;
    tasks.stopped.cancel();
    tasks.wait().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_to_be_placed_passes_over_a_server_that_hangs() {
    let stack = Stack::new().await;
    let bearing = |at_once| Placement { at_once: Some(at_once), ..Placement::default() };
    let hangs = WatchedPanel::new();
    let servers = Servers::new([
        // Of two that hold nothing, the first by its name takes the first account.
        ("web1", hangs.clone(), bearing(1)),
        ("web2", WatchedPanel::new(), bearing(8)),
    ]);
    let (reached, answer) = hangs.hold();
    let berth = servers.start(&stack).await;
    let on_the_other = "select count(*) from berth.hosting_accounts where phase = 'active' and server = 'web2'";

    buy(&stack, &berth.app, 1, 1).await;
    reached.await.unwrap();
    // Business time does not pass: whoever waited would wait for good.
    buy(&stack, &berth.app, 12, 1).await;
    stack.until_count(on_the_other, 12).await;
    assert_eq!((hangs.asked().len(), stack.count(ACTIVE).await), (1, 12));
    answer.send(()).unwrap();
    stack.until_count(ACTIVE, 13).await;
    stack.until_idle().await;
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_answer_to_every_first_create_is_lost_each_account_is_made_once() {
    let stack = Stack::with(quickly()).await;
    let panel = WatchedPanel::new();
    panel.lose_first_answers();
    let servers = Servers::new([("web1", panel, Placement::default())]);
    let berth = servers.start(&stack).await;

    buy(&stack, &berth.app, 20, 10).await;
    stack
        .until("all are live", async || {
            stack.pass(5.0).await;
            stack.count(ACTIVE).await == 200
        })
        .await;

    let memory = &servers.panel("web1").memory;
    assert_eq!((memory.accounts(), memory.creates().len()), (200, 200));
    assert!(memory.creates().values().all(|times| *times == 1));
    assert!(servers.panel("web1").asked().len() >= 400, "each was asked for again");
    stack.until_idle().await;
    stack.audit_rows().await;
    berth.stop().await;
}
