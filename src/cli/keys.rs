//! `berth keys`: what other applications ask for jobs with.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use berth_jobs::ids::ApiKeyId;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{
    checks,
    output::{lines, print, print_json, say, table},
    settings,
};
use crate::{
    clock::Clock,
    config::{Config, Role},
    secrets::{Place, SecretKeys, generate_api_token, hash_token, signing_key},
    store::{
        Store,
        api_keys::{ApiKeyRow, NewApiKey},
    },
    ways_in::external,
};

/// In characters, as the table has it.
const LONGEST_NAME: usize = 40;

#[derive(Debug, clap::Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key for an application, and show it: this once.
    #[command(before_help = "Examples:\n  berth keys create crm --kinds provision_account,suspend_account\n  \
        berth keys create cron --kinds sweep_accounts --days 365\n  berth keys create shop --kinds provision_account --inbox\n")]
    #[command(
        after_help = "Only a hash of the key is kept. To replace one, make another for the same application, use it, then \
        revoke the first: to Berth both are one caller."
    )]
    Create(CreateArgs),
    /// All keys: whose, for what, and when each was last used.
    #[command(before_help = "Examples:\n  berth keys list\n  berth keys list --json\n")]
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// End a key, at once.
    #[command(before_help = "Examples:\n  berth keys revoke key_01k9z3m6sne5y8r7q2w4x6t8va\n")]
    #[command(after_help = "Exits 1 when it held no more. What was asked for with it goes on.")]
    Revoke {
        /// Which.
        id: ApiKeyId,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// The application: lower-case letters, digits, - and _.
    application: String,
    /// The kinds of jobs that it may ask for.
    #[arg(long, required = true, value_delimiter = ',', value_name = "KIND,…")]
    kinds: Vec<String>,
    /// The key ends after so many days. Without it, when it is revoked.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: Option<u16>,
    /// It may also sign entries of the Redis inbox. Needs secrets.key.
    #[arg(long)]
    inbox: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// A key that was made.
#[derive(Serialize)]
struct Made<'a> {
    id: ApiKeyId,
    application: &'a str,
    kinds: &'a [String],
    expires_at: Option<Timestamp>,
    /// Shown once.
    token: &'a str,
    /// What entries of the inbox are signed with.
    signing_key: Option<&'a str>,
}

pub(super) async fn run(file: Option<PathBuf>, command: KeysCommand) -> anyhow::Result<ExitCode> {
    let config = settings::load_or_dev(file)?;
    settings::log_quietly(&config)?;
    config.require_for(Role::Operate)?;
    let store = Store::new(&config.database)?;
    checks::migrated(&store, &config).await?;
    match command {
        KeysCommand::Create(args) => {
            check(&args.application, &args.kinds)?;
            create(&store, &config, args).await?;
        }
        KeysCommand::List { json } => {
            let keys = store.api_keys().await?;
            if json { print_json(&keys)? } else { print(&listed(&keys, Clock::machine()))? }
        }
        KeysCommand::Revoke { id } => {
            if !store.revoke_api_key(id).await? {
                say(&format!("error: there is no key {id} that holds"));
                return Ok(ExitCode::FAILURE);
            }
            print(&format!("{id} holds no more"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(application: &str, kinds: &[String]) -> anyhow::Result<()> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let begins = application.starts_with(|first: char| first.is_ascii_lowercase());
    if !begins || application.len() > LONGEST_NAME || !application.bytes().all(legal) {
        bail!(
            "{application:?} is no name of an application: lower-case letters, digits, - and _, a letter first, at most \
               {LONGEST_NAME}"
        );
    }
    if let Some(unknown) = kinds.iter().find(|wanted| external().all(|kind| kind.name != wanted.as_str())) {
        let names: Vec<&str> = external().map(|kind| kind.name).collect();
        bail!("no job that applications may ask for is called `{unknown}`; there are {}", names.join(", "));
    }
    Ok(())
}

async fn create(store: &Store, config: &Config, args: CreateArgs) -> anyhow::Result<()> {
    let CreateArgs { application, mut kinds, days, inbox, json } = args;
    kinds.sort();
    kinds.dedup();
    let (id, token) = (ApiKeyId::new(), generate_api_token()?);
    let signing = inbox.then(|| signing_key(&token));
    let sealed = signing.as_ref().map(|signing| sealed(config, id, signing)).transpose()?;
    let hours = days.map(|days| SignedDuration::from_hours(24 * i64::from(days)));
    let expires_at = hours.map(|hours| Clock::machine().checked_add(hours)).transpose()?;
    let token_hash = hash_token(token.expose_secret());
    let new = NewApiKey { id, application, token_hash, kinds, sealed_signing_key: sealed, expires_at };
    store.add_api_key(&new).await?;
    let signing_key = signing.as_ref().map(|signing| signing.expose_secret());
    if json {
        let (application, token) = (new.application.as_str(), token.expose_secret());
        return print_json(&Made { id, application, kinds: &new.kinds, expires_at, token, signing_key });
    }
    say(&format!(
        "berth: {id} for {}, which may ask for {}; it is shown only now:",
        new.application,
        new.kinds.join(", ")
    ));
    print(token.expose_secret())?;
    if let Some(signing_key) = signing_key {
        say("berth: entries of the inbox are signed with this, and name the key's id:");
        print(signing_key)?;
    }
    Ok(())
}

/// What signs entries, as it is stored.
fn sealed(config: &Config, id: ApiKeyId, signing_key: &SecretString) -> anyhow::Result<String> {
    let keys =
        config.secrets.key.as_ref().context("secrets.key is not set: what signs entries is kept sealed by it")?;
    Ok(SecretKeys::parse(keys)?.seal(&Place::signing_key_of(id), signing_key)?.into_string())
}

fn listed(keys: &[ApiKeyRow], now: Timestamp) -> String {
    if keys.is_empty() {
        return "no keys: `berth keys create` makes one".to_owned();
    }
    let mut rows = table(&["KEY", "APPLICATION", "KINDS", "INBOX", "HOLDS", "LAST USED"]);
    for key in keys {
        let holds = match (key.revoked_at, key.expires_at) {
            (Some(at), _) => format!("no: revoked {at:.0}"),
            (None, Some(at)) if at <= now => format!("no: ended {at:.0}"),
            (None, Some(at)) => format!("until {at:.0}"),
            (None, None) => "yes".to_owned(),
        };
        rows.add_row([
            key.id.to_string(),
            key.application.clone(),
            key.kinds.join(", "),
            if key.inbox { "yes" } else { "no" }.to_owned(),
            holds,
            key.last_used_at.map_or_else(|| "never".to_owned(), |at| format!("{at:.0}")),
        ]);
    }
    lines(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_and_its_kinds_are_looked_at_first() {
        let why = |application: &str, kinds: &[&str]| {
            let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
            check(application, &kinds).map_err(|error| error.to_string())
        };

        assert_eq!(why("my-crm_2", &["no_op", "sweep_accounts"]), Ok(()));
        assert!(why("My CRM", &["no_op"]).unwrap_err().contains("is no name of an application"));
        assert!(
            why("crm", &["send_mail"])
                .unwrap_err()
                .starts_with("no job that applications may ask for is called `send_mail`")
        );
    }
}
