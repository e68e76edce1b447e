//! What changes accounts that are there. Each looks first, acts on what is proved ours, and reads back what Hestia says it did.

use secrecy::SecretString;

use super::{HestiaPanel, account::User, calls::Arg, creates::check_password, exits::Exit, reads::Found};
use crate::{AccountRef, PanelError};

impl HestiaPanel {
    pub(super) async fn change_package(&self, account: &AccountRef, package: &str) -> Result<(), PanelError> {
        let user = self.owned(account).await?;
        if user.package == package {
            return Ok(());
        }
        let args = [Arg::Plain(user.username.as_str()), Arg::Plain(package)];
        self.calls.change("v-change-user-package", &args).await??;
        // The command ends with 0 also where a part of it failed.
        let now = self.owned(account).await?.package;
        if now == package {
            return Ok(());
        }
        Err(PanelError::permanent(format!(
            "Hestia says that it changed the package, which is {now:?} and not {package:?}"
        )))
    }

    pub(super) async fn change_password(
        &self,
        account: &AccountRef,
        password: &SecretString,
    ) -> Result<(), PanelError> {
        check_password(password)?;
        let user = self.owned(account).await?;
        self.send_password(&user, password).await
    }

    /// Hestia refuses it of a user that is suspended.
    pub(super) async fn send_password(&self, user: &User, password: &SecretString) -> Result<(), PanelError> {
        let args = [Arg::Plain(user.username.as_str()), Arg::Secret(password)];
        Ok(self.calls.change("v-change-user-password", &args).await??)
    }

    pub(super) async fn remove(&self, account: &AccountRef) -> Result<(), PanelError> {
        let user = match self.look(account).await? {
            Found::Nothing => return Ok(()),
            Found::Foreign => {
                return Err(PanelError::permanent(format!("{} is somebody else's account", account.username)));
            }
            Found::Ours(user) => user,
        };
        if let Err(refusal) = self.calls.change("v-delete-user", &[Arg::Plain(&user.username)]).await?
            && refusal.exit() != Exit::Absent
        {
            return Err(refusal.into());
        }
        match self.look(account).await? {
            Found::Nothing => Ok(()),
            Found::Foreign | Found::Ours(_) => {
                Err(PanelError::ambiguous("Hestia says that it removed the account, which is there"))
            }
        }
    }
}
