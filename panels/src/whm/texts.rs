//! What WHM means by the sentences in which it refuses. There are no codes. The sentences are those that clients of WHM match,
//! and recordings of real servers; they may begin with `(XID abc123) ` and end with ` at …/Create.pm line 1234.`, and have
//! been reworded over the years, so substrings are looked for. What is not known here is for a person to read.

use crate::PanelError;

/// Longer refusals are scripts' output.
const REASON_MAX: usize = 300;

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// There is no such account.
    Absent,
    /// There is none, or it is another reseller's: WHM does not say which.
    NoAccess,
    /// There is an account of that name.
    NameTaken,
    /// The name cannot be had, though no account has it.
    NameRefused,
    /// The server has no room for an account.
    Full,
    /// Somebody is at work on the account.
    Busy,
    /// Our user may not do it.
    Forbidden,
    /// Anything else.
    Other,
}

const KNOWN: &[(About, &[&str])] = &[
    (About::NoAccess, &["do not have access to an account named", "do not have a user named"]),
    (About::NameTaken, &["already has an account named"]),
    (
        About::NameRefused,
        &[
            "has the same initial",
            "is a reserved username",
            // Said of accounts too that an earlier, slow create has made meanwhile.
            "group for that username already exists",
        ],
    ),
    // `Account does not exist`, `Sorry, the user x does not exist.`, `_suspendacct called for a user that does not exist. ()`
    (About::Absent, &["account does not exist", "user that does not exist", "the user"]),
    (About::Full, &["no space left on device", "disk quota exceeded", "no free ip", "no available ip"]),
    (About::Busy, &["could not obtain a lock", "unable to obtain a lock", "another process is already"]),
    (About::Forbidden, &["permission denied", "you do not have permission", "access denied"]),
];

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    function: String,
    reason: String,
}

impl Refusal {
    /// What was refused, and WHM's sentence, in which none of `secrets` will be shown.
    pub(super) fn new<'s>(function: &str, reason: &str, secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let mut reason = sentence(reason).to_owned();
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            reason = reason.replace(secret, "[redacted]");
        }
        Self { function: function.to_owned(), reason: reason.chars().take(REASON_MAX).collect() }
    }

    /// WHM's sentence.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    pub(super) fn about(&self) -> About {
        let text = self.reason.to_lowercase();
        let is_said = |(about, sentences): &&(About, &[&str])| {
            // Of `the user` alone nothing follows; of a user that does not exist, that.
            sentences.iter().any(|part| text.contains(part))
                && (*about != About::Absent || text.contains("does not exist"))
        };
        KNOWN.iter().find(is_said).map_or(About::Other, |(about, _)| *about)
    }
}

impl From<Refusal> for PanelError {
    fn from(refusal: Refusal) -> Self {
        let said = format!("WHM refused {}: {:?}", refusal.function, refusal.reason);
        match refusal.about() {
            About::NameTaken | About::NameRefused => Self::name_taken(said),
            About::Full => Self::capacity(said),
            About::Busy => Self::transient(said),
            About::Forbidden => Self::misconfigured(said),
            About::Absent | About::NoAccess | About::Other => Self::permanent(said),
        }
    }
}

/// The sentence without what Perl puts around it, and without the lines that follow.
fn sentence(reason: &str) -> &str {
    let line = reason.trim().lines().next().unwrap_or_default();
    let line = match line.strip_prefix("(XID ").and_then(|rest| rest.split_once(") ")) {
        Some((_, rest)) => rest,
        None => line,
    };
    match line.rfind(" at /").filter(|at| line[*at..].contains(" line ")) {
        Some(at) => &line[..at],
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(reason: &str) -> About {
        Refusal::new("createacct", reason, []).about()
    }

    #[test]
    fn sentences_are_understood_however_they_are_wrapped() {
        for (reason, meant) in [
            ("This system already has an account named “x”.", About::NameTaken),
            ("(XID abc123) This system already has an account named “x”.", About::NameTaken),
            (
                "(XID 7vd) THE NAME OF ANOTHER ACCOUNT ON THIS SERVER HAS THE SAME INITIAL 8 characters",
                About::NameRefused,
            ),
            ("“x” is a reserved username on this system. at /usr/local/cpanel/Create.pm line 9.", About::NameRefused),
            ("Sorry, a group for that username already exists", About::NameRefused),
            ("Account does not exist", About::Absent),
            ("Sorry the user notexists does not exist", About::Absent),
            ("Sorry, the user x does not exist.", About::Absent),
            ("_suspendacct called for a user that does not exist. ()", About::Absent),
            ("You do not have access to an account named “x”.", About::NoAccess),
            ("You do not have a user named “x”.", About::NoAccess),
            ("The domain “d” already exists in the Apache configuration.", About::Other),
            ("Specified package does not exist.", About::Other),
            ("Sorry, the password may not contain the username", About::Other),
            ("mkdir: No space left on device", About::Full),
            ("Permission denied", About::Forbidden),
            ("", About::Other),
        ] {
            assert_eq!(about(reason), meant, "{reason}");
        }
    }

    #[test]
    fn a_refusal_is_told_without_wrapping_and_secrets() {
        let reason = "(XID a1) “hunter2” is weak. at /usr/local/cpanel/Create.pm line 12.\nmore output";

        let refusal = Refusal::new("passwd", reason, ["hunter2", ""]);

        assert_eq!(refusal.reason(), "“[redacted]” is weak.");
        assert_eq!(PanelError::from(refusal).to_string(), "WHM refused passwd: \"“[redacted]” is weak.\"");
    }

    #[test]
    fn a_sentence_that_is_not_known_is_for_a_person() {
        let refused = PanelError::from(Refusal::new("createacct", "Something new", []));

        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    }
}
