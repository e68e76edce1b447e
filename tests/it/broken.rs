//! The checks can fail: each scenario is clean as Berth is, and is not once the safeguard that it needs is taken away.
//!
//! Some safeguards stand behind one another. Where one alone can go unnoticed, that is said and shown, and both are
//! taken away.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::support::{Stack, StackOptions, events::session_event, load::enqueue_no_ops, process::Process};

/// Longer than anything here takes by itself.
const PATIENCE: Duration = Duration::from_secs(12);
/// Otherwise the recheck mends within seconds what is broken here.
const NO_RECHECK: &str = "600";

/// A worker freezes with a mail in its hands, which another one then sends; the first thaws and goes on.
async fn a_worker_freezes_past_its_lease(broken: &str) -> Vec<String> {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let _serve = Process::start(&stack, &["serve"], &[]);
    stack.until_listening().await;
    let sessions = stack.sessions(1).await;
    let freezing = [("BERTH_FAILPOINTS", "mail.read=stop@1"), ("BERTH_BREAK", broken)];
    let zombie = Process::start(&stack, &["work"], &freezing);
    stack.pay_all(&sessions).await;
    zombie.until_frozen().await;

    let _other = Process::start(&stack, &["work"], &[]);
    stack.until_count("select count(*) from berth.mails where accepted_at is not null", 2).await;
    zombie.signal(Signal::SIGCONT);
    let lease = "select count(*) from berth.workers where lease_until > now()";
    stack.until_count(lease, 2).await;
    // The thawed run has to reach its end: three renewals are more than it takes.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut wrong = stack.unfinished_after(PATIENCE).await;
    wrong.extend(stack.violations().await);
    // No process died: nothing excuses a mail that went out twice.
    let doubled = stack.acceptances().into_iter().filter(|(_, times)| *times > 1);
    wrong.extend(doubled.map(|(mail, times)| format!("mail: {mail} went out {times} times")));
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_fence_a_frozen_worker_sends_a_mail_again() {
    let (whole, broken) =
        tokio::join!(a_worker_freezes_past_its_lease(""), a_worker_freezes_past_its_lease("claim_fence"));

    assert!(whole.is_empty(), "{whole:#?}");
    assert!(broken.iter().any(|line| line.contains("went out 2 times")), "{broken:#?}");
}

/// What came of a payment that was told twice.
struct Told {
    wrong: Vec<String>,
    /// How many runs were refused because another one had come first.
    refused: i64,
}

/// Two events tell of one payment, and two workers act on them at the same moment. Some indexes may be missing, and
/// some safeguard off.
async fn one_payment_is_told_twice(without: &[&'static str], broken: &str) -> Told {
    let stack = Stack::new().await;
    for statement in without {
        sqlx::query(*statement).execute(&stack.pool).await.unwrap();
    }
    let serve = Process::start(&stack, &["serve"], &[]);
    stack.until_listening().await;
    let (order, session) = stack.checkout(uuid::Uuid::new_v4(), "shared-monthly", 1).await;
    for (number, kind) in ["checkout.session.completed", "checkout.session.async_payment_succeeded"].iter().enumerate()
    {
        let event = session_event(&format!("evt_{number}"), kind, &order, &session, 499, "paid").to_string();
        // Stripe sends an event again whenever it is in doubt.
        for _ in 0..3 {
            assert_eq!(stack.send_event(event.as_bytes()).await, 200);
        }
    }

    // Both have read the order before one of them commits.
    let variables = [("BERTH_FAILPOINTS", "checkout.read=sleep:700"), ("BERTH_BREAK", broken)];
    let workers = [(); 2].map(|()| {
        Process::start(&stack, &["work"], &[variables[0], variables[1], ("BERTH_WORK__CONCURRENCY__PAYMENTS", "1")])
    });
    let mut wrong = stack.unfinished_after(2 * PATIENCE).await;
    // The simulator was not asked to pay: its records have no say here.
    wrong.extend(stack.violations().await.into_iter().filter(|line| !line.starts_with("stripe: ")));
    // By the order's version, or by a key.
    let refused = "select count(*) from berth.jobs
        where last_error like '%has changed meanwhile%' or last_error like '%is there already%'";
    let refused = stack.count(refused).await;
    drop((workers, serve));
    Told { wrong, refused }
}

const NO_PAYMENT_KEY: &str = "drop index berth.payments_order";
const NO_INTENT_KEY: &str = "alter table berth.payments drop constraint payments_stripe_payment_intent_id_key";
const NO_UNIT_KEY: &str = "alter table berth.hosting_accounts drop constraint hosting_accounts_order_item_id_key";
const NO_MAIL_KEY: &str = "alter table berth.mails drop constraint mails_dedupe_key_key";
const NO_JOB_KEY: &str = "drop index berth.jobs_once_key";

#[tokio::test(flavor = "multi_thread")]
async fn versions_the_keys_of_payments_and_the_key_of_units_stand_behind_one_another() {
    // An order moves from one version to the next once; it is paid once; a unit has one account. Any one will do.
    let payments = [NO_PAYMENT_KEY, NO_INTENT_KEY];
    let whole = one_payment_is_told_twice(&[], "").await;
    let (by_version, by_keys) =
        tokio::join!(one_payment_is_told_twice(&payments, ""), one_payment_is_told_twice(&[], "order_versions"));
    let by_unit = one_payment_is_told_twice(&payments, "order_versions").await;
    for Told { wrong, refused } in [whole, by_version, by_keys, by_unit] {
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(refused, 1, "both runs had read the order before one of them committed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_key_an_event_has_several_jobs() {
    let Told { wrong, .. } = one_payment_is_told_twice(&[NO_JOB_KEY], "").await;

    assert!(wrong.iter().any(|line| line.contains("3 jobs for event")), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_keys_of_units_and_mails_nothing_is_fulfilled() {
    // The statements name the keys that they rely on, and are refused without them: better nothing than something twice.
    let (no_unit_key, no_mail_key) =
        tokio::join!(one_payment_is_told_twice(&[NO_UNIT_KEY], ""), one_payment_is_told_twice(&[NO_MAIL_KEY], ""));

    for Told { wrong, .. } in [no_unit_key, no_mail_key] {
        assert!(wrong.iter().any(|line| line.starts_with("unfinished: complete_checkout")), "{wrong:#?}");
        assert!(wrong.iter().any(|line| line.starts_with("audit: every paid event")), "{wrong:#?}");
    }
}

/// A purchase passes through workers that wait for ids; nobody rechecks what Redis holds.
async fn ids_are_given_to_waiting_workers(broken: &str) -> Vec<String> {
    let options = StackOptions::default().quick().setting("work.redispatch_after_seconds", NO_RECHECK);
    let stack = Stack::with(options).await;
    let up = Process::start(&stack, &["up"], &[("BERTH_BREAK", broken)]);
    stack.until_listening().await;
    let sessions = stack.sessions(5).await;
    stack.pay_all(&sessions).await;
    // Stripe has told of all of them.
    stack.until_count("select count(*) from berth.stripe_events where type = 'checkout.session.completed'", 5).await;
    let mut wrong = stack.unfinished_after(PATIENCE).await;
    wrong.extend(stack.violations().await);
    drop(up);
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_are_given_before_the_commit_are_lost_to_waiting_workers() {
    let (whole, broken) =
        tokio::join!(ids_are_given_to_waiting_workers(""), ids_are_given_to_waiting_workers("push_after_commit"));

    assert!(whole.is_empty(), "{whole:#?}");
    assert!(broken.iter().any(|line| line.starts_with("unfinished: complete_checkout")), "{broken:#?}");
}

/// Redis is emptied while it holds ids; nobody rechecks what it holds.
async fn redis_is_emptied(broken: &str) -> Vec<String> {
    let options = StackOptions::default().quick().setting("work.redispatch_after_seconds", NO_RECHECK);
    let stack = Stack::with(options).await;
    let berth = stack.start_with(&[]).await;
    let worker = Process::start(&stack, &["work", "--queues", "mail"], &[("BERTH_BREAK", broken)]);
    enqueue_no_ops(&berth.app, 1).await;
    stack.until_count("select count(*) from berth.workers", 1).await;
    enqueue_no_ops(&berth.app, 20).await;
    stack.redis.flushall().await.unwrap();
    let other = Process::start(&stack, &["work"], &[("BERTH_BREAK", broken)]);
    let wrong = stack.unfinished_after(PATIENCE).await;
    drop((worker, other));
    berth.stop().await;
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_epoch_what_redis_forgot_waits_for_the_recheck() {
    let (whole, broken) = tokio::join!(redis_is_emptied(""), redis_is_emptied("epoch"));

    assert!(whole.is_empty(), "{whole:#?}");
    assert!(broken.iter().any(|line| line.starts_with("unfinished: no_op")), "{broken:#?}");
}
