//! The password of an instance's login, by the image's own `chpasswd`.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::{
    api::Reply,
    names::InstanceName,
    tasks::Goal,
    work::{Halt, Work},
};
use crate::{AccountRef, PanelError, http::Effect};

/// The command takes a moment; a machine with much to do may need longer.
const COMMAND_MAX: Duration = Duration::from_secs(30);
/// A shell's answer where a command is not there.
const NOT_THERE: u64 = 127;

impl Work<'_> {
    pub(super) async fn set_password(&self, account: &AccountRef, password: &SecretString) -> Result<(), Halt> {
        let name = InstanceName::of(account)?;
        let instance = self.owned(account, &name, Goal::Running).await?;
        if !instance.is_running() {
            let why = format!("{name} does not run, and only inside of a running instance can a password be set");
            return Err(PanelError::permanent(why).into());
        }
        self.change_password(&name, password).await
    }

    /// The password goes by a file for root alone in the instance's `/dev`, which is memory: so it is in no argument, no
    /// environment, no operation of the daemon's, and on no disk.
    pub(super) async fn change_password(&self, name: &InstanceName, password: &SecretString) -> Result<(), Halt> {
        if password.expose_secret().contains(['\n', '\r', '\0']) {
            return Err(PanelError::permanent("the password has a line's end in it").into());
        }
        let file = format!("/dev/.berth-{}", Uuid::new_v4());
        let line = format!("{}:{}\n", self.config.login, password.expose_secret());
        let written = match self.api.write(name, &file, line).await {
            Ok(Reply::Refused(refusal)) => {
                Err(refusal.error(Effect::Mutation, "the password could not be handed over").into())
            }
            Ok(Reply::Done(_) | Reply::Started(_)) => self.read_in(name, &file).await,
            Err(error) => Err(error.into()),
        };
        if written.is_err() {
            self.wipe(name, &file).await;
        }
        written
    }

    async fn read_in(&self, name: &InstanceName, file: &str) -> Result<(), Halt> {
        let script = r#"chpasswd < "$1"; code=$?; rm -f "$1"; exit "$code""#;
        let reply = self.api.run(name, &["/bin/sh", "-c", script, "sh", file]).await?;
        let ended = self.end_here(COMMAND_MAX, name, reply, "the password could not be set").await?;
        match ended.get("return").and_then(serde_json::Value::as_u64) {
            Some(0) => Ok(()),
            Some(NOT_THERE) => Err(PanelError::permanent("the instance's image has no chpasswd").into()),
            code => Err(PanelError::permanent(format!("the instance's chpasswd has failed ({code:?})")).into()),
        }
    }

    async fn wipe(&self, name: &InstanceName, file: &str) {
        let gone = match self.api.remove(name, file).await {
            Ok(Reply::Done(_) | Reply::Started(_)) => true,
            Ok(Reply::Refused(refusal)) => refusal.status == 404,
            Err(_) => false,
        };
        if !gone {
            tracing::warn!(instance = name.as_str(), file, "a password may lie in an instance's memory until it stops");
        }
    }
}
