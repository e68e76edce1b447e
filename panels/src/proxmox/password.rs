//! The password of a machine's login.
//!
//! Where the guest agent answers it sets the password in the running machine, and nothing else changes. Otherwise it is given to
//! cloud-init, which sets it when the machine starts: a running one is started anew. Cloud-init then takes the machine for a
//! fresh instance, and also makes new SSH host keys unless its image says otherwise. That is why the agent's way leaves
//! cloud-init's password as it was.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    machine::Machine,
    notes::Notes,
    work::{Halt, Work},
};
use crate::{AccountRef, PanelError, http::Effect};

/// A start is followed to its end by the call that began it: the next one would begin another restart. Most take seconds.
const START_MAX: Duration = Duration::from_secs(60);

impl Work<'_> {
    pub(super) async fn set_password(&self, account: &AccountRef, password: &SecretString) -> Result<(), Halt> {
        if password.expose_secret().contains(['\n', '\r', '\0']) {
            return Err(PanelError::permanent("the password has a line's end in it").into());
        }
        let machine = self.owned(account).await?;
        let machine = self.made(machine).await?;
        if self.config.guest_agent && machine.runs() && self.is_set_inside(&machine, password).await? {
            return Ok(());
        }
        // One that is off, and not by an earlier call of this kind, takes it when it is started; so does one that is suspended
        // and was started all the same, as a restart of ours would lift the suspension.
        let restarts = (machine.runs() || machine.notes.is_restarting()) && machine.notes.suspended().is_none();
        let notes = if restarts { machine.notes.clone().with_restart() } else { machine.notes.clone() };
        self.hand_over(&machine, &notes, password).await?;
        if !restarts {
            return Ok(());
        }
        if machine.has_power() {
            self.shut_down(&machine).await?;
        }
        let machine = self.again(&machine).await?;
        let patient = Work { patience: START_MAX.max(self.patience), lock: None, ..*self };
        patient.run_again(&machine).await.map_err(|halt| match halt {
            Halt::Waiting(task) => {
                let why = format!("machine {} takes more than {} s to start", task.vmid, START_MAX.as_secs());
                PanelError::ambiguous(why).into()
            }
            failed @ Halt::Failed(_) => failed,
        })
    }

    /// Whether the guest agent is there and has set it.
    async fn is_set_inside(&self, machine: &Machine, password: &SecretString) -> Result<bool, PanelError> {
        match self.api.password_inside(machine, &self.config.login, password).await? {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.is_no_agent() => Ok(false),
            Err(refusal) => Err(refusal.error(Effect::Mutation, "the password could not be set")),
        }
    }

    async fn hand_over(&self, machine: &Machine, notes: &Notes, password: &SecretString) -> Result<(), Halt> {
        let form = vec![("description", notes.to_string()), ("ciuser", self.config.login.clone())];
        self.set_password_on(machine, form, password).await
    }
}
