//! Orphans: accounts that lie on a server under Berth's mark, and that the database does not know there. They are found and
//! told, and never removed by themselves: of an account without a row nobody here can say that its files are not needed.

use std::collections::{BTreeMap, BTreeSet};

use berth_jobs::ids::AccountId;
use jiff::{SignedDuration, Timestamp};

use crate::{
    gateways::panels::Listed,
    store::{Store, StoreError, listed::KnownAccount},
};

/// So long after its end nothing is at work any more that would remove what is left of an account.
const ENDING: SignedDuration = SignedDuration::from_hours(1);

/// An account that should not be where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// As its server lists it.
    pub listed: Listed,
    /// Why it should not.
    pub why: Why,
}

/// Why an account should not be where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The database knows no such account.
    Unknown,
    /// Its row ended, and nothing should be left of it.
    Ended(AccountId, Timestamp),
    /// Its row is placed on another server; `None` is on none yet.
    Elsewhere(AccountId, Option<String>),
    /// Its row has another name on this server.
    Renamed(AccountId, String),
    /// Its row's own account is on this server as well.
    Second(AccountId),
}

impl Why {
    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ended(..) => "ended",
            Self::Elsewhere(..) => "elsewhere",
            Self::Renamed(..) => "renamed",
            Self::Second(_) => "second",
        }
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("nothing here knows it"),
            Self::Ended(id, at) => write!(f, "{id} ended at {}", at.strftime("%Y-%m-%d %H:%M:%SZ")),
            Self::Elsewhere(id, Some(server)) => write!(f, "{id} is placed on {server}"),
            Self::Elsewhere(id, None) => write!(f, "{id} is placed on no server"),
            Self::Renamed(id, username) => write!(f, "{id} is called {username} here"),
            Self::Second(id) => write!(f, "{id} has another one here"),
        }
    }
}

/// Which of the accounts that a server has listed are orphans, by name. What is read here is younger than the list: an account
/// that was being made meanwhile has its row, which is written before a server is told of it.
///
/// # Errors
/// When the database does not answer.
pub async fn among(
    store: &Store,
    server: &str,
    mut listed: Vec<Listed>,
    now: Timestamp,
) -> Result<Vec<Orphan>, StoreError> {
    listed.sort_by(|one, other| one.username.cmp(&other.username));
    let ids: Vec<AccountId> = listed.iter().filter_map(|account| account.account_id).collect();
    let nameless: Vec<String> =
        listed.iter().filter(|account| account.account_id.is_none()).map(|account| account.username.clone()).collect();
    let known = Known {
        server,
        by_id: store.accounts_by_id(&ids).await?.into_iter().map(|account| (account.id, account)).collect(),
        by_name: by_name(server, store.accounts_by_name(&nameless).await?),
    };
    Ok(known.orphans_of(listed, now))
}

/// Of several rows with a name the one on this server counts.
fn by_name(server: &str, accounts: Vec<KnownAccount>) -> BTreeMap<String, KnownAccount> {
    let mut by_name: BTreeMap<String, KnownAccount> = BTreeMap::new();
    for account in accounts {
        let Some(username) = account.username.clone() else { continue };
        let is_here = account.server.as_deref() == Some(server);
        if is_here || !by_name.contains_key(&username) {
            by_name.insert(username, account);
        }
    }
    by_name
}

/// What the database knows of the accounts that a server has listed.
struct Known<'a> {
    server: &'a str,
    by_id: BTreeMap<AccountId, KnownAccount>,
    /// Of those that carry no id of ours.
    by_name: BTreeMap<String, KnownAccount>,
}

impl Known<'_> {
    fn orphans_of(&self, listed: Vec<Listed>, now: Timestamp) -> Vec<Orphan> {
        let remote_ids: BTreeSet<(AccountId, String)> =
            listed.iter().filter_map(|account| Some((account.account_id?, account.remote_id.clone()?))).collect();
        let is_beside = |row: &KnownAccount| {
            row.remote_id.clone().is_some_and(|remote_id| remote_ids.contains(&(row.id, remote_id)))
        };
        let orphan = |listed: Listed| Some(Orphan { why: self.why(&listed, now, is_beside)?, listed });
        listed.into_iter().filter_map(orphan).collect()
    }

    /// Why an account should not be there; `None` where it should. `is_beside`: whether the account that its server named at the
    /// creation is among those that are listed.
    fn why(&self, listed: &Listed, now: Timestamp, is_beside: impl Fn(&KnownAccount) -> bool) -> Option<Why> {
        let row = match listed.account_id {
            Some(id) => self.by_id.get(&id),
            None => self.by_name.get(&listed.username),
        };
        let Some(row) = row else { return Some(Why::Unknown) };
        if row.server.as_deref() != Some(self.server) {
            return Some(Why::Elsewhere(row.id, row.server.clone()));
        }
        if let Some(ended_at) = row.ended_at {
            return (now.duration_since(ended_at) > ENDING).then_some(Why::Ended(row.id, ended_at));
        }
        // What the server called it at its creation it is still called by, whatever else has been changed there since.
        if listed.remote_id.is_some() && listed.remote_id == row.remote_id {
            return None;
        }
        match &row.username {
            Some(username) if *username != listed.username => Some(Why::Renamed(row.id, username.clone())),
            Some(_) | None => is_beside(row).then_some(Why::Second(row.id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_900_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn row(id: AccountId) -> KnownAccount {
        KnownAccount {
            id,
            server: Some("web1".to_owned()),
            username: Some("alice".to_owned()),
            remote_id: None,
            ended_at: None,
        }
    }

    fn listed(account_id: Option<AccountId>, username: &str, remote_id: Option<&str>) -> Listed {
        let (username, remote_id) = (username.to_owned(), remote_id.map(str::to_owned));
        Listed { account_id, username, remote_id, suspended: false }
    }

    fn orphans(rows: &[KnownAccount], listed: Vec<Listed>) -> Vec<Why> {
        let known = Known {
            server: "web1",
            by_id: rows.iter().map(|row| (row.id, row.clone())).collect(),
            by_name: by_name("web1", rows.to_vec()),
        };
        known.orphans_of(listed, at(NOW)).into_iter().map(|orphan| orphan.why).collect()
    }

    #[test]
    fn an_account_is_known_by_its_id_or_where_it_carries_none_by_its_name() {
        let id = AccountId::new();
        let rows = [row(id)];

        assert_eq!(orphans(&rows, vec![listed(Some(id), "alice", None)]), []);
        assert_eq!(orphans(&rows, vec![listed(None, "alice", None)]), []);
        assert_eq!(orphans(&rows, vec![listed(Some(AccountId::new()), "alice", None)]), [Why::Unknown]);
        assert_eq!(orphans(&rows, vec![listed(None, "bob", None)]), [Why::Unknown]);
    }

    #[test]
    fn an_account_is_at_home_on_the_server_of_its_row_alone() {
        let id = AccountId::new();
        let on = |server: Option<&str>| [KnownAccount { server: server.map(str::to_owned), ..row(id) }];
        let elsewhere = |server: Option<&str>| [Why::Elsewhere(id, server.map(str::to_owned))];

        for account_id in [Some(id), None] {
            for server in [Some("web2"), None] {
                assert_eq!(orphans(&on(server), vec![listed(account_id, "alice", None)]), elsewhere(server));
            }
        }
        let (here, there) = (row(AccountId::new()), KnownAccount { server: Some("web2".to_owned()), ..row(id) });
        for rows in [[here.clone(), there.clone()], [there, here]] {
            assert_eq!(orphans(&rows, vec![listed(None, "alice", None)]), [], "the row of this server counts");
        }
    }

    #[test]
    fn what_is_left_of_an_ended_account_is_an_orphan_after_an_hour() {
        let id = AccountId::new();
        let ended = |seconds_ago| [KnownAccount { ended_at: Some(at(NOW - seconds_ago)), ..row(id) }];

        assert_eq!(orphans(&ended(3600), vec![listed(Some(id), "alice", None)]), []);
        assert_eq!(orphans(&ended(3601), vec![listed(Some(id), "alice", None)]), [Why::Ended(id, at(NOW - 3601))]);
    }

    #[test]
    fn of_two_of_an_account_the_one_that_its_row_does_not_name_is_an_orphan() {
        let id = AccountId::new();
        let made = [KnownAccount { remote_id: Some("101".to_owned()), ..row(id) }];
        let one = |username, remote_id| listed(Some(id), username, Some(remote_id));

        assert_eq!(orphans(&made, vec![one("alice", "101"), one("alice", "102")]), [Why::Second(id)]);
        assert_eq!(orphans(&made, vec![one("alice", "102")]), [], "the server may have moved it to another number");
        assert_eq!(orphans(&made, vec![one("bob", "101")]), [], "staff may call it as they like");
        assert_eq!(orphans(&made, vec![one("bob", "102")]), [Why::Renamed(id, "alice".to_owned())]);
    }
}
