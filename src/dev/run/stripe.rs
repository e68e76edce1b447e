//! The Stripe simulator as a process of its own, which ends with us.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, process::Stdio, time::Duration};

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::keys::Keys;
use crate::gateways::http_client::{self, Timeouts};

const LOG: &str = "stripe-sim.log";
/// Its first line says where it listens.
const GREETING: &str = "stripe-sim listening on ";
const READY_WITHIN: Duration = Duration::from_secs(10);
const STOP_WITHIN: Duration = Duration::from_secs(3);
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(10) };

pub(super) struct StripeProcess {
    child: Child,
    /// Its API and its pages.
    pub(super) url: String,
}

impl StripeProcess {
    pub(super) async fn start(home: &Path, webhook_url: &str, keys: &Keys) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let log = home.join(LOG);
        let errors = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&log)
            .with_context(|| format!("{} cannot be written", log.display()))?;
        let mut child = Command::new(program)
            .args(["stripe-sim", "--listen", "127.0.0.1:0", "--webhook-url", webhook_url])
            .args(["--webhook-secret", &keys.webhook_secret, "--api-key", &keys.stripe_key])
            // Should we be killed, it notices.
            .args(["--parent", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            // Ctrl-C is for us: it is stopped last but for the servers.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("the Stripe simulator cannot be started")?;
        let output = child.stdout.take().context("the Stripe simulator has no output")?;
        let first = timeout(READY_WITHIN, BufReader::new(output).lines().next_line()).await;
        let url =
            first.ok().and_then(Result::ok).flatten().and_then(|line| line.strip_prefix(GREETING).map(str::to_owned));
        let url = url.with_context(|| format!("the Stripe simulator did not start; see {}", log.display()))?;
        Ok(Self { child, url })
    }

    /// Has it live so many seconds ahead, as Berth does whose clock was moved.
    pub(super) async fn live_ahead(&self, offset_seconds: i64) -> anyhow::Result<()> {
        let client = http_client::build(TIMEOUTS)?;
        let body = json!({ "offset_seconds": offset_seconds });
        let moved = client.post(format!("{}/_sim/clock", self.url)).json(&body).send().await?;
        moved.error_for_status().context("the Stripe simulator's clock cannot be moved")?;
        Ok(())
    }

    /// Ends when it has ended by itself.
    pub(super) async fn ends(&mut self) {
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, "the Stripe simulator cannot be waited for");
        }
    }

    pub(super) async fn stop(mut self) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(Err(error)) = pid.map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM)) {
            tracing::debug!(%error, "the Stripe simulator was gone before it was asked to stop");
        }
        if timeout(STOP_WITHIN, self.child.wait()).await.is_err()
            && let Err(error) = self.child.kill().await
        {
            tracing::warn!(%error, "the Stripe simulator could not be stopped");
        }
    }
}
