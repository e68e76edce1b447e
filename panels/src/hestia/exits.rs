//! What Hestia means by the exit codes of its commands, which its API passes on. The API gives its own refusals of keys and
//! addresses in the same way, so that an HTTP status says little: 401 is also that a user is suspended.

use crate::{Cause, PanelError, http::Effect};

/// Longer refusals are scripts' output.
const MESSAGE_MAX: usize = 300;

/// Why a command did not do what it was told, by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// 1: too few arguments; also what `sudo` says, and a server in demo mode.
    Args,
    /// 2: an argument is not valid, a name reserved, a password too weak.
    Invalid,
    /// 3
    Absent,
    /// 4: the user or the domain is there already, or somebody else's.
    Exists,
    /// 5: the user is suspended.
    Suspended,
    /// 8: the package has no room.
    Limit,
    /// 9, 10, 21: the key is wrong, may not do it, or may not be used from here.
    Denied,
    /// 11: the API, or a part of the server, is turned off.
    Disabled,
    /// 13: the disk is full.
    Full,
    /// 14, 15, 16, 17: the load is too high, or a service that is needed does not answer.
    Busy,
    /// Another of Hestia's own: it was not done, and will not be.
    Refused,
    /// 18, 19, 20 and what is none of Hestia's, as of a command that was killed: the work may have been done.
    Unclear,
}

/// Why there is no user under a name, though one was to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmade {
    /// Somebody has the name, or it is reserved.
    Taken,
    /// The system's `useradd` failed, and Hestia hides what it said: another one was at work, a group has the name, or the
    /// system has run out of something.
    BySystem,
}

impl From<u16> for Exit {
    fn from(code: u16) -> Self {
        match code {
            1 => Self::Args,
            2 => Self::Invalid,
            3 => Self::Absent,
            4 => Self::Exists,
            5 => Self::Suspended,
            8 => Self::Limit,
            9 | 10 | 21 => Self::Denied,
            11 => Self::Disabled,
            13 => Self::Full,
            14..=17 => Self::Busy,
            6 | 7 | 12 => Self::Refused,
            _ => Self::Unclear,
        }
    }
}

/// A command that ended with another code than 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    command: String,
    code: u16,
    message: String,
    effect: Effect,
}

impl Refusal {
    /// What was refused and the sentence that came with it, in which none of `secrets` will be shown.
    pub(super) fn new<'s>(
        command: &str,
        code: u16,
        body: &str,
        effect: Effect,
        secrets: impl IntoIterator<Item = &'s str>,
    ) -> Self {
        let mut message = sentence(body).to_owned();
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            message = message.replace(secret, "[redacted]");
        }
        Self { command: command.to_owned(), code, message: message.chars().take(MESSAGE_MAX).collect(), effect }
    }

    pub(super) fn exit(&self) -> Exit {
        self.code.into()
    }

    /// Hestia's sentence.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Whether the user cannot be made under this name, and why not.
    pub(super) fn of_the_name(&self) -> Option<Unmade> {
        let said = |part| self.message.to_lowercase().contains(part);
        match self.exit() {
            Exit::Exists => Some(Unmade::Taken),
            Exit::Invalid if said("is reserved") => Some(Unmade::Taken),
            Exit::Invalid if said("user creation failed") => Some(Unmade::BySystem),
            Exit::Args
            | Exit::Invalid
            | Exit::Absent
            | Exit::Suspended
            | Exit::Limit
            | Exit::Denied
            | Exit::Disabled
            | Exit::Full
            | Exit::Busy
            | Exit::Refused
            | Exit::Unclear => None,
        }
    }

    /// Whether a service is turned off, the package has no room, or the thing is there already: what is beside an account may
    /// be missing for these reasons.
    pub(super) fn is_of_something_beside(&self) -> bool {
        matches!(self.exit(), Exit::Exists | Exit::Limit | Exit::Disabled)
    }
}

impl From<Refusal> for PanelError {
    fn from(refusal: Refusal) -> Self {
        let is_demo = refusal.message.to_lowercase().contains("security restrictions");
        let said = format!("Hestia refused {} ({}): {:?}", refusal.command, refusal.code, refusal.message);
        match refusal.exit() {
            Exit::Denied | Exit::Disabled => Self::misconfigured(said),
            Exit::Args if is_demo => Self::misconfigured(said),
            Exit::Full => Self::capacity(said),
            Exit::Busy => Self::transient(said),
            Exit::Unclear => refusal.effect.unanswered(Cause::new(said)),
            Exit::Args
            | Exit::Invalid
            | Exit::Absent
            | Exit::Exists
            | Exit::Suspended
            | Exit::Limit
            | Exit::Refused => Self::permanent(said),
        }
    }
}

/// The line with the error, of all that a command has printed.
fn sentence(body: &str) -> &str {
    let mut lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut first = lines.clone();
    let error = lines.find_map(|line| line.strip_prefix("Error: "));
    error.or_else(|| first.next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u16, body: &str) -> Refusal {
        Refusal::new("v-add-user", code, body, Effect::Mutation, [])
    }

    #[test]
    fn codes_mean_what_the_caller_can_do() {
        for (code, class) in [
            (1, "Permanent"),
            (2, "Permanent"),
            (3, "Permanent"),
            (4, "Permanent"),
            (5, "Permanent"),
            (6, "Permanent"),
            (7, "Permanent"),
            (8, "Permanent"),
            (9, "Misconfigured"),
            (10, "Misconfigured"),
            (11, "Misconfigured"),
            (12, "Permanent"),
            (13, "Capacity"),
            (14, "Transient"),
            (15, "Transient"),
            (16, "Transient"),
            (17, "Transient"),
            (20, "Ambiguous"),
            (21, "Misconfigured"),
            (137, "Ambiguous"),
        ] {
            let error = PanelError::from(refusal(code, "Error: why"));

            assert!(format!("{error:?}").starts_with(class), "{code}: {error:?}");
        }
    }

    #[test]
    fn a_code_that_leaves_it_open_is_asked_again_of_a_read() {
        let refusal = Refusal::new("v-list-user", 137, "", Effect::Read, []);

        assert!(matches!(PanelError::from(refusal), PanelError::Transient(_)));
    }

    #[test]
    fn a_server_in_demo_mode_is_for_the_operator() {
        let body = "ERROR: Unable to perform operation due to security restrictions that are in place.";

        assert!(matches!(PanelError::from(refusal(1, body)), PanelError::Misconfigured(_)));
    }

    #[test]
    fn names_are_told_from_other_arguments_by_the_sentence() {
        for (code, body, of_the_name) in [
            (4, "Error: user svcapi exists", Some(Unmade::Taken)),
            (
                2,
                "Error: The user name 'mysql' is reserved and cannot be used. List of reserved names: aria mysql",
                Some(Unmade::Taken),
            ),
            (2, "Error: user creation failed", Some(Unmade::BySystem)),
            (2, "Error: invalid email format :: x", None),
            (2, "Error: Password not accepted due to PAM restrictions", None),
            (3, "Error: package huge doesn't exist", None),
        ] {
            assert_eq!(refusal(code, body).of_the_name(), of_the_name, "{body}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_one_line_without_secrets() {
        let body = "creating...\nError: invalid password format :: hunter2\nmore\n";

        let refusal = Refusal::new("v-add-user", 2, body, Effect::Mutation, ["hunter2", ""]);

        assert_eq!(refusal.message(), "invalid password format :: [redacted]");
        let error = PanelError::from(refusal);
        assert_eq!(error.to_string(), "Hestia refused v-add-user (2): \"invalid password format :: [redacted]\"");
    }
}
