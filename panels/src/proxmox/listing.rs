//! All machines that are accounts of ours. The cluster lists its guests without their notes, so each that has a number of ours is
//! asked for its own.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{api::Place, machine::Machine, wire::Guest, work::Work};
use crate::{Listed, PanelError, RemoteState};

/// So many machines are asked for at once.
const AT_ONCE: usize = 8;

impl Work<'_> {
    /// All machines that are accounts of ours, with what they do as the cluster's list has it, some seconds old.
    pub(super) async fn accounts(&self) -> Result<Vec<Listed>, PanelError> {
        let guests = self.api.guests().await?;
        let numbered = guests.into_iter().filter(|guest| guest.is_machine() && self.slots.contain(guest.vmid));
        let listed = stream::iter(numbered.map(|guest| self.account(guest))).buffer_unordered(AT_ONCE);
        listed.try_filter_map(|listed| async { Ok(listed) }).try_collect().await
    }

    async fn account(&self, guest: Guest) -> Result<Option<Listed>, PanelError> {
        let Some(config) = self.api.config(Place { node: &guest.node, vmid: guest.vmid }).await? else {
            let why = format!("machine {} is being moved or removed, and does not say whose it is", guest.vmid);
            return Err(PanelError::transient(why));
        };
        let username = config.get("name").cloned().unwrap_or_else(|| guest.name.clone());
        let status = guest.status();
        let machine = Machine::new(guest.vmid, guest.node, config, status);
        let Some(account) = machine.notes.account_at(machine.vmid) else { return Ok(None) };
        Ok(Some(Listed {
            account_id: account.parse().ok(),
            username,
            remote_id: Some(machine.remote_id()),
            // One that is half-created has not run yet, and is not suspended for that.
            suspended: machine.is_ready() && machine.state() != RemoteState::Active,
        }))
    }
}
