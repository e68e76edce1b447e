//! PostgreSQL crashed under load: what was answered is there, and what was owed is done.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::support::{
    Stack, StackOptions,
    events::{Sender, foreign_event},
    load::a_moment,
    process::Process,
};

const RESTARTS: usize = 5;
const PURCHASES: usize = 100;
const SENDERS: usize = 4;
const FINISHED_WITHIN: Duration = Duration::from_secs(60);
const HEALED_WITHIN: Duration = Duration::from_secs(5);

/// Events that are sent without a pause, and which of them were answered 200.
#[derive(Default)]
struct Events {
    next: AtomicUsize,
    refused: AtomicUsize,
    enough: AtomicBool,
    taken: std::sync::Mutex<Vec<String>>,
}

impl Events {
    async fn send(self: Arc<Self>, sender: Sender) {
        while !self.enough.load(Ordering::Relaxed) {
            let id = format!("evt_{}", self.next.fetch_add(1, Ordering::Relaxed));
            match sender.send(foreign_event(&id).as_bytes()).await {
                Some(200) => self.taken.lock().unwrap().push(id),
                Some(503) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
                other => panic!("{id} was answered {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_crashes_of_postgres_lose_nothing_that_was_answered() {
    let mut stack = Stack::with(StackOptions::default().durable().quick()).await;
    let mut up = Process::start(&stack, &["up"], &[]);
    stack.until_listening().await;
    let sessions = stack.sessions(PURCHASES).await;
    let events = Arc::new(Events::default());

    for paid in sessions.chunks(PURCHASES / RESTARTS) {
        events.enough.store(false, Ordering::Relaxed);
        let senders: Vec<_> = (0..SENDERS).map(|_| tokio::spawn(Arc::clone(&events).send(stack.sender()))).collect();
        stack.pay_all(paid).await;
        a_moment(Duration::from_millis(300)).await;
        stack.postgres.restart_immediate().await.unwrap();
        events.enough.store(true, Ordering::Relaxed);
        futures::future::try_join_all(senders).await.unwrap();
        let healed = healed_after(&stack, &events).await;
        println!("events are taken {healed:?} after the restart");
        assert!(healed <= HEALED_WITHIN, "{healed:?}");
    }

    let mut wrong = stack.unfinished_after(FINISHED_WITHIN).await;
    wrong.extend(stack.violations().await);
    assert!(wrong.is_empty(), "{wrong:#?}");
    let completed = stack.count("select count(*) from berth.orders where phase = 'completed'").await;
    assert_eq!(completed, i64::try_from(PURCHASES).unwrap());
    let taken = events.taken.lock().unwrap().clone();
    let stored: i64 = sqlx::query_scalar("select count(*) from berth.stripe_events where id = any ($1)")
        .bind(&taken)
        .fetch_one(&stack.pool)
        .await
        .unwrap();
    let refused = events.refused.load(Ordering::Relaxed);
    println!("{} events were answered 200, {refused} with 503", taken.len());
    assert!(taken.len() > 10 * RESTARTS, "events other than those that showed that it heals were taken");
    assert_eq!(stored, i64::try_from(taken.len()).unwrap(), "every event that was answered 200 is stored");
    assert!(!up.has_ended(), "no process ends because Postgres did");
    assert_eq!(up.terminate().await, Some(0));
}

/// How long after the server is back ten events in a row are taken.
async fn healed_after(stack: &Stack, events: &Events) -> Duration {
    let begun = Instant::now();
    let mut in_a_row = 0;
    let mut since = Duration::ZERO;
    while in_a_row < 10 && begun.elapsed() < 2 * HEALED_WITHIN {
        let id = format!("evt_{}", events.next.fetch_add(1, Ordering::Relaxed));
        if stack.try_event(foreign_event(&id).as_bytes()).await == Some(200) {
            events.taken.lock().unwrap().push(id);
            in_a_row += 1;
        } else {
            in_a_row = 0;
            since = begun.elapsed();
        }
    }
    since
}
