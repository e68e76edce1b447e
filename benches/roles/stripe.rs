//! The Stripe simulator, answering after a pause.

use std::net::SocketAddr;

use anyhow::Result;
use berth::dev::stripe_sim::{self, Pace, SimConfig};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::child::{Told, say};

pub(crate) const ROLE: &str = "stripe";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) api_key: String,
    pub(crate) webhook_secret: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) address: SocketAddr,
}

pub(crate) async fn run(spec: Spec) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let config = SimConfig {
        webhook_url: None,
        webhook_secrets: vec![spec.webhook_secret],
        api_key: spec.api_key,
        public_url: format!("http://{address}").parse()?,
        pace: Pace::hurried(),
    };
    let serving = tokio::spawn(stripe_sim::serve(listener, config, stop.clone()));
    say(&Ready { address })?;
    while Told::new().next::<()>().await?.is_some() {}
    stop.cancel();
    Ok(serving.await??)
}
