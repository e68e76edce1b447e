//! Processes killed with SIGKILL, at random and at every named point: nothing is lost, nothing is done twice.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use berth_jobs::ids::OrderId;
use futures::{StreamExt, stream};

use super::support::{
    Stack, StackOptions,
    events::session_event,
    keeper::{Death, Keeper},
    load::a_moment,
    process::Launch,
};

const ORDERS: usize = 500;
const KILLS: usize = 20;
/// Before and after each commit, panel call and mail. The counts are above what one job brings about by itself, so
/// that no job is the reason for the death of a process of its own.
const POINTS: [&str; 11] = [
    "claim.before=kill@3",
    "claim.after=kill@3",
    "job.run=kill@20",
    "mail.read=kill@3",
    "committer.before_commit=kill@25",
    "committer.after_commit=kill@25",
    "panel.before_create=kill@4",
    "panel.after_create=kill@4",
    "mail.before_send=kill@6",
    "mail.after_send=kill@6",
    "relay.before_push=kill@1",
];
const AFTER_THE_LAST_KILL: Duration = Duration::from_secs(60);
const EVENTS: usize = 500;
/// Where `berth serve` dies while it takes events: with the commit not yet made, and made but not yet answered.
const INGEST_POINTS: [&str; 20] = {
    let (before, after) = ("committer.before_commit=kill@4", "committer.after_commit=kill@4");
    let mut points = [before; 20];
    let mut at = 0;
    while at < points.len() {
        if at % 2 == 1 {
            points[at] = after;
        }
        at += 1;
    }
    points
};

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_over_five_hundred_orders_lose_and_double_nothing() {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let _serve = Keeper::start(&Launch::new(&stack, &["serve"]), 1, &[]);
    stack.until_listening().await;
    let sessions = stack.sessions(ORDERS).await;

    let workers = Keeper::start(&Launch::new(&stack, &["work"]), 2, &POINTS);
    for (round, paid) in sessions.chunks(ORDERS / KILLS).enumerate() {
        stack.pay_all(paid).await;
        a_moment(Duration::from_millis(300)).await;
        if workers.deaths().len() <= round {
            workers.kill(round % 2);
        }
    }
    kill_until_all_points_were_met(&stack, &workers).await;
    let last_kill = workers.deaths().last().unwrap().at;
    let mut wrong = stack.unfinished_after(AFTER_THE_LAST_KILL.saturating_sub(last_kill.elapsed())).await;
    println!("all was finished {:?} after the last of {} kills", last_kill.elapsed(), workers.deaths().len());

    wrong.extend(stack.violations().await);
    let orders = stack.count("select count(*) from berth.orders where phase = 'completed'").await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(orders, i64::try_from(ORDERS).unwrap());
    assert_deaths(&workers.deaths());
    assert_doubled_mails_are_excused(&stack, &workers.deaths()).await;
}

/// Until every start that was armed has died of its point, there is more to buy.
async fn kill_until_all_points_were_met(stack: &Stack, workers: &Keeper) {
    let begun = Instant::now();
    while met(&workers.deaths()).len() < POINTS.len() || workers.deaths().len() < KILLS {
        assert!(begun.elapsed() < Duration::from_secs(60), "points that were met: {:?}", met(&workers.deaths()));
        a_moment(Duration::from_millis(400)).await;
        if stack.unfinished_after(Duration::ZERO).await.is_empty() {
            // All has been done before the point came up: what is done is done again, and changes nothing.
            sqlx::query(
                "update berth.jobs set state = 'queued', dispatched_at = null
                 where id in (select id from berth.jobs where state = 'done' order by random() limit 100)",
            )
            .execute(&stack.pool)
            .await
            .unwrap();
        }
    }
}

fn met(deaths: &[Death]) -> BTreeSet<&str> {
    deaths.iter().filter(|death| !death.by_us).filter_map(|death| death.armed.as_deref()).collect()
}

fn assert_deaths(deaths: &[Death]) {
    assert!(deaths.len() >= KILLS, "{deaths:#?}");
    assert!(deaths.iter().all(|death| death.signal == Some(9)), "somebody died by itself: {deaths:#?}");
    assert_eq!(met(deaths), POINTS.into_iter().collect());
}

/// A mail goes out twice only when a process died between the mail server's answer and the commit of it: at most as
/// many as a process sends at once, for each kill that may have hit there.
async fn assert_doubled_mails_are_excused(stack: &Stack, deaths: &[Death]) {
    const MAILS_AT_ONCE: u64 = 6;
    let doubled: u64 = stack.acceptances().values().map(|times| times - 1).sum();
    let kills = u64::try_from(deaths.len()).unwrap();
    println!("{doubled} mails went out twice, in {kills} kills");
    assert!(doubled <= kills * MAILS_AT_ONCE, "{doubled} mails went out twice in {kills} kills");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_answered_is_stored_whenever_the_server_dies() {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let serve = Keeper::start(&Launch::new(&stack, &["serve"]), 1, &INGEST_POINTS);
    stack.until_listening().await;

    let resent: usize = stream::iter(0..EVENTS)
        .map(|number| {
            let stack = &stack;
            async move { send_until_taken(stack, number).await }
        })
        .buffer_unordered(4)
        .fold(0, async |all, tries| all + tries - 1)
        .await;

    let deaths = serve.deaths();
    println!("{EVENTS} events, {resent} sent again, {} kills", deaths.len());
    assert!(deaths.len() >= INGEST_POINTS.len(), "the server was killed {} times only", deaths.len());
    assert!(resent >= INGEST_POINTS.len(), "kills went unnoticed: {resent} events were sent again");
    assert_eq!(stack.count("select count(*) from berth.stripe_events").await, i64::try_from(EVENTS).unwrap());
    assert_eq!(stack.count("select count(*) from berth.jobs").await, i64::try_from(EVENTS).unwrap());
    let _worker = Keeper::start(&Launch::new(&stack, &["work"]), 1, &[]);
    let mut wrong = stack.unfinished_after(AFTER_THE_LAST_KILL).await;
    wrong.extend(stack.violations().await);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Sends an event until it is answered 200, as Stripe does; then it must be stored already. Answers how often it was
/// sent.
async fn send_until_taken(stack: &Stack, number: usize) -> usize {
    let id = format!("evt_{number}");
    let order = OrderId::new().to_string();
    let event =
        session_event(&id, "checkout.session.completed", &order, &format!("cs_test_{number}"), 499, "paid").to_string();
    for tries in 1..1_000 {
        match stack.try_event(event.as_bytes()).await {
            Some(200) => {
                let stored = sqlx::query_scalar("select exists (select from berth.stripe_events where id = $1)");
                let stored: bool = stored.bind(&id).fetch_one(&stack.pool).await.unwrap();
                assert!(stored, "{id} was answered 200 and is not stored");
                return tries;
            }
            Some(503) | None => tokio::time::sleep(Duration::from_millis(20)).await,
            Some(other) => panic!("{id} was answered {other}"),
        }
    }
    panic!("{id} was never taken");
}
