//! All accounts of the sites directory.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use super::{
    Listed, PanelError,
    disk::{Disk, Found, look},
    failures::not_applied,
    record::{Record, SiteName, State},
};

impl Disk {
    /// Every account in the directory, in no order.
    pub(super) fn list(&self) -> Result<Vec<Listed>, PanelError> {
        list(&self.root).map_err(not_applied("the sites directory could not be listed"))
    }
}

/// A directory that nobody has made yet holds nothing.
fn list(root: &Path) -> io::Result<Vec<Listed>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut accounts = Vec::new();
    for entry in entries {
        let entry = entry?.file_name();
        let Some(name) = entry.to_str().and_then(SiteName::parse) else { continue };
        match look(root, &name) {
            Ok(Found::Account { record, .. }) => accounts.push(listed(&name, Some(&record))),
            Ok(Found::Stranger | Found::Nothing) => {}
            // A record that is damaged is a record: whose it is, is all that is not known.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
                tracing::warn!(username = name.as_str(), %error, "an account's record cannot be read");
                accounts.push(listed(&name, None));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(accounts)
}

fn listed(name: &SiteName, record: Option<&Record>) -> Listed {
    Listed {
        account_id: record.map(|record| record.account_id),
        username: name.as_str().to_owned(),
        remote_id: Some(name.as_str().to_owned()),
        suspended: record.is_some_and(|record| record.state != State::Active),
    }
}

#[cfg(test)]
mod tests {
    use berth_jobs::ids::AccountId;
    use tempfile::TempDir;

    use super::*;

    fn listed_names(root: &Path) -> Vec<(String, bool)> {
        let mut names: Vec<_> =
            list(root).unwrap().into_iter().map(|each| (each.username, each.account_id.is_some())).collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_has_a_record_is_listed_and_a_damaged_one_hides_none() {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("sites");
        assert_eq!(listed_names(&root), [], "nobody has made it yet");
        let disk = Disk::new(root.clone());
        let name = |text: &str| SiteName::parse(text).unwrap();

        for username in ["alice", "bob"] {
            disk.create(&name(username), AccountId::new(), "small".to_owned(), "page").unwrap();
        }
        fs::write(root.join("bob/account.json"), "{").unwrap();
        fs::create_dir(root.join("theirs")).unwrap();
        fs::write(root.join("file"), "no directory").unwrap();
        fs::create_dir(root.join("Not a name")).unwrap();
        std::os::unix::fs::symlink(root.join("alice"), root.join("link")).unwrap();

        assert_eq!(listed_names(&root), [("alice".to_owned(), true), ("bob".to_owned(), false)]);
    }
}
