//! An account as `accountsummary` shows it, and whose it is.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::calls::{Flag, Whole};
use crate::{AccountRef, Listed, RemoteState};

/// What our suspensions' reasons begin with.
const MARK: &str = "berth: ";
/// The server's clock may be this much behind ours.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Summary {
    pub(super) user: String,
    #[serde(default)]
    pub(super) domain: String,
    #[serde(default)]
    pub(super) owner: String,
    #[serde(default)]
    pub(super) plan: String,
    #[serde(default)]
    suspended: Flag,
    suspendreason: Option<String>,
    /// Only root may lift the suspension.
    #[serde(default)]
    is_locked: Flag,
    #[serde(default)]
    unix_startdate: Whole,
    /// Such as `14M`.
    pub(super) diskused: Option<String>,
    #[serde(default)]
    pub(super) inodesused: Whole,
}

/// What `accountsummary` and `listaccts` answer in its `data`.
#[derive(Deserialize)]
pub(super) struct Summaries {
    #[serde(default)]
    pub(super) acct: Option<Vec<Summary>>,
}

/// What proves an account ours.
pub(super) struct Proof<'a> {
    pub(super) account: &'a AccountRef,
    pub(super) owner: &'a str,
    pub(super) domain: &'a str,
    /// No account that is older can be the one of this intent.
    pub(super) intended_at: Option<Timestamp>,
}

impl Summary {
    /// The account's name and the second it was made in: no later account has both.
    pub(super) fn remote_id(&self) -> String {
        format!("{}@{}", self.user, self.unix_startdate.0.unwrap_or_default())
    }

    pub(super) fn is_ours(&self, proof: &Proof<'_>) -> bool {
        let is_the_one_created = proof.account.remote_id.as_deref() == Some(self.remote_id().as_str());
        let is_as_intended = self.domain.eq_ignore_ascii_case(proof.domain) && !self.is_older(proof.intended_at);
        self.user == proof.account.username && self.owner == proof.owner && (is_the_one_created || is_as_intended)
    }

    /// As it is listed, where it belongs to our reseller. A reseller may own itself, and is no account of ours.
    pub(super) fn listed(self, owner: &str) -> Option<Listed> {
        let is_ours = self.owner == owner && self.user != owner;
        is_ours.then(|| Listed {
            account_id: None,
            remote_id: Some(self.remote_id()),
            suspended: self.suspended.is_true(),
            username: self.user,
        })
    }

    fn is_older(&self, intended_at: Option<Timestamp>) -> bool {
        let Some(intended_at) = intended_at else { return false };
        let earliest = intended_at.as_second().saturating_sub_unsigned(CLOCK_SKEW.as_secs());
        let made_at = self.unix_startdate.0.and_then(|seconds| i64::try_from(seconds).ok());
        made_at.is_none_or(|made_at| made_at < earliest)
    }

    pub(super) fn state(&self) -> RemoteState {
        if !self.suspended.is_true() {
            return RemoteState::Active;
        }
        let reason = self.suspendreason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
        match reason.and_then(|reason| reason.strip_prefix(MARK)) {
            Some(ours) if !self.is_locked.is_true() => {
                RemoteState::Suspended { reason: Some(ours.to_owned()), ours: true }
            }
            _ => RemoteState::Suspended { reason: reason.map(str::to_owned), ours: false },
        }
    }
}

/// A reason as WHM is told it: one line, with our mark.
pub(super) fn marked(reason: &str) -> String {
    let line: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{MARK}{}", line.trim())
}

/// The bytes of a size such as `14M`, `1.5G` or `unlimited`.
pub(super) fn bytes_of(size: &str) -> Option<u64> {
    let size = size.trim();
    let number = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match size[number.len()..].to_ascii_uppercase().as_str() {
        "B" => 1,
        "K" | "KB" => 1 << 10,
        "" | "M" | "MB" => 1 << 20,
        "G" | "GB" => 1 << 30,
        "T" | "TB" => 1 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().ok()?;
    let places = u32::try_from(fraction.len()).ok()?;
    let parts: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let of_parts = parts.checked_mul(unit)? / 10_u64.checked_pow(places)?;
    whole.checked_mul(unit)?.checked_add(of_parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_whm_writes_them() {
        for (text, bytes) in [
            ("14M", Some(14 << 20)),
            ("0M", Some(0)),
            ("1.5G", Some(3 << 29)),
            ("7", Some(7 << 20)),
            ("unlimited", None),
            ("M", None),
            ("", None),
            ("999999999999999T", None),
        ] {
            assert_eq!(bytes_of(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_reason_is_one_line_with_our_mark() {
        assert_eq!(marked("non_payment"), "berth: non_payment");
        assert_eq!(marked("a\nb\r"), "berth: a b");
    }
}
