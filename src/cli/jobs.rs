//! `berth jobs`: what an operator sees of jobs and does with them.

use std::{path::PathBuf, process::ExitCode};

use berth_jobs::ids::JobId;
use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;

use super::{
    checks,
    output::{lines, print, print_json, say, short, table},
    settings,
};
use crate::{
    config::Role,
    store::{
        Store,
        jobs::{JobOrder, JobRow},
    },
};

/// Longer errors are cut in the list; `show` has them whole.
const ERROR_WIDTH: usize = 80;

#[derive(Debug, Subcommand)]
pub(super) enum JobsCommand {
    /// The newest jobs.
    #[command(before_help = "Examples:\n  berth jobs list\n  berth jobs list --state dead --json\n  \
        berth jobs list --kind provision_account --limit 10\n")]
    List {
        /// Only jobs in this state.
        #[arg(long)]
        state: Option<State>,
        /// Only jobs of this kind, such as send_mail.
        #[arg(long)]
        kind: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// One job with its payload and its last error.
    #[command(before_help = "Examples:\n  berth jobs show job_01k9z3m6sne5y8r7q2w4x6t8va\n")]
    Show {
        id: JobId,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run jobs again that are dead, cancelled or waiting: at once, with all their attempts.
    #[command(before_help = "Examples:\n  berth jobs retry job_01k9z3m6sne5y8r7q2w4x6t8va\n")]
    #[command(after_help = "Exits 1 when one of them is running or done.")]
    Retry {
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
    /// Never run jobs that wait or are dead.
    #[command(before_help = "Examples:\n  berth jobs cancel job_01k9z3m6sne5y8r7q2w4x6t8va\n")]
    #[command(after_help = "Exits 1 when one of them is running, done or cancelled.")]
    Cancel {
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum State {
    Queued,
    Running,
    Done,
    Cancelled,
    Dead,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }
}

pub(super) async fn run(file: Option<PathBuf>, command: JobsCommand) -> anyhow::Result<ExitCode> {
    let config = settings::load_or_dev(file)?;
    settings::log_quietly(&config)?;
    config.require_for(Role::Operate)?;
    let store = Store::new(&config.database)?;
    checks::migrated(&store, &config).await?;
    match command {
        JobsCommand::List { state, kind, limit, json } => {
            let jobs = store.jobs(state.map(State::as_str), kind.as_deref(), limit).await?;
            if json {
                print_json(&jobs)?
            } else {
                print(&listed(&jobs))?
            }
            Ok(ExitCode::SUCCESS)
        }
        JobsCommand::Show { id, json } => {
            let job = store.job(id).await?;
            if json {
                print_json(&job)?
            } else {
                print(&shown(&job))?
            }
            Ok(ExitCode::SUCCESS)
        }
        JobsCommand::Retry { ids } => order(&store, &ids, JobOrder::Retry).await,
        JobsCommand::Cancel { ids } => order(&store, &ids, JobOrder::Cancel).await,
    }
}

async fn order(store: &Store, ids: &[JobId], order: JobOrder) -> anyhow::Result<ExitCode> {
    let (done, refused) = match order {
        JobOrder::Retry => ("is queued", "cannot be run again"),
        JobOrder::Cancel => ("is cancelled", "cannot be cancelled"),
    };
    let mut all = true;
    for id in ids {
        if store.order_job(*id, order).await? {
            print(&format!("{id} {done}"))?;
        } else {
            all = false;
            match store.job(*id).await {
                Ok(job) => say(&format!("error: {id} {refused}: it is {}", job.state)),
                Err(error) => say(&format!("error: {error}")),
            }
        }
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn listed(jobs: &[JobRow]) -> String {
    if jobs.is_empty() {
        return "no jobs".to_owned();
    }
    let mut rows = table(&["JOB", "KIND", "QUEUE", "STATE", "ATTEMPT", "DUE", "ENDED", "LAST ERROR"]);
    for job in jobs {
        rows.add_row([
            job.id.to_string(),
            job.kind.clone(),
            job.queue.clone(),
            job.state.clone(),
            job.attempt.to_string(),
            seconds(job.run_at),
            job.finished_at.map(seconds).unwrap_or_default(),
            job.last_error.as_deref().map(|error| short(error, ERROR_WIDTH)).unwrap_or_default(),
        ]);
    }
    lines(&rows)
}

fn shown(job: &JobRow) -> String {
    let optional = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let fields = [
        ("job", job.id.to_string()),
        ("kind", job.kind.clone()),
        ("queue", job.queue.clone()),
        ("state", job.state.clone()),
        ("attempt", job.attempt.to_string()),
        ("payload", job.payload.to_string()),
        ("enqueued", job.created_at.to_string()),
        ("due", job.run_at.to_string()),
        ("ended", optional(job.finished_at.map(|at| at.to_string()))),
        ("last error", optional(job.last_error.clone())),
    ];
    fields.map(|(name, value)| format!("{name:<11} {value}")).join("\n")
}

fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
