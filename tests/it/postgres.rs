//! PostgreSQL crashed under load: what was answered is there, and what was owed is done.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use berth_jobs::ids::OrderId;

use super::support::{Stack, StackOptions, events::session_event, process::Process};

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
    async fn send(&self, stack: &Stack) {
        while !self.enough.load(Ordering::Relaxed) {
            let id = format!("evt_{}", self.next.fetch_add(1, Ordering::Relaxed));
            match stack.try_event(event(&id).as_bytes()).await {
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

fn event(id: &str) -> String {
    let order = OrderId::new().to_string();
    session_event(id, "checkout.session.completed", &order, &format!("cs_{id}"), 499, "paid").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_crashes_of_postgres_lose_nothing_that_was_answered() {
    let options = StackOptions { durable: true, ..StackOptions::default() };
    let mut stack = Stack::with(options.quick()).await;
    let mut up = Process::start(&stack, &["up"], &[]);
    stack.until_listening().await;
    let sessions = stack.sessions(PURCHASES).await;
    let events = Events::default();

    for paid in sessions.chunks(PURCHASES / RESTARTS) {
        events.enough.store(false, Ordering::Relaxed);
        let crash = async {
            stack.pay_all(paid).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let senders = || futures::future::join_all((0..SENDERS).map(|_| events.send(&stack)));
        // The server is stopped while events are under way; what they are answered then counts too.
        tokio::select! {
            _ = senders() => unreachable!(),
            () = crash => {}
        }
        stack.postgres.restart_immediate().await.unwrap();
        let healed = healed_after(&stack, &events).await;
        println!("events are taken {healed:?} after the restart");
        assert!(healed <= HEALED_WITHIN, "{healed:?}");
    }

    let mut wrong = stack.unfinished_after(FINISHED_WITHIN).await;
    wrong.extend(stack.violations().await);
    assert!(wrong.is_empty(), "{wrong:#?}");
    let completed = stack.count("select count(*) from berth.orders where phase = 'completed'").await;
    assert_eq!(completed, i64::try_from(PURCHASES).unwrap());
    let taken = events.taken.into_inner().unwrap();
    let stored: i64 = sqlx::query_scalar("select count(*) from berth.stripe_events where id = any ($1)")
        .bind(&taken)
        .fetch_one(&stack.pool)
        .await
        .unwrap();
    println!("{} events were answered 200, {} with 503", taken.len(), events.refused.into_inner());
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
        if stack.try_event(event(&id).as_bytes()).await == Some(200) {
            events.taken.lock().unwrap().push(id);
            in_a_row += 1;
        } else {
            in_a_row = 0;
            since = begun.elapsed();
        }
    }
    since
}
