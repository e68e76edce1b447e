//! The mailbox of development and tests: an SMTP server that keeps what it is sent, and pages that show it.

mod mime;
mod pages;
mod server;
#[cfg(test)]
mod tests;

pub use mime::Message;
pub use pages::router;

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Duration, sleep},
};
use tokio_util::sync::CancellationToken;

/// The newest are kept.
pub const MAX_MAILS: usize = 10_000;
/// Of all mails together; enough for `MAX_MAILS` of 25 kB.
const MAX_KEPT_BYTES: usize = 256 * 1024 * 1024;
const MAX_CONNECTIONS: usize = 256;
/// After an accept that failed, which is mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Added at the top of each kept mail, so that a file tells when it came.
const RECEIVED_AT: &str = "X-Berth-Received-At";
/// What Berth's mails may say of their kind.
const KIND: &str = "X-Berth-Mail";

/// What the mailbox does wrong, for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// Every recipient is refused for now, as by a greylist.
    Refuse451,
    /// No recipient exists.
    Refuse550,
    /// The message is read, not kept, and never answered.
    HangAfterData,
    /// The message is kept, and the connection closed in place of an answer.
    DropAfterAccept,
}

/// A mail that was accepted.
#[derive(Clone, Debug)]
pub struct ReceivedMail {
    pub id: u64,
    pub received_at: Timestamp,
    /// With its angle brackets; empty when the mail has none.
    pub message_id: String,
    /// From the envelope, as are those in `to`.
    pub from: String,
    pub to: Vec<String>,
    pub subject: String,
    pub kind: Option<String>,
    /// Whether its sender was told, as it is but for [`Fault::DropAfterAccept`].
    pub is_answered: bool,
    raw: Vec<u8>,
}

impl ReceivedMail {
    /// Headers, text and HTML, decoded.
    #[must_use]
    pub fn message(&self) -> Message {
        mime::parse(&self.raw)
    }
}

/// A handle on the mailbox; clones share it.
#[derive(Clone)]
pub struct Mailbox {
    shared: Arc<Shared>,
}

struct Shared {
    dir: Option<PathBuf>,
    kept: Mutex<Kept>,
    fault: Mutex<Fault>,
    /// How many mails there have been: those found at start and those accepted since.
    accepted: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    next_id: u64,
    bytes: usize,
    mails: BTreeMap<u64, Arc<ReceivedMail>>,
    /// By Message-ID; of mails that had to go as well.
    acceptances: HashMap<String, u64>,
}

impl Mailbox {
    /// Serves SMTP on `listener` until `stop`. With `dir`, mails are also files in it (`00000001.eml`), and those that are
    /// there are shown again.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn start(listener: TcpListener, dir: Option<PathBuf>, stop: CancellationToken) -> io::Result<Self> {
        let kept = match &dir {
            Some(dir) => Kept::load(dir)?,
            None => Kept::default(),
        };
        let accepted = watch::Sender::new(u64::try_from(kept.mails.len()).unwrap_or(u64::MAX));
        let mailbox =
            Self { shared: Arc::new(Shared { dir, kept: Mutex::new(kept), fault: Mutex::default(), accepted }) };
        let serving = mailbox.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "a tool of development and tests: its end is `stop`, and nobody waits for it"
        )]
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = serving.serve(listener) => {}
            }
        });
        Ok(mailbox)
    }

    /// From now on, until it is set again; connections that are open are affected too.
    pub fn set_fault(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// The mails that are kept, oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Arc<ReceivedMail>> {
        self.kept().mails.values().cloned().collect()
    }

    #[must_use]
    pub fn mail(&self, id: u64) -> Option<Arc<ReceivedMail>> {
        self.kept().mails.get(&id).cloned()
    }

    /// How often a mail of this Message-ID (with its angle brackets) was accepted: 2 or more means it was sent again.
    #[must_use]
    pub fn acceptances(&self, message_id: &str) -> u64 {
        self.kept().acceptances.get(message_id).copied().unwrap_or(0)
    }

    /// Every Message-ID that a mail was accepted under, and how often.
    #[must_use]
    pub fn all_acceptances(&self) -> HashMap<String, u64> {
        self.kept().acceptances.clone()
    }

    /// Waits until there have been `count` mails, those found at start included. For ever, if need be: callers set the limit.
    pub async fn until_accepted(&self, count: u64) {
        let mut accepted = self.shared.accepted.subscribe();
        // The sender lives as long as `self`.
        let _ = accepted.wait_for(|so_far| *so_far >= count).await;
    }

    fn fault(&self) -> Fault {
        *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        // Ends with the task: when it is dropped, so are the connections.
        loop {
            tokio::select! {
                incoming = listener.accept(), if connections.len() < MAX_CONNECTIONS => match incoming {
                    Ok((stream, _)) => {
                        connections.spawn(converse(stream, self.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the mailbox cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// Keeps a message, on disk first; its id.
    async fn accept(&self, from: &str, to: Vec<String>, message: &[u8], is_answered: bool) -> io::Result<u64> {
        #[expect(clippy::disallowed_methods, reason = "when a mail really came; the business's time has no say in it")]
        let received_at = Timestamp::now();
        let mut raw =
            format!("{RECEIVED_AT}: {received_at}\r\nReturn-Path: <{from}>\r\nDelivered-To: {}\r\n", to.join(", "))
                .into_bytes();
        raw.extend_from_slice(message);
        let id = {
            let mut kept = self.kept();
            kept.next_id += 1;
            kept.next_id
        };
        if let Some(dir) = &self.shared.dir {
            let unfinished = dir.join(format!("{id:08}.part"));
            tokio::fs::write(&unfinished, &raw).await?;
            tokio::fs::rename(&unfinished, file(dir, id)).await?;
        }
        let outdated = self.kept().add(ReceivedMail { is_answered, ..ReceivedMail::read(id, raw) });
        self.shared.accepted.send_modify(|so_far| *so_far += 1);
        if let Some(dir) = &self.shared.dir {
            for id in outdated {
                if let Err(error) = tokio::fs::remove_file(file(dir, id)).await {
                    tracing::warn!(%error, id, "the mailbox cannot remove an old mail");
                }
            }
        }
        Ok(id)
    }
}

async fn converse(stream: TcpStream, mailbox: Mailbox) {
    if let Err(error) = server::serve(stream, mailbox).await {
        tracing::debug!(%error, "a mail client left in mid-sentence");
    }
}

fn file(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:08}.eml"))
}

impl ReceivedMail {
    fn read(id: u64, raw: Vec<u8>) -> Self {
        let headers = mime::parse_headers(&raw);
        let value = |name| mime::header(&headers, name).unwrap_or_default().to_owned();
        Self {
            id,
            received_at: value(RECEIVED_AT).parse().unwrap_or(Timestamp::UNIX_EPOCH),
            message_id: value("Message-ID"),
            from: value("Return-Path").trim_matches(['<', '>']).to_owned(),
            to: value("Delivered-To").split(", ").map(str::to_owned).collect(),
            subject: value("Subject"),
            kind: mime::header(&headers, KIND).map(str::to_owned),
            is_answered: true,
            raw,
        }
    }
}

impl Kept {
    /// Reads the newest mails of `dir`, which is made if need be.
    fn load(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut ids = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
            ids.extend(stem.filter(|_| path.extension().is_some_and(|extension| extension == "eml")));
        }
        ids.sort_unstable();
        let mut kept = Self { next_id: ids.last().copied().unwrap_or(0), ..Self::default() };
        for id in ids.into_iter().rev().take(MAX_MAILS).rev() {
            // What is over the limit stays on disk: a start deletes nothing.
            let _ = kept.add(ReceivedMail::read(id, fs::read(file(dir, id))?));
        }
        Ok(kept)
    }

    /// Adds a mail; the ids of those that had to go.
    fn add(&mut self, mail: ReceivedMail) -> Vec<u64> {
        self.bytes += mail.raw.len();
        *self.acceptances.entry(mail.message_id.clone()).or_default() += 1;
        self.mails.insert(mail.id, Arc::new(mail));
        let mut outdated = Vec::new();
        while self.mails.len() > MAX_MAILS || self.bytes > MAX_KEPT_BYTES {
            let Some((id, oldest)) = self.mails.pop_first() else {
                break;
            };
            self.bytes -= oldest.raw.len();
            outdated.push(id);
        }
        outdated
    }
}
