//! Suspensions, and the notifications by which ours are told from others'. The order is what makes them converge: the
//! notification is there before the suspension, and goes after it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{HestiaPanel, account::User, calls::Arg, exits::Exit};
use crate::{AccountRef, PanelError, RemoteState};

const TOPIC: &str = "Account suspended";
/// What our notifications' texts begin with.
const MARK: &str = "berth:";
/// Longer reasons are cut: a notification is one line in a file of the server's.
const REASON_MAX: usize = 200;

/// A notification that says that we suspend, or suspended.
struct Mark {
    id: u64,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Notification {
    #[serde(default)]
    topic: String,
    #[serde(default)]
    notice: String,
}

impl HestiaPanel {
    pub(super) async fn state(&self, user: &User) -> Result<RemoteState, PanelError> {
        if !user.is_suspended() {
            return Ok(RemoteState::Active);
        }
        let mark = self.marks(user).await?.pop();
        let ours = mark.is_some();
        Ok(RemoteState::Suspended { reason: mark.map(|mark| mark.reason), ours })
    }

    pub(super) async fn suspend(&self, account: &AccountRef, reason: &str) -> Result<(), PanelError> {
        let wanted = written(reason);
        let user = self.owned(account).await?;
        let mut marks = self.marks(&user).await?;
        let said = marks.pop_if(|mark| mark.reason == wanted);
        let is_theirs = marks.is_empty() && said.is_none();
        if user.is_suspended() && is_theirs {
            return Ok(());
        }
        if said.is_none() {
            self.send_mark(&user, &wanted).await?;
        }
        self.delete_marks(&user, &marks).await?;
        if user.is_suspended() {
            return Ok(());
        }
        if let Err(refusal) = self.calls.change("v-suspend-user", &[Arg::Plain(&user.username)]).await?
            && refusal.exit() != Exit::Suspended
        {
            return Err(refusal.into());
        }
        if self.owned(account).await?.is_suspended() {
            return Ok(());
        }
        Err(PanelError::ambiguous("Hestia says that it suspended the account, which is active"))
    }

    pub(super) async fn activate(&self, account: &AccountRef) -> Result<(), PanelError> {
        let user = self.owned(account).await?;
        let marks = self.marks(&user).await?;
        if marks.is_empty() {
            return match user.is_suspended() {
                false => Ok(()),
                true => Err(PanelError::permanent("somebody else suspended the account")),
            };
        }
        // Also of a user that is not flagged: Hestia clears the flag before it opens the sites, and may have been stopped.
        self.calls.change("v-unsuspend-user", &[Arg::Plain(&user.username)]).await??;
        if self.owned(account).await?.is_suspended() {
            return Err(PanelError::ambiguous("Hestia says that it unsuspended the account, which is suspended"));
        }
        self.delete_marks(&user, &marks).await
    }

    /// Our notifications, the latest last.
    async fn marks(&self, user: &User) -> Result<Vec<Mark>, PanelError> {
        let args = [Arg::Plain(user.username.as_str()), Arg::Plain("json")];
        let all: BTreeMap<String, Notification> = self.calls.read("v-list-user-notifications", &args).await??;
        let ours = all.into_iter().filter(|(_, notification)| notification.topic == TOPIC);
        let mut marks: Vec<_> = ours
            .filter_map(|(id, notification)| {
                let reason = notification.notice.strip_prefix(MARK)?.trim().to_owned();
                Some(Mark { id: id.parse().ok()?, reason })
            })
            .collect();
        marks.sort_by_key(|mark| mark.id);
        Ok(marks)
    }

    async fn send_mark(&self, user: &User, reason: &str) -> Result<(), PanelError> {
        let notice = format!("{MARK} {reason}");
        // The last is a type, which the panel's own have and this does not need, but the command does.
        let args = [user.username.as_str(), TOPIC, &notice, "berth"].map(Arg::Plain);
        Ok(self.calls.change("v-add-user-notification", &args).await??)
    }

    async fn delete_marks(&self, user: &User, marks: &[Mark]) -> Result<(), PanelError> {
        for mark in marks {
            let id = mark.id.to_string();
            let args = [Arg::Plain(user.username.as_str()), Arg::Plain(&id)];
            self.calls.change("v-delete-user-notification", &args).await??;
        }
        Ok(())
    }
}

/// A reason as it can be written to a notification and read again: Hestia takes its text for HTML in a line of a shell's, and
/// prints it in JSON without escapes.
fn written(reason: &str) -> String {
    let keep = |c: char| if c.is_alphanumeric() || "_-.,".contains(c) { c } else { ' ' };
    let plain: String = reason.chars().map(keep).take(REASON_MAX).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_no_quoting_changes() {
        assert_eq!(written("non_payment"), "non_payment");
        assert_eq!(written("a\n\"b\" <i>$(c)</i>\\ 'd'"), "a b i c i d");
        assert_eq!(written("\t"), "");
        assert_eq!(written(&"x".repeat(300)).len(), REASON_MAX);
    }
}
