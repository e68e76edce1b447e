//! Mail to customers.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Backoff, Job, Queue, ids::MailId};

/// Renders a mail and hands it to the mail server, unless that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendMail {
    /// The mail to send.
    pub mail_id: MailId,
}

impl Job for SendMail {
    const NAME: &'static str = "send_mail";
    const QUEUE: Queue = Queue::Mail;
    const TRIES: u32 = 60;
    const TIMEOUT: Duration = Duration::from_secs(120);
    const BACKOFF: Backoff = Backoff::seconds(10, 3600);

    fn once_key(&self) -> Option<String> {
        Some(format!("mail:{}", self.mail_id))
    }
}
