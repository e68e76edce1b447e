//! What a failed attempt means for its job. The `From` table below is the only place that decides.

use std::time::Duration;

use crate::{
    domain::{order::UnknownPhase, period::PeriodError},
    gateways::{
        panels::{PanelError, UnknownServer},
        smtp::MailError,
        stripe::GatewayError,
    },
    mail::RenderError,
    queue::committer::CommitError,
    secrets::SecretError,
    servers::NoServer,
    store::StoreError,
    sweeps::SweepError,
};

/// How long a job may be snoozed because a server is broken or misconfigured.
const BROKEN_SERVER_DEADLINE: Duration = Duration::from_secs(72 * 3600);
/// How long a job may otherwise be snoozed.
const SNOOZE_DEADLINE: Duration = Duration::from_secs(24 * 3600);
/// How soon a job looks again by itself whose server is broken, should nobody call it before.
const PARKED_WAIT: Duration = Duration::from_secs(60);
/// How soon to look again at a server that cannot be used until somebody mends it.
const BROKEN_SERVER_WAIT: Duration = Duration::from_secs(60);

/// Why an attempt did not finish its job, by what is to be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// Uses up an attempt; tried again after the job's backoff.
    #[error("{0}")]
    Retry(String),
    /// Uses up no attempt; tried again after a while, until a deadline.
    #[error("{reason}")]
    Snooze {
        /// What is waited for.
        reason: String,
        /// When to look again.
        after: Duration,
        /// How long to go on looking, from the first snooze.
        give_up_after: Duration,
    },
    /// Uses up no attempt and is no trouble: it is done when its turn comes, however late that is.
    #[error("{reason}")]
    InTurn {
        /// What is waited for.
        reason: String,
        /// When to look again.
        after: Duration,
    },
    /// There is nothing to be done any more.
    #[error("{0}")]
    Cancel(String),
}

impl JobError {
    fn snooze(reason: String, after: Duration) -> Self {
        Self::Snooze { reason, after, give_up_after: SNOOZE_DEADLINE }
    }

    /// Others are before it.
    pub(crate) const fn in_turn(reason: String, after: Duration) -> Self {
        Self::InTurn { reason, after }
    }

    /// Something outside is at work and will be looked at again.
    pub(crate) fn waiting(reason: &str, after: Duration) -> Self {
        Self::snooze(reason.to_owned(), after)
    }

    /// A part that this process was not given the settings for: the job waits for a process that was.
    pub(crate) fn not_set_up(key: &str) -> Self {
        Self::broken_server(format!("{key} is not set for this worker"))
    }

    /// A server that cannot be used now: the job waits outside, and is called when it can.
    pub(crate) fn parked(reason: String) -> Self {
        Self::parked_for(reason, PARKED_WAIT)
    }

    /// As [`parked`](Self::parked), for at most so long.
    pub(crate) fn parked_for(reason: String, after: Duration) -> Self {
        Self::Snooze { reason, after, give_up_after: BROKEN_SERVER_DEADLINE }
    }

    fn broken_server(reason: String) -> Self {
        Self::Snooze { reason, after: BROKEN_SERVER_WAIT, give_up_after: BROKEN_SERVER_DEADLINE }
    }
}

/// The error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        source = cause.source();
    }
    text
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing(_) => Self::Cancel(chain(&error)),
            StoreError::Unreadable { .. } => Self::Retry(chain(&error)),
            // The job did nothing wrong: the database is away or busy.
            StoreError::Database(_) => Self::snooze(chain(&error), Duration::from_secs(1)),
        }
    }
}

impl From<SweepError> for JobError {
    fn from(error: SweepError) -> Self {
        match error {
            SweepError::Store(error) => error.into(),
            SweepError::Stripe(error) => error.into(),
            SweepError::NotSetUp(key) => Self::not_set_up(key),
            SweepError::Time(_) => Self::Retry(chain(&error)),
        }
    }
}

impl From<CommitError> for JobError {
    fn from(error: CommitError) -> Self {
        match error {
            // Somebody moved the row first: look at it again, now.
            CommitError::Refused(_) => Self::snooze(chain(&error), Duration::ZERO),
            // Whatever is settled now is fenced out as well.
            CommitError::ClaimLost => Self::snooze(chain(&error), Duration::ZERO),
            CommitError::Unavailable(_) => Self::snooze(chain(&error), Duration::from_secs(1)),
            CommitError::Failed(_) => Self::Retry(chain(&error)),
        }
    }
}

impl From<PanelError> for JobError {
    fn from(error: PanelError) -> Self {
        let text = chain(&error);
        match error {
            PanelError::RateLimited { retry_after, .. } => Self::snooze(text, retry_after),
            PanelError::Misconfigured(_) => Self::broken_server(text),
            PanelError::Transient(_)
            | PanelError::Ambiguous(_)
            | PanelError::NameTaken(_)
            | PanelError::Capacity(_)
            | PanelError::Permanent(_) => Self::Retry(text),
        }
    }
}

impl From<MailError> for JobError {
    fn from(error: MailError) -> Self {
        match error {
            // A mail server that is away delays mail and nothing else.
            MailError::Transient { .. } => Self::parked_for(chain(&error), Duration::from_secs(30)),
            MailError::Ambiguous { .. } => Self::Retry(chain(&error)),
            MailError::Refused { .. } | MailError::InvalidAddress { .. } => Self::Retry(chain(&error)),
        }
    }
}

impl From<GatewayError> for JobError {
    fn from(error: GatewayError) -> Self {
        let text = chain(&error);
        match error {
            GatewayError::RateLimited { retry_after, .. } => {
                Self::snooze(text, retry_after.unwrap_or(Duration::from_secs(5)))
            }
            GatewayError::Transient { .. } => Self::snooze(text, Duration::from_secs(5)),
            GatewayError::Refused { .. } if error.is_misconfigured() => Self::broken_server(text),
            GatewayError::Refused { .. } | GatewayError::Declined { .. } | GatewayError::InDoubt { .. } => {
                Self::Retry(text)
            }
        }
    }
}

impl From<NoServer> for JobError {
    fn from(none: NoServer) -> Self {
        Self::broken_server(chain(&none))
    }
}

impl From<UnknownServer> for JobError {
    fn from(error: UnknownServer) -> Self {
        Self::broken_server(chain(&error))
    }
}

impl From<RenderError> for JobError {
    fn from(error: RenderError) -> Self {
        Self::Retry(chain(&error))
    }
}

impl From<SecretError> for JobError {
    fn from(error: SecretError) -> Self {
        // A key that this worker was not given yet: the job waits for it.
        Self::broken_server(chain(&error))
    }
}

impl From<PeriodError> for JobError {
    fn from(error: PeriodError) -> Self {
        Self::Retry(chain(&error))
    }
}

impl From<UnknownPhase> for JobError {
    fn from(error: UnknownPhase) -> Self {
        Self::Retry(chain(&error))
    }
}
