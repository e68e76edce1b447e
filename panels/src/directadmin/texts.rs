//! What DirectAdmin means by the sentences in which it refuses. There are no codes, and its admins may translate them. So no
//! more is read from them than has to be: whether a name is taken is asked of the server itself (see `reads`). What is not
//! known here is for a person to read.

use super::entities;
use crate::PanelError;

/// Longer refusals are scripts' output.
const REASON_MAX: usize = 300;

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The name cannot be had.
    NameTaken,
    /// The server, or our reseller there, has no room for an account.
    Full,
    /// Somebody is at work on the account.
    Busy,
    /// Our user or its key may not do it.
    Forbidden,
    /// Anything else.
    Other,
}

const KNOWN: &[(About, &[&str])] = &[
    (
        About::NameTaken,
        &["username already exists", "user already exists", "username is reserved", "reserved username"],
    ),
    (
        About::Full,
        &[
            "no space left on device",
            "disk quota exceeded",
            "any ips",
            "no free ip",
            "limit of users",
            "user limit",
            "maximum number of users",
            "exceed your allocation",
        ],
    ),
    (About::Busy, &["is locked", "currently being", "in progress", "try again later"]),
    (About::Forbidden, &["authority level", "login key", "not allowed to run", "access denied"]),
];

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    command: String,
    reason: String,
}

impl Refusal {
    /// What was refused, and DirectAdmin's sentences, in which none of `secrets` will be shown.
    pub(super) fn new(command: &str, reason: &str, secrets: &[&str]) -> Self {
        let mut reason = entities::decoded(reason);
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            reason = reason.replace(secret, "[redacted]");
        }
        let line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { command: command.to_owned(), reason: line.chars().take(REASON_MAX).collect() }
    }

    /// DirectAdmin's sentences, in one line.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    pub(super) fn about(&self) -> About {
        let text = self.reason.to_lowercase();
        let is_said = |(_, sentences): &&(About, &[&str])| sentences.iter().any(|part| text.contains(part));
        KNOWN.iter().find(is_said).map_or(About::Other, |(about, _)| *about)
    }
}

impl From<Refusal> for PanelError {
    fn from(refusal: Refusal) -> Self {
        let said = format!("DirectAdmin refused {}: {:?}", refusal.command, refusal.reason);
        match refusal.about() {
            About::NameTaken => Self::name_taken(said),
            About::Full => Self::capacity(said),
            About::Busy => Self::transient(said),
            About::Forbidden => Self::misconfigured(said),
            About::Other => Self::permanent(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_understood_in_any_case_and_between_others() {
        for (reason, meant) in [
            ("Cannot Create Account: That username already exists on the system", About::NameTaken),
            ("THAT USERNAME ALREADY EXISTS", About::NameTaken),
            ("Cannot Create Account: That domain already exists", About::Other),
            ("Unable to assign the Reseller ANY ips", About::Full),
            ("You have reached the limit of users you may create", About::Full),
            ("useradd: No space left on device", About::Full),
            ("User fred is locked by another process", About::Busy),
            (
                "The request you've made cannot be executed because it does not exist in your authority level",
                About::Forbidden,
            ),
            ("This Login Key does not allow CMD_API_ACCOUNT_USER", About::Forbidden),
            ("", About::Other),
        ] {
            assert_eq!(Refusal::new("X", reason, &[]).about(), meant, "{reason}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_one_line_without_secrets() {
        let refusal = Refusal::new("CMD_API_USER_PASSWD", "hunter2\n is&#32;weak:&nbsp;hunter2", &["hunter2", ""]);

        let told = PanelError::from(refusal).to_string();

        assert_eq!(told, "DirectAdmin refused CMD_API_USER_PASSWD: \"[redacted] is weak: [redacted]\"");
    }
}
