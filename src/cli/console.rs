//! `berth console`: a link that signs a person with a shell into the operators' console, once.

use std::{path::PathBuf, process::ExitCode};

use nix::unistd::{Uid, User, gethostname};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{checks, output::print, settings};
use crate::{
    config::{Config, Role},
    http::console_ticket,
    store::{Store, console::Staff},
};

#[derive(Debug, clap::Args)]
pub(super) struct ConsoleArgs {
    /// Who you are, as the audit log shows it; without it, your login on this machine.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Your id among the staff: the subject of your tokens. Without it, one that is always the same for your name.
    #[arg(long, value_name = "UUID")]
    user: Option<Uuid>,
}

pub(super) async fn run(file: Option<PathBuf>, args: ConsoleArgs) -> anyhow::Result<ExitCode> {
    let config = settings::load_or_dev(file)?;
    settings::log_quietly(&config)?;
    config.require_for(Role::Operate)?;
    let store = Store::new(&config.database)?;
    checks::migrated(&store, &config).await?;
    let name = args.email.unwrap_or_else(login);
    let id = args.user.unwrap_or_else(|| id_of(&name));
    print(&link(&config, &store, &Staff { id, name }).await?)?;
    Ok(ExitCode::SUCCESS)
}

/// A link that opens one session, within a minute.
pub(super) async fn link(config: &Config, store: &Store, staff: &Staff) -> anyhow::Result<String> {
    let (secret, hash) = console_ticket()?;
    store.keep_console_ticket(&hash, staff).await?;
    let base = config.http.public_url.as_str().trim_end_matches('/');
    Ok(format!("{base}/console/enter/{}", secret.expose_secret()))
}

/// Who runs this, such as `ops@shop1`.
pub(super) fn login() -> String {
    let user = User::from_uid(Uid::current()).ok().flatten().map(|user| user.name);
    let host = gethostname().ok().and_then(|name| name.into_string().ok());
    format!("{}@{}", user.as_deref().unwrap_or("somebody"), host.as_deref().unwrap_or("somewhere"))
}

/// Always the same id for a name, told apart from those that tokens carry by its version.
pub(super) fn id_of(name: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(Sha256::digest(name)).for_each(|(to, from)| *to = from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_always_has_the_same_id_and_no_other_name_has_it() {
        assert_eq!(id_of("ops@shop1"), id_of("ops@shop1"));
        assert_ne!(id_of("ops@shop1"), id_of("ops@shop2"));
        assert_eq!(id_of("ops@shop1").get_version_num(), 8);
    }
}
