//! Follows a job that was enqueued until it has ended.

use std::{process::ExitCode, time::Duration};

use berth_jobs::ids::JobId;
use tokio::time::Instant;

use super::output::say;
use crate::store::Store;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often is told that a job still waits or runs.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Waits for a job's end. Whoever stops waiting (Ctrl-C) stops nothing: workers go on.
///
/// # Errors
/// When the database is away.
pub(super) async fn follow(store: &Store, id: JobId) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let mut told = begun;
    loop {
        let job = store.job(id).await?;
        match job.state.as_str() {
            "done" => return Ok(ExitCode::SUCCESS),
            "cancelled" | "dead" => {
                let why = job.last_error.unwrap_or_default();
                say(&format!("error: {id} is {}: {why}", job.state));
                return Ok(ExitCode::FAILURE);
            }
            state => {
                if told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    let seconds = begun.elapsed().as_secs();
                    say(&format!("berth: {id} is {state} after {seconds} s; Ctrl-C ends the waiting, not the job"));
                }
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
