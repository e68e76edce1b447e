//! A way to the database that can lose the answer to a commit.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
};

use super::Stack;

/// A simple query `COMMIT`, as it goes over the wire.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// Passes everything on, but cuts connections right after their commit has reached the server.
#[derive(Clone)]
pub(crate) struct Cutter {
    every: Arc<AtomicU32>,
    seen: Arc<AtomicU32>,
    cuts: Arc<AtomicU32>,
}

impl Cutter {
    /// Puts itself between the stack's database and whatever of Berth starts from now on.
    pub(crate) async fn before_database_of(stack: &mut Stack) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = stack.postgres.port();
        let setting = stack.settings.iter_mut().find(|(key, _)| key == "database.url").unwrap();
        let mut url = url::Url::parse(&setting.1).unwrap();
        url.set_port(Some(port)).unwrap();
        setting.1 = url.into();
        let cutter = Self { every: Arc::default(), seen: Arc::default(), cuts: Arc::default() };
        let accepting = cutter.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
                tokio::spawn(accepting.clone().pass(client, server));
            }
        });
        cutter
    }

    /// Cuts at every `n`-th commit from now on; 0 is never.
    pub(crate) fn cut_every(&self, n: u32) {
        self.every.store(n, Ordering::SeqCst);
    }

    /// How often a commit's answer was lost.
    pub(crate) fn cuts(&self) -> u32 {
        self.cuts.load(Ordering::SeqCst)
    }

    async fn pass(self, client: TcpStream, server: TcpStream) {
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        // Once it says so, nothing of the server's answers reaches the client any more.
        let (cut, deaf) = watch::channel(false);
        let answers = tokio::spawn(back(from_server, to_client, deaf));
        self.forth(from_client, to_server, &cut).await;
        let _ = answers.await;
    }

    async fn forth(&self, mut client: OwnedReadHalf, mut server: OwnedWriteHalf, cut: &watch::Sender<bool>) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = client.read(&mut buffer).await {
            if buffer[..count].ends_with(COMMIT) && self.is_next() {
                cut.send_replace(true);
                self.cuts.fetch_add(1, Ordering::SeqCst);
                let _ = server.write_all(&buffer[..count]).await;
                // A clean end of our side: the server finishes the commit first.
                return;
            }
            if server.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    }

    fn is_next(&self) -> bool {
        let every = self.every.load(Ordering::SeqCst);
        every > 0 && (self.seen.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(every)
    }
}

async fn back(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, deaf: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = server.read(&mut buffer).await {
        if *deaf.borrow() || client.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
