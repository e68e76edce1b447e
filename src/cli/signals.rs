//! The signals that ask a process to end, heard on a thread of their own: also when every thread of the runtime hangs.

use std::{io, process, sync::mpsc, thread, time::Duration};

use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::output::say;

/// What a shell calls the end by SIGINT; also ours for a second request to end.
pub(super) const STOPPED_AT_ONCE: u8 = 130;

/// SIGTERM and SIGINT, caught from now on. The first one asks; a second one ends the process at once.
#[derive(Clone, Debug)]
pub(super) struct Signals {
    asked: CancellationToken,
}

impl Signals {
    /// Begins to catch them. A process that has not ended so long after the first one is ended.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn catch(grace: Option<Duration>) -> io::Result<Self> {
        let asked = CancellationToken::new();
        let (heard, told) = (asked.clone(), mpsc::sync_channel(1));
        let (caught, outcome) = told;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let listening = runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
                let pair = runtime.block_on(async { Pair::catch() })?;
                Ok((runtime, pair))
            });
            match listening {
                Ok((runtime, pair)) => {
                    // Whoever asked is waiting for this very answer.
                    let _ = caught.send(Ok(()));
                    runtime.block_on(end_on_request(pair, heard, grace));
                }
                Err(error) => {
                    let _ = caught.send(Err(error));
                }
            }
        })?;
        outcome.recv().map_err(io::Error::other)??;
        Ok(Self { asked })
    }

    /// Cancelled by the first one.
    pub(super) fn asked_token(&self) -> CancellationToken {
        self.asked.clone()
    }

    /// Waits for the first one.
    pub(super) async fn asked(&self) {
        self.asked.cancelled().await;
    }
}

struct Pair {
    terminate: Signal,
    interrupt: Signal,
}

impl Pair {
    fn catch() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn end_on_request(mut signals: Pair, heard: CancellationToken, grace: Option<Duration>) {
    signals.next().await;
    heard.cancel();
    let over = async {
        match grace {
            Some(grace) => sleep(grace).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = signals.next() => {
            say("berth: stopped at once; what was running is taken up by others or at the next start");
            process::exit(i32::from(STOPPED_AT_ONCE))
        }
        () = over => {
            say("error: the process hangs and did not stop within the grace; others take up its jobs when its lease ends");
            process::exit(1)
        }
    }
}
