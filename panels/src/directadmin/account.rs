//! An account as its `user.conf` has it, and whose it is.

use std::time::Duration;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::Value;

use super::{answers::text_of, marks::Mark};
use crate::{AccountRef, Listed};

/// The server's clock may be this much behind ours.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
/// Dates of creation are in the server's zone, which may be this far west of the one that they are read in.
const ZONE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// Such as `Sat Sep 4 13:45:58 2021`.
const DATE: &str = "%a %b %d %H:%M:%S %Y";

#[derive(Clone, Debug)]
pub(super) struct UserConf {
    pub(super) username: String,
    pub(super) domain: String,
    pub(super) package: String,
    creator: String,
    usertype: String,
    date_created: String,
    suspended: bool,
    suspended_reason: Option<String>,
    /// Unix time in seconds.
    pub(super) suspend_date: Option<u64>,
}

/// What proves an account ours.
pub(super) struct Proof<'a> {
    pub(super) account: &'a AccountRef,
    pub(super) owner: &'a str,
    pub(super) domain: &'a str,
    /// No account that is older can be the one of this intent.
    pub(super) intended_at: Option<Timestamp>,
}

impl UserConf {
    /// What `CMD_API_SHOW_USER_CONFIG` answers; `None` where it lacks what every account has.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let fields = value.as_object()?;
        let text = |name| text_of(fields, name);
        let filled = |name| text(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        Some(Self {
            username: filled("username")?,
            creator: filled("creator")?,
            domain: text("domain").unwrap_or_default(),
            package: text("package").unwrap_or_default(),
            usertype: text("usertype").unwrap_or_default(),
            date_created: filled("date_created").unwrap_or_default(),
            suspended: text("suspended")?.eq_ignore_ascii_case("yes"),
            suspended_reason: filled("suspended_reason").filter(|reason| reason != "none"),
            suspend_date: filled("suspend_date")
                .and_then(|seconds| seconds.parse().ok())
                .filter(|seconds| *seconds > 0),
        })
    }

    /// The account's name and the second it was made in: no later account has both.
    pub(super) fn remote_id(&self) -> String {
        format!("{}@{}", self.username, self.date_created.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
    }

    pub(super) fn is_ours(&self, proof: &Proof<'_>) -> bool {
        let is_the_one_created = proof.account.remote_id.as_deref() == Some(self.remote_id().as_str());
        let is_as_intended = self.domain.eq_ignore_ascii_case(proof.domain) && !self.is_older(proof.intended_at);
        self.username == proof.account.username
            && self.is_owned_by(proof.owner)
            && (is_the_one_created || is_as_intended)
    }

    /// Whether it is a customer's account that this reseller has made.
    fn is_owned_by(&self, owner: &str) -> bool {
        self.creator == owner && self.usertype == "user"
    }

    /// As it is listed, where it belongs to our reseller.
    pub(super) fn listed(self, owner: &str) -> Option<Listed> {
        self.is_owned_by(owner).then(|| Listed {
            account_id: None,
            remote_id: Some(self.remote_id()),
            suspended: self.suspended,
            username: self.username,
        })
    }

    /// A date that cannot be read makes no account older: whoever cannot adopt what a lost answer has made makes a second.
    fn is_older(&self, intended_at: Option<Timestamp>) -> bool {
        let Some(intended_at) = intended_at else { return false };
        let earliest = intended_at.as_second().saturating_sub_unsigned(CLOCK_SKEW.as_secs() + ZONE_MAX.as_secs());
        seconds_of(&self.date_created).is_some_and(|made_at| made_at < earliest)
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// The server's word for why it is suspended.
    pub(super) fn suspended_reason(&self) -> Option<&str> {
        self.suspended_reason.as_deref()
    }

    /// Whether it is the mark's suspension that holds.
    pub(super) fn is_suspended_by(&self, mark: &Mark) -> bool {
        let is_of_its_date = mark.at.is_none_or(|at| self.suspend_date == Some(at));
        self.suspended && self.suspended_reason.as_deref() == Some(mark.under.as_str()) && is_of_its_date
    }
}

fn seconds_of(date: &str) -> Option<i64> {
    let date = date.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    if let Ok(seconds) = date.parse() {
        return Some(seconds);
    }
    let civil = DateTime::strptime(DATE, &date).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_servers_write_them() {
        for (text, seconds) in [
            ("Sat Sep  4 13:45:58 2021", Some(1_630_763_158)),
            ("Sat Sep 4 13:45:58 2021", Some(1_630_763_158)),
            ("1630763158", Some(1_630_763_158)),
            ("4 septembre 2021", None),
            ("", None),
        ] {
            assert_eq!(seconds_of(text), seconds, "{text}");
        }
    }
}
