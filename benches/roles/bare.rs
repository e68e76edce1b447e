//! The least that a webhook endpoint can do: it verifies the signature and gives the body to Redis.

use std::time::Duration;

use anyhow::Result;
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post, serve::ListenerExt};
use berth::{
    clock::Clock,
    gateways::stripe::webhook::{self, TOLERANCE_SECONDS},
};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::berth::Ready;
use crate::child::{Told, say};

pub(crate) const ROLE: &str = "bare";

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) redis_url: String,
    pub(crate) secret: String,
}

#[derive(Clone)]
struct Endpoint {
    redis: ConnectionManager,
    secrets: std::sync::Arc<[SecretString]>,
}

pub(crate) async fn run(spec: Spec) -> Result<()> {
    let config = ConnectionManagerConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT));
    let redis = ConnectionManager::new_with_config(redis::Client::open(spec.redis_url)?, config).await?;
    let endpoint = Endpoint { redis, secrets: [SecretString::from(spec.secret)].into() };
    let router = Router::new().route("/webhooks/stripe", post(receive)).with_state(endpoint);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&Ready { address: listener.local_addr()? })?;
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let mut told = Told::new();
    tokio::select! {
        served = axum::serve(listener, router) => Ok(served?),
        ended = told.next::<()>() => ended.map(|_| ()),
    }
}

async fn receive(State(mut endpoint): State<Endpoint>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers.get("stripe-signature").map(|value| value.as_bytes());
    let now = Clock::machine().as_second();
    if webhook::verify(&body, signature, &endpoint.secrets, now, TOLERANCE_SECONDS).is_err() {
        return StatusCode::BAD_REQUEST;
    }
    let mut command = redis::cmd("XADD");
    command.arg("bare:events").arg("*").arg("body").arg(body.as_ref());
    match command.exec_async(&mut endpoint.redis).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
