//! A mail server that takes every mail, keeps none and tells when it had so many.

use std::net::SocketAddr;

use anyhow::Result;
use berth::clock::Clock;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::child::{Told, say};

pub(crate) const ROLE: &str = "sink";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) address: SocketAddr,
}

/// Says [`Accepted`] once it has had so many mails in all.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Expect {
    pub(crate) mails: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) mails: u64,
    /// When the last one was accepted, in microseconds since 1970.
    pub(crate) at_us: i64,
}

pub(crate) async fn run() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&Ready { address: listener.local_addr()? })?;
    let accepted = watch::Sender::new(Accepted::default());
    let mut seen = accepted.subscribe();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that hangs up in mid-sentence is its own affair.
            tokio::spawn(converse(stream, accepted.clone()));
        }
    });
    let mut told = Told::new();
    while let Some(Expect { mails }) = told.next().await? {
        say(&*seen.wait_for(|accepted| accepted.mails >= mails).await?)?;
    }
    Ok(())
}

async fn converse(stream: TcpStream, accepted: watch::Sender<Accepted>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink\r\n").await?;
    let (mut line, mut in_data) = (Vec::new(), false);
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let answer: &[u8] = match line.get(..4).unwrap_or_default() {
            _ if in_data && line != b".\r\n" => continue,
            _ if in_data => {
                in_data = false;
                accepted.send_modify(|so_far| {
                    *so_far = Accepted { mails: so_far.mails + 1, at_us: Clock::machine().as_microsecond() };
                });
                b"250 taken\r\n"
            }
            b"EHLO" => b"250-sink\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            b"DATA" => {
                in_data = true;
                b"354 go on\r\n"
            }
            b"QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer).await?;
    }
}
