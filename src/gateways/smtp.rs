//! Hands mail to an SMTP server, and says of every failure whether the mail may have gone out.
//!
//! lettre speaks the protocol; its own pooled transport is not used because it reports a connection lost before the message and
//! one lost after it as the same error, and because it waits for answers without a limit.

mod message;
mod relay;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use lettre::{
    Address,
    message::Mailbox,
    transport::smtp::{
        Error,
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt, Rset},
        extension::{Extension, MailBodyParameter, MailParameter},
    },
};
use secrecy::SecretString;
use tokio::time::{Instant, timeout};

use crate::{
    metrics::{Calls, called},
    trace::Span,
};
use relay::Relay;

/// For one TCP connection to one of the server's addresses.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one answer: to a command, or to the whole message.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections kept open between mails; more may be in use at a time, one for each send.
const MAX_IDLE: usize = 16;
/// Less than the minute or more after which servers hang up on a silent client.
const IDLE_FOR_AT_MOST: Duration = Duration::from_secs(45);
/// Of what a server says, this much is kept.
const MAX_REPLY_CHARS: usize = 500;

/// A mail to hand over. Line breaks in the subject and the name become spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// `<left@right>`: the same at every attempt, so that a reader's mail program shows a mail that went out twice once.
    /// See [`Mailer::message_id`].
    pub message_id: String,
    pub to: String,
    pub to_name: Option<String>,
    pub subject: String,
    pub text: String,
    pub html: String,
    pub date: Timestamp,
}

/// The server has taken the mail and answers for it from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What the server said, often its own id for the mail.
    pub response: String,
}

/// How far a send had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Connecting,
    SigningIn,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`, before the first byte of the message.
    Data,
    /// The message itself, and the answer to it.
    Message,
}

/// Why a mail was not, or may not have been, handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// It did not go out; a later attempt may succeed. Includes every refusal that is about us or the server's state and not
    /// about this mail: a wrong password delays mail, it loses none.
    #[error("mail not sent while {step}: {reason}")]
    Transient { step: Step, code: Option<u16>, reason: String },
    /// The connection was lost, or no answer came in time, after the message had begun to be sent: the server may have taken it.
    #[error("mail may have been sent: {reason}")]
    Ambiguous { reason: String },
    /// The server will never take this mail: 5xx to the recipient or the message.
    #[error("mail refused with {code}: {message}")]
    Refused { code: u16, message: String },
    #[error("mail cannot be addressed, {field} is not valid: {reason}")]
    InvalidAddress { field: &'static str, reason: String },
}

/// Why a [`Mailer`] cannot be made of its settings. Never shows the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailerError {
    #[error("the SMTP URL {0}")]
    Url(&'static str),
    #[error("the sender {0:?} is no address such as `Name <name@example.com>`")]
    From(String),
}

/// Hands over mail; clones share their connections.
#[derive(Clone)]
pub struct Mailer {
    shared: Arc<Shared>,
}

struct Shared {
    relay: Relay,
    from: Mailbox,
    idle: Mutex<Vec<Idle>>,
    connect_timeout: Duration,
    command_timeout: Duration,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Mailer {
    /// A mailer for `smtp://` or `smtps://[user:password@]host[:port]`, with `?tls=required` or `?tls=opportunistic` for
    /// STARTTLS. It connects when the first mail is sent.
    ///
    /// # Errors
    /// A URL or sender that cannot be used, and a password that would cross a network unencrypted.
    pub fn new(smtp_url: &SecretString, from: &str) -> Result<Self, MailerError> {
        Self::with_timeouts(smtp_url, from, CONNECT_TIMEOUT, COMMAND_TIMEOUT)
    }

    fn with_timeouts(
        smtp_url: &SecretString,
        from: &str,
        connect: Duration,
        command: Duration,
    ) -> Result<Self, MailerError> {
        let from: Mailbox = from.parse().map_err(|_| MailerError::From(from.to_owned()))?;
        let relay = Relay::parse(smtp_url, from.email.domain())?;
        let idle = Mutex::new(Vec::new());
        Ok(Self { shared: Arc::new(Shared { relay, from, idle, connect_timeout: connect, command_timeout: command }) })
    }

    /// `<id@domain of the sender>`.
    #[must_use]
    pub fn message_id(&self, id: impl fmt::Display) -> String {
        format!("<{id}@{}>", self.shared.from.email.domain())
    }

    /// Connects, encrypts and signs in, and sends nothing.
    ///
    /// # Errors
    /// See [`MailError`]; never `Refused` nor `Ambiguous`.
    pub async fn probe(&self) -> Result<(), MailError> {
        let shared = &self.shared;
        self.keep(shared.relay.open(shared.connect_timeout, shared.command_timeout).await?);
        Ok(())
    }

    /// Hands `mail` over to the server. Takes at most one connection, two envelopes and one message's time: see the timeouts.
    ///
    /// # Errors
    /// See [`MailError`]: what the caller may do next is in the variant.
    pub async fn send(&self, mail: Outgoing) -> Result<Accepted, MailError> {
        let (mut span, began) = (Span::call("smtp"), Instant::now());
        let answer = span.within(self.hand_over(mail)).await;
        let outcome = match &answer {
            Ok(_) => "accepted",
            Err(MailError::Transient { .. }) => "transient",
            Err(MailError::Ambiguous { .. }) => "ambiguous",
            Err(MailError::Refused { .. }) => "refused",
            Err(MailError::InvalidAddress { .. }) => "invalid_address",
        };
        span.note("outcome", outcome);
        if answer.is_err() {
            span.fail();
        }
        called(Calls::Mail, "", outcome, began.elapsed());
        answer
    }

    async fn hand_over(&self, mail: Outgoing) -> Result<Accepted, MailError> {
        let (to, message) = message::build(&self.shared.from, mail)?;
        if let Some(mut kept) = self.idle_connection() {
            match self.address(&mut kept, &to, &message).await {
                Ok(()) => return self.deliver(kept, &message).await,
                Err(error) if error.is_about_this_mail() => {
                    return Err(self.keep_after(kept, error).await);
                }
                // The server has hung up on it meanwhile. Nothing was sent, so a new connection may try.
                Err(_) => drop(kept),
            }
        }
        let shared = &self.shared;
        let mut fresh = shared.relay.open(shared.connect_timeout, shared.command_timeout).await?;
        match self.address(&mut fresh, &to, &message).await {
            Ok(()) => self.deliver(fresh, &message).await,
            Err(error) => Err(self.keep_after(fresh, error).await),
        }
    }

    /// Says who writes to whom, up to the server's invitation to send the message.
    async fn address(
        &self,
        connection: &mut AsyncSmtpConnection,
        to: &Address,
        message: &[u8],
    ) -> Result<(), MailError> {
        let mut parameters = Vec::new();
        if !message.is_ascii() {
            // Only an address in other letters leaves non-ASCII bytes in a message: all else is encoded.
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                let reason = "the mail server takes ASCII addresses only".to_owned();
                return Err(MailError::InvalidAddress { field: "to", reason });
            }
            parameters = vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)];
        }
        let from = self.shared.from.email.clone();
        self.command(connection, Step::Sender, Mail::new(Some(from), parameters)).await?;
        self.command(connection, Step::Recipient, Rcpt::new(to.clone(), Vec::new())).await?;
        self.command(connection, Step::Data, Data).await
    }

    async fn command(
        &self,
        connection: &mut AsyncSmtpConnection,
        step: Step,
        command: impl fmt::Display,
    ) -> Result<(), MailError> {
        match timeout(self.shared.command_timeout, connection.command(command)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(step.failed(&error)),
            Err(_) => Err(step.timed_out()),
        }
    }

    async fn deliver(&self, mut connection: AsyncSmtpConnection, message: &[u8]) -> Result<Accepted, MailError> {
        match timeout(self.shared.command_timeout, connection.message(message)).await {
            Ok(Ok(response)) => {
                self.keep(connection);
                let said = response.message().collect::<Vec<_>>().join(" ");
                Ok(Accepted { response: shortened(&format!("{} {said}", response.code())) })
            }
            Ok(Err(error)) => Err(self.keep_after(connection, Step::Message.failed(&error)).await),
            Err(_) => Err(Step::Message.timed_out()),
        }
    }

    /// Keeps the connection if the server answered and is still there; returns `error`.
    async fn keep_after(&self, mut connection: AsyncSmtpConnection, error: MailError) -> MailError {
        if error.is_about_this_mail()
            && timeout(self.shared.command_timeout, connection.command(Rset)).await.is_ok_and(|reset| reset.is_ok())
        {
            self.keep(connection);
        }
        error
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    fn idle_connection(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| kept.since.elapsed() < IDLE_FOR_AT_MOST);
        idle.pop().map(|kept| kept.connection)
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("relay", &self.shared.relay)
            .field("from", &self.shared.from)
            .finish_non_exhaustive()
    }
}

impl MailError {
    /// The server answered this mail with a refusal and is not about to hang up.
    fn is_about_this_mail(&self) -> bool {
        match self {
            // 421: the server closes the connection.
            Self::Transient { code, .. } => code.is_some_and(|code| code != 421),
            Self::Refused { .. } | Self::InvalidAddress { .. } => true,
            Self::Ambiguous { .. } => false,
        }
    }
}

impl Step {
    fn failed(self, error: &Error) -> MailError {
        let code = error.status().map(u16::from);
        let reason =
            shortened(&std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string));
        match (self, code) {
            // 530 and 535 ask us to sign in: that is for the operator to mend, and the mail can wait.
            (Self::Recipient | Self::Data | Self::Message, Some(code @ 500..)) if !matches!(code, 530 | 535) => {
                MailError::Refused { code, message: reason }
            }
            (Self::Message, None) => MailError::Ambiguous { reason },
            _ => MailError::Transient { step: self, code, reason },
        }
    }

    fn timed_out(self) -> MailError {
        let reason = "no answer in time".to_owned();
        match self {
            Self::Message => MailError::Ambiguous { reason },
            Self::Connecting | Self::SigningIn | Self::Sender | Self::Recipient | Self::Data => {
                MailError::Transient { step: self, code: None, reason }
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::SigningIn => "signing in",
            Self::Sender => "naming the sender",
            Self::Recipient => "naming the recipient",
            Self::Data | Self::Message => "sending the message",
        })
    }
}

fn shortened(reply: &str) -> String {
    reply.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_REPLY_CHARS).collect()
}
