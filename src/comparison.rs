//! A server and the database, held against each other by the server's own list: what differs is told, and nothing is changed. What
//! the list says of an account is its name and whether it is suspended; its package is compared when it is looked at by itself.

use std::collections::HashSet;

use berth_jobs::ids::AccountId;
use jiff::Timestamp;

use crate::{
    domain::account::AccountPhase,
    gateways::panels::Listed,
    orphans::{self, Why},
    store::{Store, StoreError, listed::PlacedAccount},
};

/// Something that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The login on the server.
    pub username: String,
    /// Whose, where either side says so.
    pub account_id: Option<AccountId>,
    /// What.
    pub what: What,
}

/// What can differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It is there and should not be.
    Orphan(Why),
    /// It is suspended there, and should work.
    Suspended,
    /// It works there, and should be suspended.
    Works,
    /// It is not there.
    Absent,
}

impl What {
    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Orphan(_) => "orphan",
            Self::Suspended => "suspended",
            Self::Works => "works",
            Self::Absent => "absent",
        }
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Orphan(why) => write!(f, "it should not be there: {why}"),
            Self::Suspended => f.write_str("it is suspended there, and works here"),
            Self::Works => f.write_str("it works there, and is suspended here"),
            Self::Absent => f.write_str("it is not there"),
        }
    }
}

/// What differs between a server's list and the accounts that are placed on it, by name. Accounts that are being changed are left out.
///
/// # Errors
/// When the database does not answer.
pub async fn of_server(
    store: &Store,
    server: &str,
    listed: Vec<Listed>,
    now: Timestamp,
) -> Result<Vec<Difference>, StoreError> {
    let placed = store.accounts_placed_on(server).await?;
    let orphans = orphans::among(store, server, listed.clone(), now).await?;
    let unwanted: HashSet<&str> = orphans.iter().map(|orphan| orphan.listed.username.as_str()).collect();
    let mut found: Vec<Difference> = placed.iter().filter_map(|row| difference(row, &listed, &unwanted)).collect();
    found.extend(orphans.iter().map(|orphan| Difference {
        username: orphan.listed.username.clone(),
        account_id: orphan.listed.account_id,
        what: What::Orphan(orphan.why.clone()),
    }));
    found.sort_by(|one, other| one.username.cmp(&other.username));
    Ok(found)
}

fn difference(row: &PlacedAccount, listed: &[Listed], unwanted: &HashSet<&str>) -> Option<Difference> {
    let works = match row.phase {
        AccountPhase::Active | AccountPhase::Grace => true,
        AccountPhase::Suspended => false,
        AccountPhase::Pending
        | AccountPhase::Provisioning
        | AccountPhase::Failed
        | AccountPhase::Suspending
        | AccountPhase::Unsuspending
        | AccountPhase::Changing
        | AccountPhase::Terminating
        | AccountPhase::Terminated => return None,
    };
    let is_it = |it: &&Listed| match it.account_id {
        Some(id) => id == row.id && !unwanted.contains(it.username.as_str()),
        None => it.username == row.username,
    };
    let what = match listed.iter().find(is_it) {
        None => What::Absent,
        Some(it) if it.suspended && works => What::Suspended,
        Some(it) if !it.suspended && !works => What::Works,
        Some(_) => return None,
    };
    Some(Difference { username: row.username.clone(), account_id: Some(row.id), what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(username: &str, phase: AccountPhase) -> PlacedAccount {
        PlacedAccount { id: AccountId::new(), username: username.to_owned(), phase }
    }

    fn as_listed(row: &PlacedAccount, has_id: bool, suspended: bool) -> Listed {
        let account_id = has_id.then_some(row.id);
        Listed { account_id, username: row.username.clone(), remote_id: None, suspended }
    }

    #[test]
    fn what_works_on_one_side_alone_or_is_not_there_differs() {
        let check = |phase, suspended: Option<bool>, expected: Option<What>| {
            let row = row("zoe1", phase);
            for has_id in [true, false] {
                let listed: Vec<Listed> = suspended.iter().map(|it| as_listed(&row, has_id, *it)).collect();
                let found = difference(&row, &listed, &HashSet::new());
                assert_eq!(found.map(|it| it.what), expected, "{phase} {suspended:?} {has_id}");
            }
        };

        check(AccountPhase::Active, Some(false), None);
        check(AccountPhase::Grace, Some(true), Some(What::Suspended));
        check(AccountPhase::Suspended, Some(true), None);
        check(AccountPhase::Suspended, Some(false), Some(What::Works));
        check(AccountPhase::Active, None, Some(What::Absent));
        check(AccountPhase::Changing, None, None);
    }

    #[test]
    fn an_orphan_that_carries_an_accounts_id_does_not_stand_for_it() {
        let row = row("zoe1", AccountPhase::Active);
        let second = Listed { username: "zoe2".to_owned(), ..as_listed(&row, true, false) };

        let found = difference(&row, &[second], &HashSet::from(["zoe2"]));

        assert_eq!(found.map(|it| it.what), Some(What::Absent));
    }
}
