//! An account's machine from its creation to its end.

use secrecy::SecretString;

use super::{
    api::{Form, Place},
    limits::{Limits, Options, Package, size_kib},
    machine::Machine,
    name_of,
    notes::{Notes, Stage, one_line},
    slots::PROBES,
    tasks::Goal,
    work::{Ended, Found, Halt, Look, Work, somebody_elses},
};
use crate::{AccountRef, CreateSpec, Created, Observed, PanelError, RemoteState, http::Effect};

impl Work<'_> {
    pub(super) async fn observed(&self, account: &AccountRef) -> Result<Observed, PanelError> {
        let machine = match self.look_for(account).await?.found {
            Found::Nothing => return Ok(Observed::Absent),
            Found::Foreign => return Ok(Observed::Foreign),
            Found::Ours(machine) => machine,
        };
        let missing: &[&str] = match machine.notes.stage() {
            Stage::Cloned => &["resources", "password", "first start"],
            Stage::Configured => &["first start"],
            Stage::Ready => &[],
        };
        if !missing.is_empty() {
            return Ok(Observed::Partial { missing: missing.iter().copied().map(str::to_owned).collect() });
        }
        let package = machine.notes.package().to_owned();
        Ok(Observed::Present { remote_id: machine.remote_id(), state: machine.state(), package })
    }

    pub(super) async fn create(&self, spec: &CreateSpec) -> Result<Created, Halt> {
        let look = self.look_for(&spec.account).await?;
        let (machine, adopted) = match look.found {
            Found::Foreign => return Err(name_taken(&spec.account).into()),
            Found::Ours(machine) => (machine, true),
            Found::Nothing => self.make(spec, look).await?,
        };
        let created = Created { remote_id: machine.remote_id(), site_url: None, control_panel_url: None, adopted };
        if !machine.is_ready() {
            self.finish(spec, machine).await.map_err(|halt| match halt {
                Halt::Failed(error) => past_placing(error).into(),
                waiting @ Halt::Waiting(_) => waiting,
            })?;
        }
        Ok(created)
    }

    /// Clones the template to the first of the account's numbers that is free; whether the machine was there already when that
    /// was tried.
    async fn make(&self, spec: &CreateSpec, mut look: Look) -> Result<(Machine, bool), Halt> {
        let package = self.package(&spec.package)?;
        let options = Options::chosen(&spec.configuration)?;
        let template = Place { node: &self.config.node, vmid: package.template.unwrap_or(self.config.template) };
        for _ in 0..PROBES {
            let slots = self.slots.of(spec.account.account_id);
            let Some(vmid) = slots.into_iter().find(|vmid| !look.taken.contains(vmid)) else { break };
            let notes = Notes::of_clone(spec.account.account_id, vmid, &spec.package, options);
            let said = self.api.clone_of(template, &self.clone_form(spec, vmid, &notes)?).await?;
            let ended = self.end_of(Goal::There, vmid, said).await?;
            let was_made = matches!(ended, Ended::Well);
            // Of two requests at once for a number, one fails at once or as a task.
            let was_taken = matches!(&ended, Ended::Badly(refusal) if refusal.is_taken());
            // Whatever was said: what is there now, and whose, is to be seen.
            let mut taken = std::mem::take(&mut look.taken);
            look = self
                .look_for(&spec.account)
                .await
                .map_err(|error| if was_made { past_placing(error) } else { error })?;
            match look.found {
                Found::Ours(machine) => return Ok((machine, !was_made)),
                Found::Foreign => return Err(name_taken(&spec.account).into()),
                Found::Nothing if was_taken => {
                    if !look.taken.contains(&vmid) {
                        return Err(self.unseen_guest(vmid).await.into());
                    }
                    taken.insert(vmid);
                    look.taken.extend(taken);
                }
                Found::Nothing => return Err(ended.error("the template could not be cloned").into()),
            }
        }
        Err(PanelError::capacity("the VMIDs that the account may have are all taken: the range is too small").into())
    }

    /// What it means that a number is taken by a guest that the list does not show.
    async fn unseen_guest(&self, vmid: u32) -> PanelError {
        match self.api.privileges("/vms").await {
            Ok(held) if held.contains("VM.Audit") => {
                PanelError::transient(format!("the VMID {vmid} was taken a moment ago, and is free again"))
            }
            Ok(_) => {
                let why = format!("the token may not see the guest that has the VMID {vmid} (VM.Audit on /vms)");
                PanelError::misconfigured(why)
            }
            Err(error) => error,
        }
    }

    fn clone_form(&self, spec: &CreateSpec, vmid: u32, notes: &Notes) -> Result<Form<'static>, PanelError> {
        let full = if self.config.full_clones { "1" } else { "0" };
        let mut form = vec![
            ("newid", vmid.to_string()),
            ("name", name_of(&spec.account)?.to_owned()),
            ("description", notes.to_string()),
            ("full", full.to_owned()),
        ];
        form.extend(self.config.storage.iter().map(|storage| ("storage", storage.clone())));
        form.extend(self.config.resource_pool.iter().map(|pool| ("pool", pool.clone())));
        Ok(form)
    }

    /// Gives a clone its resources and its password, and starts it.
    async fn finish(&self, spec: &CreateSpec, machine: Machine) -> Result<(), Halt> {
        let mut machine = self.made(machine).await?;
        if machine.notes.suspended().is_some() {
            let why = format!("machine {} was suspended before it was finished", machine.vmid);
            return Err(PanelError::permanent(why).into());
        }
        if machine.notes.stage() == Stage::Cloned {
            if machine.has_power() {
                // Somebody has started it, and nothing of anybody's is in it yet.
                self.cut_power(&machine).await?;
                machine = self.again(&machine).await?;
            }
            machine = self.set_up(spec, machine).await?;
        }
        if machine.is_paused() {
            self.resume(&machine).await?;
        } else if !machine.has_power() {
            self.start(&machine).await?;
        }
        let machine = self.again(&machine).await?;
        let notes = machine.notes.clone().with_stage(Stage::Ready);
        self.set(&machine, &notes, Vec::new(), "the machine could not be marked as finished").await?;
        Ok(())
    }

    async fn set_up(&self, spec: &CreateSpec, machine: Machine) -> Result<Machine, Halt> {
        let limits = Limits::new(self.package(machine.notes.package())?, machine.notes.options()?);
        let machine = self.grow_to(limits, machine).await?;
        let notes = machine.notes.clone().with_stage(Stage::Configured);
        let mut form = vec![("description", notes.to_string()), ("onboot", "1".to_owned())];
        // That of a template, which its clones have too, would keep them for ever.
        form.push(("protection", "0".to_owned()));
        form.extend(limits.parameters());
        form.push(("ciuser", self.config.login.clone()));
        form.extend(self.config.ip_config.iter().map(|addresses| ("ipconfig0", addresses.clone())));
        if !self.config.ssh_keys.is_empty() {
            form.push(("sshkeys", escaped(&self.config.ssh_keys.join("\n"))));
        }
        self.set_password_on(&machine, form, &spec.password).await?;
        Ok(self.again(&machine).await?)
    }

    /// Changes a configuration that has the password in it, by which cloud-init makes the login when the machine starts.
    pub(super) async fn set_password_on(
        &self,
        machine: &Machine,
        form: Form<'_>,
        password: &SecretString,
    ) -> Result<(), Halt> {
        let said = self.api.configure(machine, form, Some(password)).await?;
        Ok(self.end_of(Goal::There, machine.vmid, said).await?.well("the machine could not be configured")?)
    }

    /// Lets the disk grow to what the limits say. It never shrinks, whatever they say.
    pub(super) async fn grow_to(&self, limits: Limits, machine: Machine) -> Result<Machine, Halt> {
        if disk_is_large_enough(&self.config.disk, limits, &machine)? {
            return Ok(machine);
        }
        let said = self.api.grow(&machine, &self.config.disk, limits.disk_mib).await?;
        let ended = self.end_of(Goal::Changed, machine.vmid, said).await?;
        let machine = self.again(&machine).await?;
        if disk_is_large_enough(&self.config.disk, limits, &machine)? {
            return Ok(machine);
        }
        Err(ended.error("the disk could not grow").into())
    }

    pub(super) async fn suspend(&self, account: &AccountRef, reason: &str) -> Result<(), Halt> {
        let machine = self.owned(account).await?;
        if matches!(machine.state(), RemoteState::Suspended { ours: false, .. }) {
            return Ok(());
        }
        let machine = if machine.notes.suspended() == Some(one_line(reason).as_str()) {
            machine
        } else {
            // First, so that a stop which nobody gets to record is ours all the same.
            let notes = machine.notes.clone().running().with_suspension(reason);
            let off = vec![("onboot", "0".to_owned())];
            self.set(&machine, &notes, off, "the suspension could not be recorded").await?
        };
        if machine.has_power() { self.shut_down(&machine).await } else { Ok(()) }
    }

    pub(super) async fn activate(&self, account: &AccountRef) -> Result<(), Halt> {
        let machine = self.owned(account).await?;
        if let RemoteState::Suspended { ours: false, reason } = machine.state() {
            let how = reason.unwrap_or_default();
            let why = format!("machine {} was {how} by somebody else, not by Berth", machine.vmid);
            return Err(PanelError::permanent(why).into());
        }
        if machine.notes.suspended().is_none() && !machine.notes.is_restarting() {
            return Ok(());
        }
        self.run_again(&machine).await
    }

    /// Starts a machine that we have stopped, and records that last: one that is stopped and not recorded would be somebody
    /// else's.
    pub(super) async fn run_again(&self, machine: &Machine) -> Result<(), Halt> {
        if machine.is_paused() {
            self.resume(machine).await?;
        } else if !machine.has_power() {
            self.start(machine).await?;
        }
        let machine = self.again(machine).await?;
        let on = vec![("onboot", "1".to_owned())];
        let notes = machine.notes.clone().running();
        self.set(&machine, &notes, on, "that the machine runs again could not be recorded").await?;
        Ok(())
    }

    pub(super) async fn put_on(&self, account: &AccountRef, package_name: &str) -> Result<(), Halt> {
        let machine = self.owned(account).await?;
        let machine = self.made(machine).await?;
        let limits = Limits::new(self.package(package_name)?, machine.notes.options()?);
        if machine.notes.package() == package_name && self.hold(limits, &machine).await? {
            return Ok(());
        }
        let machine = self.grow_to(limits, machine).await?;
        let notes = machine.notes.clone().with_package(package_name);
        let machine =
            self.set(&machine, &notes, limits.parameters().into(), "the package could not be changed").await?;
        if machine.notes.package() == package_name && self.hold(limits, &machine).await? {
            return Ok(());
        }
        Err(PanelError::ambiguous("the server says that it changed the machine, which is as it was").into())
    }

    /// Whether a machine has the limits, or will after its next start.
    async fn hold(&self, limits: Limits, machine: &Machine) -> Result<bool, PanelError> {
        let next = self.api.next_config(machine.into()).await?;
        let hold = limits.parameters().iter().all(|(key, value)| next.get(*key) == Some(value));
        Ok(hold && disk_is_large_enough(&self.config.disk, limits, machine)?)
    }

    pub(super) async fn remove(&self, account: &AccountRef) -> Result<(), Halt> {
        let mut removed = false;
        // More than one there is only where a create came late; see `look_for`.
        for _ in 0..=PROBES {
            let machine = match self.look_for(account).await?.found {
                Found::Nothing => return Ok(()),
                Found::Foreign if removed => return Ok(()),
                Found::Foreign => return Err(somebody_elses(&account.username).into()),
                Found::Ours(machine) => self.made(machine).await?,
            };
            if machine.has_power() {
                self.cut_power(&machine).await?;
            }
            // Read back right before it goes: the stop has taken its time.
            let machine = self.again(&machine).await?;
            if !machine.notes.prove(account.account_id, machine.vmid) {
                return Err(somebody_elses(&account.username).into());
            }
            self.delete(&machine).await?;
            removed = true;
        }
        Err(PanelError::ambiguous(format!("{} is there again and again", account.username)).into())
    }

    pub(super) fn package(&self, name: &str) -> Result<&Package, PanelError> {
        let known = self.config.packages.get(name);
        known.ok_or_else(|| PanelError::permanent(format!("no package of this server is called {name:?}")))
    }

    /// What the guest agent counts inside. The server itself knows what a disk may take, not what is on it.
    pub(super) async fn used(&self, account: &AccountRef) -> Result<crate::Usage, PanelError> {
        if !self.config.guest_agent {
            return Err(PanelError::permanent("without a guest agent nobody counts what is on a machine's disk"));
        }
        let machine = self.owned(account).await?;
        let said = self.api.file_systems(&machine).await?;
        let systems = said.map_err(|refusal| match refusal.is_no_agent() {
            true => PanelError::transient(format!("no guest agent answers in machine {}", machine.vmid)),
            false => refusal.error(Effect::Read, "the guest agent could not be asked for the file systems"),
        })?;
        // One that is mounted twice is on one device.
        let on_disk = systems.result.into_iter().filter(|system| !system.disk.is_empty());
        let by_device: std::collections::BTreeMap<_, _> =
            on_disk.map(|system| (system.name, system.used_bytes.unwrap_or(0))).collect();
        // A month's traffic is not counted: the counters begin anew with every start.
        let disk_bytes = by_device.values().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
        Ok(crate::Usage { disk_bytes, inodes: None, traffic_bytes: None })
    }
}

fn disk_is_large_enough(disk: &str, limits: Limits, machine: &Machine) -> Result<bool, PanelError> {
    let drive = machine.config.get(disk);
    let size = drive.and_then(|drive| size_kib(drive));
    let size = size.ok_or_else(|| {
        PanelError::misconfigured(format!("machine {} has no disk {disk} of a known size", machine.vmid))
    })?;
    Ok(size >= limits.disk_mib.saturating_mul(1 << 10))
}

/// As a parameter that is percent-encoded in itself, besides what the form does.
fn escaped(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().fold(String::new(), |mut escaped, byte| {
        match keep(byte) {
            true => escaped.push(char::from(byte)),
            false => escaped.push_str(&format!("%{byte:02X}")),
        }
        escaped
    })
}

fn name_taken(account: &AccountRef) -> PanelError {
    PanelError::name_taken(format!("{} is somebody else's machine", account.username))
}

/// A machine that is there already is not placed elsewhere, however full or busy the server is.
fn past_placing(error: PanelError) -> PanelError {
    match error {
        PanelError::Capacity(cause) | PanelError::Transient(cause) => PanelError::Ambiguous(cause),
        PanelError::Ambiguous(_)
        | PanelError::NameTaken(_)
        | PanelError::Permanent(_)
        | PanelError::Misconfigured(_)
        | PanelError::RateLimited { .. } => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_escaped_once_by_us() {
        assert_eq!(escaped("ssh-ed25519 AA+/= a@b\nc"), "ssh-ed25519%20AA%2B%2F%3D%20a%40b%0Ac");
    }
}
