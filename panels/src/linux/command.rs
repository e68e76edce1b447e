//! One run of the privileged command: a request in, an answer out, and what its end means.

use std::{
    io::{self, ErrorKind},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use berth_host::protocol::{self, Class, Refusal, Verb};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command as Process},
    sync::Semaphore,
    time::timeout,
};

use crate::{Cause, PanelError};

/// An answer is a few hundred bytes, and a list about a hundred for each account.
const ANSWER_MAX: u64 = 16 * 1024 * 1024;
const COMPLAINT_MAX: u64 = 4 * 1024;

/// The command before its verb.
pub(super) struct Command {
    argv: Vec<String>,
}

impl Command {
    pub(super) fn new(argv: Vec<String>) -> Self {
        Self { argv }
    }

    /// Runs a verb. Whoever stops waiting stops no work: the command goes on to its end, under its lock, and whoever
    /// comes next finds what it did. Were it killed instead, it could be in the middle of anything.
    pub(super) async fn run<T: DeserializeOwned>(
        &self,
        slots: &Arc<Semaphore>,
        patience: Duration,
        verb: Verb,
        request: &(impl Serialize + Sync),
    ) -> Result<T, PanelError> {
        let _slot = slots
            .acquire()
            .await
            .map_err(|closed| PanelError::Transient(Cause::new("the linux panel is shutting down").because(closed)))?;
        let request = serde_json::to_vec(request)
            .map_err(|error| PanelError::Permanent(Cause::new("the request could not be written").because(error)))?;
        let child = self.start(verb)?;
        let ended = match timeout(patience, converse(child, &request)).await {
            Ok(ended) => ended.map_err(|error| lost(verb, Cause::new("the command was lost").because(error)))?,
            Err(elapsed) => return Err(lost(verb, Cause::new("the command takes too long").because(elapsed))),
        };
        ended.read(verb)
    }

    fn start(&self, verb: Verb) -> Result<Child, PanelError> {
        let Some((program, args)) = self.argv.split_first().filter(|(program, _)| program.starts_with('/')) else {
            return Err(PanelError::misconfigured("the linux panel's command is no absolute path"));
        };
        let (piped, name) = (Stdio::piped, verb.as_str());
        let started = Process::new(program)
            .args(args)
            .arg(name)
            .env_clear()
            .current_dir("/")
            .stdin(piped())
            .stdout(piped())
            .stderr(piped())
            // A signal to our terminal is not for it.
            .process_group(0)
            .kill_on_drop(false)
            .spawn();
        started.map_err(|error| {
            let kind = error.kind();
            let cause = Cause::new("the linux panel's command could not be started").because(error);
            if [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::NotADirectory].contains(&kind) {
                PanelError::Misconfigured(cause)
            } else {
                PanelError::Transient(cause)
            }
        })
    }
}

/// How a run ended.
struct Ended {
    status: ExitStatus,
    answer: Vec<u8>,
    complaint: Vec<u8>,
}

async fn converse(mut child: Child, request: &[u8]) -> io::Result<Ended> {
    let missing = || io::Error::other("a pipe is missing");
    let mut stdin = child.stdin.take().ok_or_else(missing)?;
    let (stdout, stderr) = (child.stdout.take().ok_or_else(missing)?, child.stderr.take().ok_or_else(missing)?);
    let tell = async move {
        // Who ends before reading everything says so by its exit code.
        let _ = stdin.write_all(request).await;
        drop(stdin);
    };
    let ((), answer, complaint) = tokio::join!(tell, limited(stdout, ANSWER_MAX), limited(stderr, COMPLAINT_MAX));
    Ok(Ended { status: child.wait().await?, answer: answer?, complaint: complaint? })
}

async fn limited(from: impl AsyncRead + Unpin, most: u64) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    from.take(most).read_to_end(&mut read).await?;
    Ok(read)
}

impl Ended {
    fn read<T: DeserializeOwned>(self, verb: Verb) -> Result<T, PanelError> {
        if self.status.success() {
            return protocol::read(&self.answer)
                .map_err(|error| lost(verb, Cause::new("the command's answer is cut off or strange").because(error)));
        }
        let code = self.status.code();
        match protocol::read::<Refusal>(&self.answer) {
            Ok(refusal) if code == Some(refusal.class.exit_code().into()) => Err(refused(refusal)),
            Ok(_) | Err(_) => Err(self.died(verb)),
        }
    }

    /// An end that the command did not choose. It had not begun if sudo did not let it.
    fn died(&self, verb: Verb) -> PanelError {
        let complaint = String::from_utf8_lossy(&self.complaint);
        let complaint = complaint.lines().next().unwrap_or_default();
        let not_begun = self.answer.is_empty()
            && match self.status.code() {
                Some(1) => complaint.starts_with("sudo:"),
                // Wrong arguments; and what shells and `env` say of a program that cannot be run.
                Some(code) => [2, 126, 127].contains(&code),
                None => false,
            };
        let cause = Cause::new(format!("the command ended without an answer ({}): {complaint}", self.status));
        if not_begun { PanelError::Misconfigured(cause) } else { lost(verb, cause) }
    }
}

/// An answer that never came: nothing is lost where nothing was to change.
fn lost(verb: Verb, cause: Cause) -> PanelError {
    if verb.only_reads() { PanelError::Transient(cause) } else { PanelError::Ambiguous(cause) }
}

fn refused(refusal: Refusal) -> PanelError {
    let cause = Cause::new(refusal.message);
    match refusal.class {
        Class::Transient => PanelError::Transient(cause),
        Class::Ambiguous => PanelError::Ambiguous(cause),
        Class::NameTaken => PanelError::NameTaken(cause),
        Class::Permanent => PanelError::Permanent(cause),
        Class::Misconfigured => PanelError::Misconfigured(cause),
        Class::Capacity => PanelError::Capacity(cause),
    }
}
