//! `berth secrets`: the keys that secrets are sealed with at rest, changed for others.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use berth_jobs::ids::{AccountId, ApiKeyId};
use serde::Serialize;
use uuid::Uuid;

use super::{
    checks,
    output::{print, print_json, say},
    progress::Progress,
    settings,
};
use crate::{
    app::StartError,
    config::Role,
    error::chain,
    failpoint,
    secrets::{Place, SecretKeys},
    store::{
        Store, StoreError,
        sealed::{Resealed, SealedColumn, SealedValue},
    },
};

/// So many values are sealed anew in one commit: a moment's work, after which their accounts are free again.
const BATCH: i64 = 500;
/// So many values that do not open are named; the others are counted.
const MOST_NAMED: u64 = 20;

pub(super) const AFTER_HELP: &str = "Values are sealed anew 500 at a time; stopped in between (Ctrl-C), the next run goes \
    on with what is left. Running it again changes nothing. Nothing has to stop for it. Exits 1 while some value still needs \
    another key than the first.\n\nTo change keys:\n  1. Put the new key before the old one in secrets.key, on every \
    machine, and restart Berth there.\n  2. berth secrets rotate\n  3. When it says so, take the old key away and restart \
    again. Links to pay that were mailed under the old key end with it.";

#[derive(Debug, clap::Subcommand)]
pub(super) enum SecretsCommand {
    /// Seal everything that is sealed anew, with the first key of secrets.key.
    #[command(before_help = "Examples:\n  berth secrets rotate --dry-run\n  berth secrets rotate\n")]
    #[command(after_help = AFTER_HELP)]
    Rotate(RotateArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct RotateArgs {
    /// Only say how many values there are to seal anew.
    #[arg(long)]
    dry_run: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// So many values in one commit.
    #[arg(long, hide = true, default_value_t = BATCH)]
    batch: i64,
}

/// How it went.
#[derive(Debug, Serialize)]
struct Rotated {
    /// The key that seals.
    key: String,
    /// How many values it sealed in this run.
    resealed: u64,
    /// How many values need each of the other keys, also those of secrets.key that none needs.
    still_need: BTreeMap<String, i64>,
    /// How many values did not open.
    unreadable: u64,
}

pub(super) async fn run(file: Option<PathBuf>, command: SecretsCommand) -> anyhow::Result<ExitCode> {
    let SecretsCommand::Rotate(args) = command;
    let config = settings::load_or_dev(file)?;
    settings::log_quietly(&config)?;
    config.require_for(Role::Operate)?;
    let unusable = |why: &str| StartError::Setting { key: "secrets.key", why: why.to_owned() };
    let key =
        config.secrets.key.as_ref().ok_or_else(|| unusable("it is not set; it names the keys, the new one first"))?;
    let keys = SecretKeys::parse(key).map_err(|error| unusable(&chain(&error)))?;
    let store = Store::new(&config.database)?;
    checks::migrated(&store, &config).await?;
    let (resealed, unreadable) = if args.dry_run { (0, 0) } else { reseal_all(&store, &keys, args.batch).await? };
    let rotated = rotated(&keys, resealed, unreadable, store.sealed_by_key().await?);
    let all = rotated.unreadable == 0 && rotated.still_need.values().all(|values| *values == 0);
    if args.json {
        print_json(&rotated)?
    } else {
        print(&shown(&rotated, args.dry_run))?
    }
    Ok(if all || args.dry_run { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn rotated(keys: &SecretKeys, resealed: u64, unreadable: u64, by_key: BTreeMap<String, i64>) -> Rotated {
    let mut ids = keys.ids().map(str::to_owned);
    let key = ids.next().unwrap_or_default();
    let mut still_need: BTreeMap<String, i64> = ids.map(|id| (id, 0)).collect();
    still_need.extend(by_key.into_iter().filter(|(id, _)| *id != key));
    Rotated { key, resealed, still_need, unreadable }
}

/// Seals anew what another key has sealed, column by column; answers how many that were, and how many did not open.
async fn reseal_all(store: &Store, keys: &SecretKeys, most: i64) -> Result<(u64, u64), StoreError> {
    let by_key = store.sealed_by_key().await?;
    let first = keys.ids().next().unwrap_or_default();
    let due = by_key.iter().filter(|(id, _)| *id != first).map(|(_, values)| u64::try_from(*values).unwrap_or(0)).sum();
    let mut progress = Progress::of("values sealed anew", due);
    let (mut resealed, mut unreadable) = (0, 0);
    for column in SealedColumn::ALL {
        let mut after = Uuid::nil();
        loop {
            let page = store.sealed_values(column, after, most).await?;
            let Some(last) = page.last() else { break };
            after = last.row;
            let batch: Vec<Resealed> =
                page.into_iter().filter_map(|value| seal_again(keys, column, value, &mut unreadable)).collect();
            if !batch.is_empty() {
                resealed += store.reseal(column, &batch).await?;
                failpoint::hit("secrets.after_batch");
            }
            progress.at(resealed);
        }
    }
    progress.end();
    Ok((resealed, unreadable))
}

/// `None` where the first key has sealed it, or it does not open, which is counted and said.
fn seal_again(keys: &SecretKeys, column: SealedColumn, value: SealedValue, unreadable: &mut u64) -> Option<Resealed> {
    if keys.is_current(&value.sealed).unwrap_or(false) {
        return None;
    }
    let (place, what) = match column {
        SealedColumn::Password => {
            let account = AccountId(value.row);
            (Place::password_of(account), format!("the password of {account}"))
        }
        SealedColumn::SigningKey => {
            let key = ApiKeyId(value.row);
            (Place::signing_key_of(key), format!("what {key} signs with"))
        }
    };
    match keys.seal_again(&place, &value.sealed) {
        Ok(sealed) => Some(Resealed { row: value.row, was: value.sealed, sealed: sealed.into_string() }),
        Err(error) => {
            *unreadable += 1;
            if *unreadable <= MOST_NAMED {
                say(&format!("error: {what}: {}", chain(&error)));
            }
            None
        }
    }
}

fn shown(rotated: &Rotated, dry_run: bool) -> String {
    let mut lines = Vec::new();
    if !dry_run {
        lines.push(format!("{} sealed anew with the key {}", values(rotated.resealed), rotated.key));
    }
    if rotated.unreadable > 0 {
        lines.push(format!("{} did not open: see above", values(rotated.unreadable)));
    }
    for (id, left) in &rotated.still_need {
        lines.push(match u64::try_from(*left).unwrap_or(0) {
            0 => format!("no value needs the key {id}: it may be taken out of secrets.key"),
            left if dry_run => format!("{} to be sealed anew, by now with the key {id}", values(left)),
            left => format!("{} still sealed with the key {id}: keep it in secrets.key", values(left)),
        });
    }
    if lines.is_empty() {
        lines.push(format!("everything is sealed with the key {}", rotated.key));
    }
    lines.join("\n")
}

fn values(count: u64) -> String {
    if count == 1 { "1 value".to_owned() } else { format!("{count} values") }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    const KEYS: &str =
        "k2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn a_key_may_go_when_no_value_needs_it_and_one_that_is_missing_is_named() {
        let keys = SecretKeys::parse(&SecretString::from(KEYS)).unwrap();
        let by_key = |pairs: &[(&str, i64)]| pairs.iter().map(|(id, values)| ((*id).to_owned(), *values)).collect();

        let done = rotated(&keys, 7, 0, by_key(&[("k2", 7)]));
        let lost = rotated(&keys, 0, 1, by_key(&[("k2", 7), ("k0", 1)]));
        let due = rotated(&keys, 0, 0, by_key(&[("k1", 2), ("k2", 7)]));

        assert_eq!(
            shown(&done, false),
            "7 values sealed anew with the key k2\nno value needs the key k1: it may be taken out of secrets.key"
        );
        assert_eq!(
            shown(&lost, false),
            "0 values sealed anew with the key k2\n1 value did not open: see above\n1 value still sealed with the key k0: \
             keep it in secrets.key\nno value needs the key k1: it may be taken out of secrets.key"
        );
        assert_eq!(shown(&due, true), "2 values to be sealed anew, by now with the key k1");
    }
}
