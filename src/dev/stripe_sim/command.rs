//! `berth stripe-sim`: the simulator as a process of its own.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Pace, SimConfig};

/// Runs Stripe's stand-in on loopback.
#[derive(Debug, clap::Args)]
pub struct StripeSimArgs {
    /// Where the API listens; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:12111")]
    pub listen: SocketAddr,
    /// Where events are delivered.
    #[arg(long)]
    pub webhook_url: Option<url::Url>,
    /// A secret (whsec_…) events are signed with; may be repeated.
    #[arg(long)]
    pub webhook_secret: Vec<String>,
    /// The only key the API accepts.
    #[arg(long, default_value = "sk_test_berth")]
    pub api_key: String,
    /// Where buyers reach the hosted pages; the listening address unless given.
    #[arg(long)]
    pub public_url: Option<url::Url>,
    /// Retry undelivered webhooks within half a second, as tests want it.
    #[arg(long)]
    pub hurried: bool,
}

/// Serves until SIGTERM or SIGINT. The first line on standard output says where.
///
/// # Errors
/// When the address cannot be bound.
pub async fn run(args: StripeSimArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let url = format!("http://{}", listener.local_addr()?);
    let config = SimConfig {
        webhook_url: args.webhook_url,
        webhook_secrets: args.webhook_secret,
        api_key: args.api_key,
        public_url: args.public_url.map_or_else(|| url.parse(), Ok)?,
        pace: if args.hurried { Pace::hurried() } else { Pace::default() },
    };
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let wait = async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        stopped.cancel();
    };
    let mut out = std::io::stdout();
    writeln!(out, "stripe-sim listening on {url}")?;
    out.flush()?;
    let (served, ()) = tokio::join!(super::serve(listener, config, stop), wait);
    served.context("the Stripe simulator stopped")
}
