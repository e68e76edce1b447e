//! `berth stripe-sim`: Stripe's stand-in as a process of its own, which ends with whoever started it.

use std::process::ExitCode;

use tokio::sync::oneshot;

use crate::dev::stripe_sim::command::{self, StripeSimArgs};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    sim: StripeSimArgs,
    /// End when standard input does: whoever started it is gone.
    #[arg(long)]
    until_input_ends: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let serving = Box::pin(command::run(args.sim));
    if !args.until_input_ends {
        return serving.await.map(|()| ExitCode::SUCCESS);
    }
    tokio::select! {
        served = serving => served.map(|()| ExitCode::SUCCESS),
        () = input_ends() => Ok(ExitCode::SUCCESS),
    }
}

/// Reads in a thread of its own: such a read cannot be interrupted, and nobody waits for the thread.
async fn input_ends() {
    let (ended, told) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let copied = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        tracing::debug!(?copied, "standard input has ended");
        drop(ended);
    });
    // The sender is only ever dropped.
    let _ = told.await;
}
