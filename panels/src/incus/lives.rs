//! An account's instance from its creation to its end.

use serde_json::json;

use super::{
    limits::{Limits, Options, Package},
    names::InstanceName,
    tasks::Goal,
    wire::{ACCOUNT, AUTOSTART, DAEMON, Instance, Named, OPTIONS, PACKAGE, READY, RESTORING, SUSPENDED},
    work::{Ended, Found, Halt, Work},
};
use crate::{AccountRef, CreateSpec, Created, Listed, Observed, PanelError, RemoteState};

impl Work<'_> {
    pub(super) async fn create(&self, spec: &CreateSpec) -> Result<Created, Halt> {
        let name = InstanceName::of(&spec.account)?;
        let created =
            |adopted| Created { remote_id: name.as_str().to_owned(), site_url: None, control_panel_url: None, adopted };
        let made = match self.find(&spec.account, &name).await? {
            Found::Foreign => return Err(name_taken(&name).into()),
            Found::Ours(instance) if instance.is_ready() => return Ok(created(true)),
            Found::Nothing => {
                // What an earlier call has begun to make is not there at once.
                self.idle(&name, Goal::There).await?;
                self.make(spec, &name).await?
            }
            Found::Ours(instance) => {
                self.idle(&name, Goal::There).await?;
                self.is_torn(&instance).await? && self.make_anew(spec, &name).await?
            }
        };
        self.finish(spec, &name).await.map_err(past_placing)?;
        Ok(created(!made))
    }

    /// Makes the instance; whether it was this call that did.
    async fn make(&self, spec: &CreateSpec, name: &InstanceName) -> Result<bool, Halt> {
        let package = self.package(&spec.package)?;
        let options = Options::chosen(&spec.configuration)?;
        let Limits { mut config, root } = Limits::new(&spec.package, package, options, &self.config.pool);
        let daemon = self.api.server().await?.environment.server_pid;
        config.extend([
            (ACCOUNT, spec.account.account_id.to_string()),
            (OPTIONS, options.written()),
            (DAEMON, daemon.to_string()),
            // Whatever a profile says: who is root inside must be nobody outside.
            ("security.privileged", "false".to_owned()),
        ]);
        let body = json!({
            "name": name.as_str(),
            "type": "container",
            "source": { "type": "image", "alias": package.image.as_ref().unwrap_or(&self.config.image) },
            "profiles": package.profiles.as_ref().unwrap_or(&self.config.profiles),
            "config": config,
            "devices": { "root": root },
        });
        let reply = self.api.create(&body).await?;
        let ended = self.end_of(Goal::There, name, reply).await?;
        // A name that is taken shows in the operation only, and in words that differ from version to version.
        match self.find(&spec.account, name).await? {
            Found::Ours(_) => Ok(matches!(ended, Ended::Well(_))),
            Found::Foreign => Err(name_taken(name).into()),
            Found::Nothing => Err(ended.error("the instance could not be created").into()),
        }
    }

    /// Whether the instance may have been left with a part of its files. The daemon takes back what it fails to make, so one that it has no operation for is whole, unless it has been another daemon's: that was ended in the midst of it.
    pub(super) async fn is_torn(&self, instance: &Instance) -> Result<bool, PanelError> {
        if !instance.was_never_started() {
            return Ok(false);
        }
        let daemon = self.api.server().await?.environment.server_pid;
        Ok(instance.key(DAEMON) != Some(daemon.to_string().as_str()))
    }

    /// Nothing of anybody's is in an instance that has never run.
    async fn make_anew(&self, spec: &CreateSpec, name: &InstanceName) -> Result<bool, Halt> {
        tracing::warn!(instance = name.as_str(), "an instance that a killed daemon has left is made anew");
        self.remove(&spec.account).await?;
        self.make(spec, name).await
    }

    async fn finish(&self, spec: &CreateSpec, name: &InstanceName) -> Result<(), Halt> {
        let instance = self.owned(&spec.account, name, Goal::Running).await?;
        if instance.key(SUSPENDED).is_some() {
            return Err(PanelError::permanent(format!("{name} was suspended before it was finished")).into());
        }
        if !instance.is_running() {
            self.start(name).await?;
        }
        self.change_password(name, &spec.password).await?;
        self.set(name, json!({ READY: "true" }), "the instance could not be marked as finished").await
    }

    pub(super) async fn suspend(&self, account: &AccountRef, reason: &str) -> Result<(), Halt> {
        let name = InstanceName::of(account)?;
        let instance = self.owned(account, &name, Goal::Stopped).await?;
        let recorded = instance.key(SUSPENDED).is_some();
        if !instance.is_running() && !recorded && instance.key(RESTORING).is_none() {
            // Somebody else has stopped it, and it stays theirs.
            return Ok(());
        }
        if instance.key(SUSPENDED) != Some(reason) {
            // First, so that a stop which nobody gets to record is ours all the same.
            let ours = json!({ SUSPENDED: reason, AUTOSTART: "false" });
            self.set(&name, ours, "the suspension could not be recorded").await?;
        }
        if instance.is_running() { self.stop(&name).await } else { Ok(()) }
    }

    pub(super) async fn activate(&self, account: &AccountRef) -> Result<(), Halt> {
        let name = InstanceName::of(account)?;
        let instance = self.owned(account, &name, Goal::Running).await?;
        let ours = instance.key(SUSPENDED).is_some();
        if !instance.is_running() {
            if !ours {
                return Err(PanelError::permanent(format!("{name} was stopped by somebody else, not by Berth")).into());
            }
            self.start(&name).await?;
        }
        if ours {
            // Last: one that is stopped and not recorded would be somebody else's.
            let lifted = json!({ SUSPENDED: "", AUTOSTART: "" });
            self.set(&name, lifted, "the end of the suspension could not be recorded").await?;
        }
        Ok(())
    }

    pub(super) async fn put_on(&self, account: &AccountRef, package_name: &str) -> Result<(), Halt> {
        let name = InstanceName::of(account)?;
        let instance = self.owned(account, &name, Goal::There).await?;
        let package = self.package(package_name)?;
        let limits = Limits::new(package_name, package, Options::of(&instance)?, &self.config.pool);
        if limits.hold_for(&instance) {
            return Ok(());
        }
        let reply =
            self.api.patch(&name, &json!({ "config": limits.config, "devices": { "root": limits.root } })).await?;
        let ended = self.end_of(Goal::There, &name, reply).await?;
        match self.api.instance(&name).await? {
            Some(instance) if limits.hold_for(&instance) => Ok(()),
            Some(_) | None => Err(ended.error("the package could not be changed").into()),
        }
    }

    pub(super) async fn remove(&self, account: &AccountRef) -> Result<(), Halt> {
        let name = InstanceName::of(account)?;
        if !self.is_to_be_removed(account, &name, Goal::Stopped).await? {
            return Ok(());
        }
        self.kill(&name).await?;
        // Read back right before it goes: the stop has taken its time.
        if self.is_to_be_removed(account, &name, Goal::Gone).await? { self.delete(&name).await } else { Ok(()) }
    }

    async fn is_to_be_removed(&self, account: &AccountRef, name: &InstanceName, goal: Goal) -> Result<bool, Halt> {
        match self.find(account, name).await? {
            // A create that is on its way would make it after all.
            Found::Nothing => self.idle(name, goal).await.map(|()| false),
            Found::Ours(_) => self.idle(name, goal).await.map(|()| true),
            Found::Foreign => Err(PanelError::permanent(format!("{name} is somebody else's instance")).into()),
        }
    }

    fn package(&self, name: &str) -> Result<&Package, PanelError> {
        let known = self.config.packages.get(name);
        known.ok_or_else(|| PanelError::permanent(format!("no package of this server is called {name:?}")))
    }
}

/// What is seen of an account's instance.
pub(super) fn observed(found: Found, name: &InstanceName) -> Observed {
    let instance = match found {
        Found::Nothing => return Observed::Absent,
        Found::Foreign => return Observed::Foreign,
        Found::Ours(instance) => instance,
    };
    if !instance.is_ready() {
        let missing = if instance.is_running() { vec!["password"] } else { vec!["first start", "password"] };
        return Observed::Partial { missing: missing.into_iter().map(str::to_owned).collect() };
    }
    Observed::Present {
        remote_id: name.as_str().to_owned(),
        state: state_of(&instance),
        package: instance.key(PACKAGE).unwrap_or_default().to_owned(),
    }
}

/// An instance of the project, where it is an account of ours.
pub(super) fn listed(named: Named) -> Option<Listed> {
    let Named { name, instance } = named;
    let account_id = instance.account()?.parse().ok();
    // One that is half-created has not run yet, and is not suspended for that.
    let suspended = instance.is_ready() && state_of(&instance) != RemoteState::Active;
    Some(Listed { account_id, remote_id: Some(name.clone()), username: name, suspended })
}

/// An instance that runs is active, whatever was recorded: somebody has started it.
fn state_of(instance: &Instance) -> RemoteState {
    if instance.is_running() {
        return RemoteState::Active;
    }
    if let Some(reason) = instance.key(SUSPENDED) {
        return RemoteState::Suspended { reason: Some(reason.to_owned()), ours: true };
    }
    let restoring = instance.key(RESTORING).is_some();
    RemoteState::Suspended { reason: restoring.then(|| "restoring a backup".to_owned()), ours: restoring }
}

fn name_taken(name: &InstanceName) -> PanelError {
    PanelError::name_taken(format!("{name} is somebody else's instance"))
}

/// An account that is there already is not placed elsewhere, however full the server is.
fn past_placing(halt: Halt) -> Halt {
    match halt {
        Halt::Failed(PanelError::Capacity(cause)) => Halt::Failed(PanelError::Ambiguous(cause)),
        Halt::Failed(_) | Halt::Waiting(_) => halt,
    }
}
