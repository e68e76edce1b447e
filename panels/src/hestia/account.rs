//! A user as `v-list-user` shows it, and whose it is.

use berth_jobs::ids::AccountId;
use serde::Deserialize;

use crate::{AccountRef, Listed};

/// The unit that Hestia counts disk space and traffic in: `du -m` and bytes divided by it.
const MEBIBYTE: u64 = 1 << 20;

/// What we need of it. The answer has secrets too, such as the key by which a forgotten password is set.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) struct User {
    /// The username, which is the answer's key.
    #[serde(skip)]
    pub(super) username: String,
    /// The full name, with our mark in it.
    #[serde(default)]
    name: String,
    #[serde(default)]
    pub(super) package: String,
    #[serde(default)]
    suspended: String,
    #[serde(default)]
    u_disk: String,
    #[serde(default)]
    u_bandwidth: String,
    #[serde(default)]
    time: String,
    #[serde(default)]
    date: String,
}

impl User {
    /// The user's name and the second it was made in, by the server's own clock and zone: no later user has both.
    pub(super) fn remote_id(&self) -> String {
        format!("{}@{}T{}", self.username, self.date, self.time)
    }

    pub(super) fn is_ours(&self, account: &AccountRef) -> bool {
        let id = account.account_id.to_string();
        let is_marked = self.name.split_whitespace().any(|word| word == id);
        let is_the_one_created = account.remote_id.as_deref() == Some(self.remote_id().as_str());
        self.username == account.username && (is_marked || is_the_one_created)
    }

    /// As it is listed, where it has our mark.
    pub(super) fn listed(self) -> Option<Listed> {
        let id = self.name.split_whitespace().find_map(|word| word.parse().ok())?;
        let remote_id = (!self.is_being_made()).then(|| self.remote_id());
        Some(Listed { account_id: Some(id), remote_id, suspended: self.is_suspended(), username: self.username })
    }

    /// A user's directory is there before its record: until then all is empty.
    pub(super) fn is_being_made(&self) -> bool {
        self.date.is_empty() || self.time.is_empty()
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.suspended == "yes"
    }

    /// As of the server's last count.
    pub(super) fn disk_bytes(&self) -> Option<u64> {
        mebibytes(&self.u_disk)
    }

    /// Of this month, as of the server's last count.
    pub(super) fn traffic_bytes(&self) -> Option<u64> {
        mebibytes(&self.u_bandwidth)
    }
}

fn mebibytes(number: &str) -> Option<u64> {
    number.trim().parse::<u64>().ok()?.checked_mul(MEBIBYTE)
}

/// The full name that a user of ours is made with.
pub(super) fn marked_name(account_id: AccountId) -> String {
    format!("Berth {account_id}")
}

/// A web domain of a user's, as `v-list-web-domains` shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) struct WebDomain {
    /// The address that it is served at.
    #[serde(default)]
    pub(super) ip: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> User {
        User {
            username: "bob".to_owned(),
            name: name.to_owned(),
            package: String::new(),
            suspended: "no".to_owned(),
            u_disk: "14".to_owned(),
            u_bandwidth: String::new(),
            time: "19:16:46".to_owned(),
            date: "2026-11-26".to_owned(),
        }
    }

    #[test]
    fn a_user_is_ours_by_the_mark_or_by_when_it_was_made() {
        let account =
            AccountRef { account_id: AccountId::new(), username: "bob".to_owned(), remote_id: None, domain: None };
        let marked = marked_name(account.account_id);
        let created = AccountRef { remote_id: Some("bob@2026-11-26T19:16:46".to_owned()), ..account.clone() };
        let earlier = AccountRef { remote_id: Some("bob@2026-11-26T19:16:45".to_owned()), ..account.clone() };

        for (name, account, is_ours) in [
            (marked.as_str(), &account, true),
            (&format!("Jane {}", account.account_id), &account, true),
            ("Jane Doe", &account, false),
            (&marked_name(AccountId::new()), &account, false),
            (&format!("{marked}x"), &account, false),
            ("Jane Doe", &created, true),
            ("Jane Doe", &earlier, false),
            (&marked, &AccountRef { username: "eve".to_owned(), ..account.clone() }, false),
        ] {
            assert_eq!(user(name).is_ours(account), is_ours, "{name}: {account:?}");
        }
    }

    #[test]
    fn sizes_are_whole_mebibytes_or_unknown() {
        assert_eq!(user("").disk_bytes(), Some(14 << 20));
        assert_eq!(user("").traffic_bytes(), None);
        assert_eq!(mebibytes("18446744073709551615"), None);
    }
}
