//! One thing that was looked at: how it stands, and what to do about it.

use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    Warning,
    Broken,
    /// It was not looked at, as was asked.
    Skipped,
}

impl Verdict {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "pass",
            Self::Warning => "warning",
            Self::Broken => "FAIL",
            Self::Skipped => "skipped",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    /// What was found.
    pub(super) detail: String,
    /// What to do about it; nothing where nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

/// It is as it must be.
pub(super) fn ok(name: &'static str, detail: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::Ok, detail: detail.into(), fix: None }
}

/// It works, and should be otherwise.
pub(super) fn warning(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::Warning, detail: detail.into(), fix: Some(fix.into()) }
}

/// It must be otherwise.
pub(super) fn broken(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::Broken, detail: detail.into(), fix: Some(fix.into()) }
}

/// It was not looked at.
pub(super) fn skipped(name: &'static str) -> Check {
    Check { name, verdict: Verdict::Skipped, detail: "not asked: --offline".to_owned(), fix: None }
}

/// The only check of a list that is called so: for tests.
#[cfg(test)]
pub(super) fn only<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    let named: Vec<&Check> = checks.iter().filter(|check| check.name == name).collect();
    assert_eq!(named.len(), 1, "{name} in {checks:#?}");
    named[0]
}
