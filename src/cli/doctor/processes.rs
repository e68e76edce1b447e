//! Who works: a process for every queue, somebody who begins sweeps, and no alert that waits for a person.

use berth_jobs::Queue;
use jiff::SignedDuration;

use super::check::{Check, broken, ok, warning};
use crate::{
    error::chain,
    store::{
        Store, StoreError,
        diagnosis::{LastTick, LivingWorker, QueueFacts},
    },
};

/// Several sweeps begin every five minutes: after twice as long nobody begins them.
const SILENT_SCHEDULE: SignedDuration = SignedDuration::from_mins(11);
/// Jobs begin within milliseconds. What waits for minutes, waits for a worker.
const LONG_WAIT_SECONDS: i64 = 300;
/// This program's, as processes write it into their lease.
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn look(store: &Store) -> Vec<Check> {
    let asked = async {
        let (workers, queues) = tokio::try_join!(store.living_workers(), store.due_queues())?;
        let (tick, alerts) = tokio::try_join!(store.last_tick(), store.open_alerts())?;
        Ok::<_, StoreError>((workers, queues, tick, alerts))
    };
    match asked.await {
        Ok((workers, queues, tick, alerts)) => {
            let mut checks = of_workers(&workers);
            checks.push(of_waiting(&queues));
            checks.push(of_schedule(&tick));
            checks.extend(of_alerts(&alerts));
            checks
        }
        Err(error) => vec![broken("workers", chain(&error), "see PostgreSQL's log")],
    }
}

fn of_workers(workers: &[LivingWorker]) -> Vec<Check> {
    const NAME: &str = "workers";
    if workers.is_empty() {
        let fix = "start `berth up` or `berth work` (systemctl start berth)";
        return vec![broken(NAME, "no process runs jobs", fix)];
    }
    let says_nothing = workers.iter().any(|worker| worker.queues.is_empty());
    let alone: Vec<&str> = Queue::ALL
        .iter()
        .map(|queue| queue.as_str())
        .filter(|queue| !workers.iter().any(|worker| worker.queues.iter().any(|of| of == queue)))
        .collect();
    let mut checks = vec![if alone.is_empty() {
        ok(NAME, format!("{} process(es); every queue has one", workers.len()))
    } else if says_nothing {
        ok(NAME, format!("{} process(es), some of a version that does not say of which queues", workers.len()))
    } else {
        let fix = format!("berth work --queues {}", alone.join(","));
        broken(NAME, format!("nobody works on {}", alone.join(", ")), fix)
    }];
    let mut others: Vec<&str> =
        workers.iter().map(|worker| worker.version.as_str()).filter(|version| *version != VERSION).collect();
    others.sort_unstable();
    others.dedup();
    if !others.is_empty() {
        let named: Vec<&str> = others.iter().map(|name| if name.is_empty() { "an older one" } else { *name }).collect();
        let detail = format!("this is {VERSION}, and processes run of {}", named.join(", "));
        checks.push(warning("versions", detail, "well during an upgrade; then restart those that are left"));
    }
    checks
}

fn of_waiting(queues: &[QueueFacts]) -> Check {
    const NAME: &str = "jobs that wait";
    let late: Vec<String> = queues
        .iter()
        .filter(|queue| queue.oldest_seconds > LONG_WAIT_SECONDS)
        .map(|queue| format!("{}: {} due, the oldest for {} s", queue.queue, queue.due, queue.oldest_seconds))
        .collect();
    if late.is_empty() {
        let due: i64 = queues.iter().map(|queue| queue.due).sum();
        return ok(NAME, format!("{due} due, none for long"));
    }
    warning(NAME, late.join("; "), "berth jobs list --state queued; more workers, or a higher work.concurrency")
}

fn of_schedule(tick: &LastTick) -> Check {
    const NAME: &str = "schedule";
    let fix =
        "start `berth up`, `berth work --queues sweeps` or `berth schedule`; with work.schedule = false the latter";
    match tick.at {
        None => broken(NAME, "no sweep was ever begun: nothing is renewed, suspended or tidied up", fix),
        Some(at) => {
            let since = tick.now.duration_since(at);
            let detail = format!("the last sweep was due {} s ago", since.as_secs());
            if since > SILENT_SCHEDULE { broken(NAME, detail, fix) } else { ok(NAME, detail) }
        }
    }
}

fn of_alerts(alerts: &[String]) -> Vec<Check> {
    if alerts.is_empty() {
        return vec![ok("alerts", "none is open")];
    }
    let fix = "docs/runbook.md has a section for each kind";
    alerts.iter().map(|alert| broken("alert", alert.as_str(), fix)).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::check::{Verdict, only},
        *,
    };

    fn worker(queues: &[&str], version: &str) -> LivingWorker {
        let queues = queues.iter().map(|queue| (*queue).to_owned()).collect();
        LivingWorker { name: "host-1-id".to_owned(), queues, version: version.to_owned() }
    }

    #[test]
    fn a_queue_that_nobody_works_on_is_named_with_the_command_that_mends_it() {
        let checks = of_workers(&[worker(&["payments", "sweeps"], VERSION), worker(&["mail"], VERSION)]);

        let check = only(&checks, "workers");
        assert_eq!(check.verdict, Verdict::Broken);
        assert_eq!(check.detail, "nobody works on provisioning");
        assert_eq!(check.fix.as_deref(), Some("berth work --queues provisioning"));
    }

    #[test]
    fn no_process_at_all_fails_and_all_queues_pass() {
        let all = worker(&["payments", "provisioning", "mail", "sweeps"], VERSION);

        assert_eq!(only(&of_workers(&[]), "workers").verdict, Verdict::Broken);
        assert_eq!(of_workers(&[all]).len(), 1);
    }

    #[test]
    fn processes_of_another_version_are_told() {
        let old = worker(&[], "");

        let checks = of_workers(&[worker(&["payments", "provisioning", "mail", "sweeps"], VERSION), old]);

        assert_eq!(only(&checks, "workers").verdict, Verdict::Ok);
        assert_eq!(only(&checks, "versions").verdict, Verdict::Warning);
        assert!(only(&checks, "versions").detail.contains("an older one"));
    }

    #[test]
    fn a_schedule_that_is_silent_fails() {
        let now = "2026-11-26T12:11:01Z".parse().unwrap();
        let tick = |at: Option<&str>| LastTick { at: at.map(|at| at.parse().unwrap()), now };

        assert_eq!(of_schedule(&tick(None)).verdict, Verdict::Broken);
        assert_eq!(of_schedule(&tick(Some("2026-11-26T12:00:00Z"))).verdict, Verdict::Broken);
        assert_eq!(of_schedule(&tick(Some("2026-11-26T12:05:00Z"))).verdict, Verdict::Ok);
    }

    #[test]
    fn a_queue_whose_oldest_job_waits_for_minutes_is_told() {
        let queue = |oldest_seconds| [QueueFacts { queue: "mail".to_owned(), due: 7, oldest_seconds }];

        assert_eq!(of_waiting(&queue(12)).verdict, Verdict::Ok);
        assert_eq!(of_waiting(&queue(301)).verdict, Verdict::Warning);
        assert!(of_waiting(&queue(301)).detail.contains("mail: 7 due"));
    }

    #[test]
    fn every_alert_is_a_failure_of_its_own() {
        assert_eq!(of_alerts(&[]).len(), 1);
        let alerts = of_alerts(&["server_broken web1: it is away".to_owned(), "dead job_1: x".to_owned()]);

        assert!(alerts.len() == 2 && alerts.iter().all(|alert| alert.verdict == Verdict::Broken));
    }
}
