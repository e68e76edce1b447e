//! When the sweeps run. Any number of processes may look at the clock: a run is a row, and whoever inserts it enqueues its
//! job in the same commit. After an outage the latest run of each sweep makes up for those that were missed, since sweeps
//! look for what is due and not done.

use std::{str::FromStr, time::Duration};

use croner::Cron;
use jiff::{SignedDuration, Timestamp, Unit, tz::TimeZone};

use crate::{
    app::App,
    effects::{Effects, NewTick},
    error::chain,
    queue::committer::CommitError,
    store::StoreError,
    supervise::Supervisor,
    sweeps::Sweep,
};

/// The table: every sweep and when it runs, as cron writes it, in UTC and by Berth's own time.
const TABLE: [(Sweep, &str); 9] = [
    (Sweep::UnpaidOrders, "*/5 * * * *"),
    (Sweep::CheckoutPages, "*/5 * * * *"),
    (Sweep::Accounts, "*/5 * * * *"),
    (Sweep::StripeEvents, "*/15 * * * *"),
    (Sweep::SilentCharges, "*/5 * * * *"),
    (Sweep::Panels, "43 */6 * * *"),
    (Sweep::Digest, "10 6 * * *"),
    (Sweep::Cards, "43 * * * *"),
    (Sweep::Leftovers, "17 * * * *"),
];
/// How often the clock is looked at. Berth's time may jump, so nobody sleeps until the next run.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a run did not begin.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The database was not asked.
    #[error("the ticks could not be read")]
    Store(#[from] StoreError),
    /// The tick was not written.
    #[error("a tick could not be written")]
    Commit(#[from] CommitError),
    /// The table says nothing that cron knows, or that ever comes.
    #[error("the table of sweeps is wrong")]
    Table(#[from] croner::errors::CronError),
    /// The calendar ends.
    #[error("there is no such time")]
    Time(#[from] jiff::Error),
}

/// Looks at the clock until the process drains.
pub fn start(app: &App, tasks: &Supervisor) {
    let (app, draining) = (app.clone(), tasks.draining.clone());
    tasks.run("schedule", move || {
        let (app, draining) = (app.clone(), draining.clone());
        async move {
            while !draining.is_cancelled() {
                if let Err(error) = tick(&app).await {
                    tracing::warn!(error = chain(&error), "the schedule could not begin what is due");
                }
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = draining.cancelled() => {}
                }
            }
        }
    });
}

/// Begins every run that is due and that nobody has begun; answers those.
///
/// # Errors
/// When the database is away.
pub async fn tick(app: &App) -> Result<Vec<(Sweep, Timestamp)>, ScheduleError> {
    let names = TABLE.map(|(sweep, _)| sweep.as_str().to_owned());
    let (now, last) = app.store.last_ticks(&names).await?;
    let mut begun = Vec::new();
    for ((sweep, when), last) in TABLE.into_iter().zip(last) {
        let due_at = latest(when, now)?;
        if last.is_some_and(|last| last >= due_at) {
            continue;
        }
        let effects = Effects::none().tick(NewTick { name: sweep.as_str(), due_at }).enqueue(sweep.job(None));
        match app.committer.write(effects).await {
            Ok(()) => begun.push((sweep, due_at)),
            // Another process was faster.
            Err(CommitError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(begun)
}

/// The last time at or before `now` that cron's expression names.
fn latest(when: &str, now: Timestamp) -> Result<Timestamp, ScheduleError> {
    // A second is all that an expression tells apart; one later, so that this second counts.
    let after = now.round(jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor))?
        + SignedDuration::from_secs(1);
    let found = Cron::from_str(when)?.find_previous_occurrence(&after.to_zoned(TimeZone::UTC), false)?;
    Ok(found.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn every_sweep_is_in_the_table_once_with_a_time_that_comes() {
        for sweep in Sweep::ALL {
            let rows: Vec<_> = TABLE.iter().filter(|(of, _)| *of == sweep).collect();

            assert_eq!(rows.len(), 1, "{sweep}");
            assert!(latest(rows[0].1, at("2026-11-25T12:00:00Z")).is_ok(), "{sweep}");
        }
    }

    #[test]
    fn the_latest_run_is_the_last_one_that_has_come() {
        for (when, now, expected) in [
            ("*/5 * * * *", "2026-11-25T12:00:00Z", "2026-11-25T12:00:00Z"),
            ("*/5 * * * *", "2026-11-25T12:00:00.999999Z", "2026-11-25T12:00:00Z"),
            ("*/5 * * * *", "2026-11-25T11:59:59.999999Z", "2026-11-25T11:55:00Z"),
            ("17 * * * *", "2026-11-25T12:16:59Z", "2026-11-25T11:17:00Z"),
            ("17 * * * *", "2026-01-01T00:00:00Z", "2025-12-31T23:17:00Z"),
            // Daily, across a leap day and across a change of clocks elsewhere: UTC knows neither.
            ("30 2 * * *", "2028-03-01T02:29:59Z", "2028-02-29T02:30:00Z"),
            ("30 2 * * *", "2026-03-29T02:30:00Z", "2026-03-29T02:30:00Z"),
            ("0 3 1 * *", "2026-11-25T12:00:00Z", "2026-11-01T03:00:00Z"),
        ] {
            assert_eq!(latest(when, at(now)).unwrap(), at(expected), "{when} at {now}");
        }
    }
}
