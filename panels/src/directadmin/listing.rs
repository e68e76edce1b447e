//! All accounts of our reseller. DirectAdmin lists their names; the rest it tells of each by itself.

use futures::{StreamExt as _, stream};

use super::{DirectAdminPanel, account::UserConf, reads::unreadable};
use crate::{Listed, PanelError};

/// So many accounts are asked for at once.
const AT_ONCE: usize = 4;
const USERS: &str = "CMD_API_SHOW_USERS";
const CONFIG: &str = "CMD_API_SHOW_USER_CONFIG";

impl DirectAdminPanel {
    /// All accounts of our reseller.
    pub(super) async fn accounts(&self) -> Result<Vec<Listed>, PanelError> {
        let names = self.names(USERS).await?;
        let asked = stream::iter(names).map(|name| async move {
            let told = self.calls.read(CONFIG, &[("user", name.as_str())]).await;
            (name, told)
        });
        let told: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
        let (mut accounts, mut refused) = (Vec::with_capacity(told.len()), Vec::new());
        for (name, told) in told {
            match told? {
                Ok(value) => {
                    let conf = UserConf::of(&value).ok_or_else(|| unreadable(CONFIG))?;
                    accounts.extend(conf.listed(&self.owner));
                }
                Err(refusal) => refused.push((name, refusal)),
            }
        }
        if refused.is_empty() {
            return Ok(accounts);
        }
        // One that is gone since is no account any more; of one that is there, the refusal is about something else.
        let names = self.names(USERS).await?;
        match refused.into_iter().find(|(name, _)| names.contains(name)) {
            Some((_, refusal)) => Err(refusal.into()),
            None => Ok(accounts),
        }
    }
}
