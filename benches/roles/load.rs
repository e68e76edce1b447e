//! Sends signed events over connections that stay open, as fast as they are answered.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use berth::{clock::Clock, gateways::stripe::webhook};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use crate::{
    checkout_event::checkout_event,
    child::{Told, say},
    report::percentile,
};

pub(crate) const ROLE: &str = "load";

/// More than any answer that is waited for.
const ANSWER_BYTES: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) secret: String,
    pub(crate) connections: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Writes and signs events of the orders from `first` on, and says `null`.
    Prepare { first: u64, count: usize },
    /// Sends what was prepared, and says [`Sent`].
    Send { to: SocketAddr },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// When the first request was begun, in microseconds since 1970.
    pub(crate) begun_us: i64,
    pub(crate) seconds: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Answers other than 200.
    pub(crate) refused: usize,
}

type Requests = Arc<Mutex<VecDeque<Vec<u8>>>>;

pub(crate) async fn run(spec: Spec) -> Result<()> {
    say(&())?;
    let secret = SecretString::from(spec.secret);
    let requests = Requests::default();
    let mut told = Told::new();
    while let Some(command) = told.next().await? {
        match command {
            Command::Prepare { first, count } => {
                let prepared = (first..).take(count).map(|order| request(order, &secret)).collect();
                *requests.lock().unwrap_or_else(PoisonError::into_inner) = prepared;
                say(&())?;
            }
            Command::Send { to } => say(&send(to, spec.connections, &requests).await?)?,
        }
    }
    Ok(())
}

fn request(order: u64, secret: &SecretString) -> Vec<u8> {
    let body = checkout_event(order);
    let signature = webhook::sign(body.as_bytes(), secret, Clock::machine().as_second());
    format!(
        "POST /webhooks/stripe HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n\
         Content-Type: application/json; charset=utf-8\r\nStripe-Signature: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn send(to: SocketAddr, connections: usize, requests: &Requests) -> Result<Sent> {
    let mut open = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        open.push(stream);
    }
    let begun_us = Clock::machine().as_microsecond();
    let begun = Instant::now();
    let running: Vec<_> = open.into_iter().map(|stream| tokio::spawn(connection(stream, requests.clone()))).collect();
    let (mut millis, mut refused) = (Vec::new(), 0);
    for connection in running {
        let (of_connection, not_taken) = connection.await??;
        millis.extend(of_connection);
        refused += not_taken;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (p50_ms, p99_ms) = (percentile(&mut millis, 0.5), percentile(&mut millis, 0.99));
    Ok(Sent { begun_us, seconds, p50_ms, p99_ms, refused })
}

/// Sends until nothing is left; answers how long each answer took, and how many were not 200.
async fn connection(mut stream: TcpStream, requests: Requests) -> Result<(Vec<f64>, usize)> {
    let (mut millis, mut refused) = (Vec::new(), 0);
    loop {
        let Some(request) = requests.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { break };
        let begun = Instant::now();
        stream.write_all(&request).await?;
        let status = tokio::time::timeout(PATIENCE, answer(&mut stream)).await??;
        millis.push(begun.elapsed().as_secs_f64() * 1e3);
        refused += usize::from(status != 200);
    }
    Ok((millis, refused))
}

/// Reads one answer whole; its status.
async fn answer(stream: &mut TcpStream) -> Result<u16> {
    let mut buffer = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut buffer).await? == 0 || buffer.len() > ANSWER_BYTES {
            bail!("the server ended an answer too early, or never");
        }
        let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(buffer.get(..head).unwrap_or_default())?.to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map(str::trim).unwrap_or("0").parse()?;
        if buffer.len() >= head + 4 + length {
            return text
                .get(9..12)
                .context("an answer begins with its status")?
                .parse()
                .context("the status is a number");
        }
    }
}
