//! `berth stripe-sim`: Stripe's stand-in as a process of its own, which ends with whoever started it.

use std::{process::ExitCode, time::Duration};

use crate::{
    config::LogFormat,
    dev::stripe_sim::command::{self, StripeSimArgs},
    telemetry,
};

/// How often to look whether the parent lives.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    sim: StripeSimArgs,
    /// End when this process, the parent, has ended.
    #[arg(long, value_name = "PID")]
    parent: Option<i32>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    telemetry::init(LogFormat::Text, "warn")?;
    let serving = Box::pin(command::run(args.sim));
    let Some(parent) = args.parent else { return serving.await.map(|()| ExitCode::SUCCESS) };
    tokio::select! {
        served = serving => served.map(|()| ExitCode::SUCCESS),
        () = orphaned(parent) => Ok(ExitCode::SUCCESS),
    }
}

/// Ends when the system has given us another parent.
async fn orphaned(parent: i32) {
    while nix::unistd::getppid().as_raw() == parent {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
