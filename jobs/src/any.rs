//! The closed list of jobs, and from a name and a payload to one of them.

use std::{fmt, time::Duration};

use serde_json::{Map, Value, value::RawValue};

use crate::{
    Backoff, Class, Job, Queue,
    checkout::{CloseCheckout, CompleteCheckout, ExpireCheckout, SyncCheckout},
    diagnosis::NoOp,
    hosting::{
        ChangePackage, ProbeServer, ProvisionAccount, PurgeAccount, ReconcileAccount, ReconcileServer, ResetPassword,
        SuspendAccount, TerminateAccount, UnsuspendAccount,
    },
    mail::SendMail,
    payments::{SyncDispute, SyncRefunds, TracePayment},
    renewals::{ChargeRenewal, DetachCard, NoteCardEvent, NoteChargeEvent, ResolveCharge, SyncCards},
    sweeps::{
        RunPlan, SweepAccounts, SweepCards, SweepCheckoutPages, SweepDigest, SweepLeftovers, SweepPanels,
        SweepSilentCharges, SweepStripeEvents, SweepUnpaidOrders,
    },
};

/// What the constants of a [`Job`] say, as a value.
#[derive(Clone, Copy, Debug)]
pub struct JobKind {
    /// The name on the wire.
    pub name: &'static str,
    /// The queue whose workers run it.
    pub queue: Queue,
    /// How soon it is taken.
    pub class: Class,
    /// Attempts that may fail before the job is dead.
    pub tries: u32,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long to wait after a failed attempt.
    pub backoff: Backoff,
    /// Whether other applications may enqueue it.
    pub external: bool,
    /// The JSON Schema of the payload.
    pub schema: fn() -> schemars::Schema,
}

impl JobKind {
    const fn of<J: Job>() -> Self {
        Self {
            name: J::NAME,
            queue: J::QUEUE,
            class: J::CLASS,
            tries: J::TRIES,
            timeout: J::TIMEOUT,
            backoff: J::BACKOFF,
            external: J::EXTERNAL,
            schema: || schemars::schema_for!(J),
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        AnyJob::KINDS.iter().find(|kind| kind.name == name)
    }
}

/// Why a kind and payload are no job.
#[derive(Debug)]
pub enum DecodeError {
    /// No job has that name.
    UnknownKind(String),
    /// The payload is not that job's: which field, and why.
    Payload(serde_json::Error),
    /// The payload has fields that the job has not: which, and which it has. A newer version may have them.
    UnknownFields(serde_json::Error),
}

impl DecodeError {
    /// Why a payload of the kind `J` could not be read.
    fn of<J: Job>(payload: &RawValue, error: serde_json::Error) -> Self {
        let schema = schemars::schema_for!(J);
        let known = schema.get("properties").and_then(Value::as_object);
        let is_known = |field: &String| known.is_some_and(|known| known.contains_key(field));
        match serde_json::from_str::<Map<String, Value>>(payload.get()) {
            Ok(fields) if !fields.keys().all(is_known) => Self::UnknownFields(error),
            Ok(_) | Err(_) => Self::Payload(error),
        }
    }

    /// Whether a newer version may be able to read it.
    #[must_use]
    pub const fn may_be_newer(&self) -> bool {
        match self {
            Self::UnknownKind(_) | Self::UnknownFields(_) => true,
            Self::Payload(_) => false,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind(kind) => write!(f, "no job is called `{kind}`"),
            Self::Payload(error) | Self::UnknownFields(error) => write!(f, "the payload does not fit: {error}"),
        }
    }
}

impl std::error::Error for DecodeError {}

macro_rules! any_job {
    ($($job:ident),* $(,)?) => {
        /// Every job there is.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum AnyJob {
            $(#[doc = concat!("See [`", stringify!($job), "`].")] $job($job),)*
        }

        impl AnyJob {
            /// Every kind of job.
            pub const KINDS: &[JobKind] = &[$(JobKind::of::<$job>()),*];

            /// Reads a job from its name and payload.
            ///
            /// # Errors
            /// When no job has that name, or the payload is not that job's.
            pub fn decode(kind: &str, payload: &RawValue) -> Result<Self, DecodeError> {
                $(if kind == $job::NAME {
                    let read = serde_json::from_str(payload.get()).map(Self::$job);
                    return read.map_err(|error| DecodeError::of::<$job>(payload, error));
                })*
                Err(DecodeError::UnknownKind(kind.to_owned()))
            }

            /// What the job's constants say.
            #[must_use]
            pub const fn kind(&self) -> JobKind {
                match self {
                    $(Self::$job(_) => JobKind::of::<$job>(),)*
                }
            }

            /// See [`Job::once_key`].
            #[must_use]
            pub fn once_key(&self) -> Option<String> {
                match self {
                    $(Self::$job(job) => job.once_key(),)*
                }
            }

            /// See [`Job::coalesce_key`].
            #[must_use]
            pub fn coalesce_key(&self) -> Option<String> {
                match self {
                    $(Self::$job(job) => job.coalesce_key(),)*
                }
            }

            /// See [`Job::serial`].
            #[must_use]
            pub fn serial(&self) -> Option<String> {
                match self {
                    $(Self::$job(job) => job.serial(),)*
                }
            }

            /// The payload as JSON.
            ///
            /// # Errors
            /// Never for the jobs there are: their payloads are structs of texts.
            pub fn payload(&self) -> Result<String, serde_json::Error> {
                match self {
                    $(Self::$job(job) => serde_json::to_string(job),)*
                }
            }
        }

        $(impl From<$job> for AnyJob {
            fn from(job: $job) -> Self {
                Self::$job(job)
            }
        })*
    };
}

any_job! {
    CompleteCheckout,
    CloseCheckout,
    SyncCheckout,
    ExpireCheckout,
    TracePayment,
    SyncRefunds,
    SyncDispute,
    ChargeRenewal,
    ResolveCharge,
    NoteChargeEvent,
    SyncCards,
    NoteCardEvent,
    DetachCard,
    ProvisionAccount,
    SuspendAccount,
    UnsuspendAccount,
    TerminateAccount,
    PurgeAccount,
    ChangePackage,
    ResetPassword,
    ReconcileAccount,
    ReconcileServer,
    ProbeServer,
    SendMail,
    SweepUnpaidOrders,
    SweepCheckoutPages,
    SweepStripeEvents,
    SweepSilentCharges,
    SweepPanels,
    SweepDigest,
    SweepCards,
    SweepLeftovers,
    SweepAccounts,
    RunPlan,
    NoOp,
}
