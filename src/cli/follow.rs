//! Follows a job that was enqueued until it has ended, and then what it has enqueued in turn.

use std::{process::ExitCode, time::Duration};

use berth_jobs::ids::JobId;
use tokio::time::Instant;

use super::{output::say, progress::Progress};
use crate::store::{Store, StoreError, jobs::JobRow};

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often is told that a job still waits or runs.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Waits for a job's end. With `then`, also for the jobs of that kind which were enqueued since, such as those of a sweep that looks
/// at every account, whose number is told as `what`. Whoever stops waiting (Ctrl-C) stops nothing: workers go on.
///
/// # Errors
/// When the database is away.
pub(super) async fn follow(store: &Store, id: JobId, then: Option<(&str, &'static str)>) -> anyhow::Result<ExitCode> {
    let job = ended(store, id).await?;
    if job.state != "done" {
        let why = job.last_error.unwrap_or_default();
        say(&format!("error: {id} is {}: {why}", job.state));
        return Ok(ExitCode::FAILURE);
    }
    let Some((kind, what)) = then else { return Ok(ExitCode::SUCCESS) };
    let failed = followers(store, id, kind, what).await?;
    if failed == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("error: {failed} jobs are dead: berth jobs list --state dead --kind {kind}"));
    Ok(ExitCode::FAILURE)
}

async fn ended(store: &Store, id: JobId) -> Result<JobRow, StoreError> {
    let begun = Instant::now();
    let mut told = begun;
    loop {
        let job = store.job(id).await?;
        if matches!(job.state.as_str(), "done" | "cancelled" | "dead") {
            return Ok(job);
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let seconds = begun.elapsed().as_secs();
            say(&format!("berth: {id} is {} after {seconds} s; Ctrl-C ends the waiting, not the job", job.state));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until none of the jobs of a kind since `id` is left to be run; answers how many are dead.
async fn followers(store: &Store, id: JobId, kind: &str, what: &'static str) -> Result<u64, StoreError> {
    let mut progress: Option<Progress> = None;
    loop {
        let since = store.ended_since(id, kind).await?;
        let bar = progress.get_or_insert_with(|| Progress::of(what, since.all));
        bar.at(since.ended);
        if since.ended >= since.all {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if let Some(bar) = progress {
        bar.end();
    }
    Ok(store.ended_since(id, kind).await?.dead)
}
