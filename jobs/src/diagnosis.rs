//! Jobs that show whether the machinery itself works.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Backoff, Job, Queue};

/// Does nothing, durably: shows that jobs travel from the ledger through Redis to a worker and back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoOp {
    /// Free text, to tell one from another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Job for NoOp {
    const NAME: &'static str = "no_op";
    const QUEUE: Queue = Queue::Sweeps;
    const TRIES: u32 = 3;
    const TIMEOUT: Duration = Duration::from_secs(10);
    const BACKOFF: Backoff = Backoff::seconds(1, 60);
    const EXTERNAL: bool = true;
}
