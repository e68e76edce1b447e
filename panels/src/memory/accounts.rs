//! What a panel in memory holds, and what becomes of it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use berth_jobs::ids::AccountId;
use jiff::Timestamp;
use secrecy::SecretString;

use super::Fault;
use crate::{AccountRef, Backup, BackupRef, CreateSpec, Created, Listed, Observed, PanelError, RemoteState};

#[derive(Default)]
pub(super) struct Inner {
    pub(super) accounts: HashMap<String, Remote>,
    pub(super) creates: BTreeMap<AccountId, u64>,
    pub(super) backups: BTreeMap<BackupRef, Kept>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) tasks: HashMap<String, u32>,
}

#[derive(Clone)]
pub(super) struct Remote {
    /// `None` for somebody else's, who knows no ids of ours.
    pub(super) account_id: Option<AccountId>,
    pub(super) package: String,
    pub(super) password: SecretString,
    pub(super) suspended: Option<String>,
    pub(super) files: Files,
    pub(super) restored: Option<BackupRef>,
}

/// Texts by their paths.
pub(super) type Files = BTreeMap<String, String>;

pub(super) struct Kept {
    pub(super) backup: Backup,
    pub(super) files: Files,
}

impl Inner {
    /// The account, once it is proved to be ours.
    pub(super) fn owned(&mut self, account: &AccountRef) -> Result<&mut Remote, PanelError> {
        match self.accounts.get_mut(&account.username) {
            Some(remote) if remote.account_id == Some(account.account_id) => Ok(remote),
            Some(_) => Err(PanelError::permanent(format!("{} is somebody else's account", account.username))),
            None => Err(PanelError::permanent(format!("there is no account {}", account.username))),
        }
    }

    pub(super) fn create(&mut self, spec: &CreateSpec) -> Result<Created, PanelError> {
        let AccountRef { account_id, username, .. } = &spec.account;
        let adopted = match self.accounts.get(username) {
            Some(remote) if remote.account_id == Some(*account_id) => true,
            Some(_) => return Err(PanelError::name_taken(format!("{username} is somebody else's account"))),
            None => false,
        };
        if !adopted {
            *self.creates.entry(*account_id).or_default() += 1;
            let remote = Remote {
                account_id: Some(*account_id),
                package: spec.package.clone(),
                password: spec.password.clone(),
                suspended: None,
                files: Files::new(),
                restored: None,
            };
            self.accounts.insert(username.clone(), remote);
        }
        Ok(Created {
            remote_id: username.clone(),
            site_url: Some(format!("http://{username}.invalid/")),
            control_panel_url: None,
            adopted,
        })
    }

    pub(super) fn back_up(&mut self, account: &AccountRef, reference: BackupRef) -> Result<Backup, PanelError> {
        own_backup(account, reference)?;
        if let Some(kept) = self.backups.get(&reference) {
            return Ok(kept.backup.clone());
        }
        let files = self.owned(account)?.files.clone();
        let bytes = files.values().map(|text| u64::try_from(text.len()).unwrap_or(u64::MAX)).sum();
        #[expect(clippy::disallowed_methods, reason = "a panel keeps its own, real time, as a server elsewhere would")]
        let backup = Backup { reference, bytes, made_at: Timestamp::now() };
        self.backups.insert(reference, Kept { backup: backup.clone(), files });
        Ok(backup)
    }

    pub(super) fn restore(&mut self, account: &AccountRef, reference: BackupRef) -> Result<(), PanelError> {
        own_backup(account, reference)?;
        if self.owned(account)?.restored == Some(reference) {
            return Ok(());
        }
        let missing = || PanelError::permanent(format!("there is no backup {reference}"));
        let files = self.backups.get(&reference).ok_or_else(missing)?.files.clone();
        let remote = self.owned(account)?;
        remote.files = files;
        remote.restored = Some(reference);
        Ok(())
    }

    pub(super) fn list(&self) -> Vec<Listed> {
        let ours = self.accounts.iter().filter(|(_, remote)| remote.account_id.is_some());
        let listed = ours.map(|(username, remote)| Listed {
            account_id: remote.account_id,
            username: username.clone(),
            remote_id: Some(username.clone()),
            suspended: remote.suspended.is_some(),
        });
        listed.collect()
    }

    pub(super) fn observe(&self, account: &AccountRef) -> Observed {
        match self.accounts.get(&account.username) {
            None => Observed::Absent,
            Some(remote) if remote.account_id != Some(account.account_id) => Observed::Foreign,
            Some(remote) => Observed::Present {
                remote_id: account.username.clone(),
                package: remote.package.clone(),
                state: match &remote.suspended {
                    None => RemoteState::Active,
                    Some(reason) => RemoteState::Suspended { reason: Some(reason.clone()), ours: true },
                },
            },
        }
    }
}

fn own_backup(account: &AccountRef, backup: BackupRef) -> Result<(), PanelError> {
    if backup.account_id() == account.account_id {
        return Ok(());
    }
    Err(PanelError::permanent(format!("{backup} is another account's backup")))
}
