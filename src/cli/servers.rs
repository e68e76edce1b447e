//! `berth servers`: what accounts are placed on, how each server fares, and having new accounts go elsewhere.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::bail;
use berth_jobs::ids::AccountId;
use serde::Serialize;

use super::{
    checks,
    output::{lines, print, print_json, say, table},
    settings,
};
use crate::{
    app, comparison,
    config::{Config, Role},
    error::chain,
    gateways::panels::Panels,
    orphans::{self, Orphan},
    store::{Store, servers::Server},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum ServersCommand {
    /// All servers: what they hold, and how they fare.
    #[command(before_help = "Examples:\n  berth servers list\n  berth servers list --json\n")]
    List(Json),
    /// Ask servers whether they live and take our credentials. Exits 1 when one does not.
    #[command(before_help = "Examples:\n  berth servers test\n  berth servers test web1\n")]
    Test {
        /// Which; without it, all that are configured.
        name: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Ask a server for the accounts that it has under Berth's mark and that nothing here knows there. Changes nothing.
    #[command(before_help = "Examples:\n  berth servers orphans web1\n  berth servers orphans web1 --json\n")]
    Orphans {
        /// Which.
        name: String,
        #[command(flatten)]
        json: Json,
    },
    /// Hold servers against the database, both ways: accounts that are suspended on one side alone, that are missing there, or that
    /// should not be there. Changes nothing.
    #[command(before_help = "Examples:\n  berth servers compare\n  berth servers compare web1 --json\n")]
    Compare {
        /// Which; without it, all that are configured.
        name: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Have new accounts go elsewhere. What is on the server stays, and is looked after.
    #[command(before_help = "Examples:\n  berth servers drain web1\n  berth servers drain web1 --undo\n")]
    Drain {
        /// Which.
        name: String,
        /// Have them come again.
        #[arg(long)]
        undo: bool,
    },
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Json {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(file: Option<PathBuf>, command: ServersCommand) -> anyhow::Result<ExitCode> {
    let config = settings::load_or_dev(file)?;
    settings::log_quietly(&config)?;
    config.require_for(Role::Operate)?;
    let panels = app::panels_of(&config)?;
    match command {
        ServersCommand::List(Json { json }) => list(&store(&config).await?, &panels, json).await?,
        ServersCommand::Test { name, json: Json { json } } => return test(&panels, name.as_deref(), json).await,
        ServersCommand::Orphans { name, json: Json { json } } => {
            orphans(&store(&config).await?, &panels, &name, json).await?;
        }
        ServersCommand::Compare { name, json: Json { json } } => {
            return compare(&store(&config).await?, &panels, name.as_deref(), json).await;
        }
        ServersCommand::Drain { name, undo } => drain(&store(&config).await?, &name, undo).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn store(config: &Config) -> anyhow::Result<Store> {
    let store = Store::new(&config.database)?;
    checks::migrated(&store, config).await?;
    Ok(store)
}

#[derive(Serialize)]
struct Row {
    name: String,
    driver: String,
    accounts: u32,
    capacity: Option<u32>,
    /// All, where none is named.
    pools: Vec<String>,
    weight: Option<u32>,
    at_once: Option<u32>,
    /// What new accounts and jobs find.
    stands: &'static str,
    last_failure: Option<String>,
}

async fn list(store: &Store, panels: &Panels, json: bool) -> anyhow::Result<()> {
    let mut known: BTreeMap<String, Server> =
        store.servers().await?.into_iter().map(|server| (server.name.clone(), server)).collect();
    let placed = store.placed_accounts().await?;
    let mut rows: Vec<Row> = panels
        .servers()
        .map(|(name, driver, placement)| {
            let server = known.remove(name);
            Row {
                name: name.to_owned(),
                driver: driver.to_owned(),
                accounts: placed.get(name).copied().unwrap_or_default(),
                capacity: placement.capacity,
                pools: placement.pools.clone().unwrap_or_default(),
                weight: Some(placement.weight),
                at_once: placement.at_once,
                stands: server.as_ref().map_or("not used yet", stands),
                last_failure: server.and_then(|server| server.last_failure),
            }
        })
        .collect();
    rows.extend(known.into_values().map(|server| Row {
        accounts: placed.get(&server.name).copied().unwrap_or_default(),
        name: server.name,
        driver: server.driver,
        capacity: None,
        pools: Vec::new(),
        weight: None,
        at_once: None,
        stands: "not in this configuration",
        last_failure: server.last_failure,
    }));
    if json { print_json(&rows) } else { Ok(print(&shown(&rows))?) }
}

fn stands(server: &Server) -> &'static str {
    if server.broken_since.is_some() {
        return "broken: its jobs wait";
    }
    match server.state.as_str() {
        "disabled" => "disabled",
        "draining" => "draining",
        _ if server.drained_at.is_some() => "drained by hand",
        _ if server.is_full => "full",
        _ => "takes accounts",
    }
}

fn shown(rows: &[Row]) -> String {
    let mut all =
        table(&["NAME", "DRIVER", "ACCOUNTS", "CAPACITY", "WEIGHT", "AT ONCE", "POOLS", "STANDS", "LAST FAILURE"]);
    let number = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    for row in rows {
        all.add_row(vec![
            row.name.clone(),
            row.driver.clone(),
            row.accounts.to_string(),
            number(row.capacity),
            number(row.weight),
            number(row.at_once),
            if row.pools.is_empty() { "all".to_owned() } else { row.pools.join(",") },
            row.stands.to_owned(),
            row.last_failure.clone().unwrap_or_default(),
        ]);
    }
    lines(&all)
}

#[derive(Serialize)]
struct Tested {
    name: String,
    driver: &'static str,
    version: Option<String>,
    hostname: Option<String>,
    error: Option<String>,
}

/// The servers that are asked, with their drivers.
fn wanted<'a>(panels: &'a Panels, only: Option<&str>) -> anyhow::Result<Vec<(&'a str, &'static str)>> {
    let wanted: Vec<(&str, &'static str)> = panels
        .servers()
        .filter(|(name, ..)| only.is_none_or(|only| only == *name))
        .map(|(name, driver, _)| (name, driver))
        .collect();
    if wanted.is_empty() {
        bail!("no server is called {} in the configuration", only.unwrap_or_default());
    }
    Ok(wanted)
}

async fn test(panels: &Panels, only: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    let wanted = wanted(panels, only)?;
    let mut tested = Vec::with_capacity(wanted.len());
    for (name, driver) in wanted {
        let answer = panels.of(name)?.probe().await;
        let error = answer.as_ref().err().map(|error| chain(error));
        let info = answer.ok();
        tested.push(Tested {
            name: name.to_owned(),
            driver,
            version: info.as_ref().map(|info| info.version.clone()),
            hostname: info.and_then(|info| info.hostname),
            error,
        });
    }
    let failed = tested.iter().any(|server| server.error.is_some());
    if json {
        print_json(&tested)?;
    } else {
        let mut all = table(&["NAME", "DRIVER", "LIVES", "WHAT IT SAYS"]);
        for Tested { name, driver, version, hostname, error } in &tested {
            let says = [version, hostname, error].into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
            let lives = if error.is_none() { "yes" } else { "no" };
            all.add_row(vec![name.as_str(), driver, lives, &says]);
        }
        print(&lines(&all))?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[derive(Serialize)]
struct Found {
    username: String,
    /// Berth's id, where the panel carries it.
    account_id: Option<String>,
    /// The panel's own.
    remote_id: Option<String>,
    suspended: bool,
    /// `unknown`, `ended`, `elsewhere`, `renamed` or `second`.
    why: &'static str,
    detail: String,
}

impl From<Orphan> for Found {
    fn from(Orphan { listed, why }: Orphan) -> Self {
        Self {
            username: listed.username,
            account_id: listed.account_id.map(|id| id.to_string()),
            remote_id: listed.remote_id,
            suspended: listed.suspended,
            why: why.as_str(),
            detail: why.to_string(),
        }
    }
}

async fn orphans(store: &Store, panels: &Panels, name: &str, json: bool) -> anyhow::Result<()> {
    // First the server, then the database: what is made meanwhile has its row.
    let listed = panels.of(name)?.list().await.map_err(|error| anyhow::anyhow!(chain(&error)))?;
    let has = listed.len();
    let orphans = orphans::among(store, name, listed, store.now().await?).await?;
    let found: Vec<Found> = orphans.into_iter().map(Found::from).collect();
    say(&format!("berth: {name} has {has} accounts under Berth's mark; {} should not be there", found.len()));
    if json {
        return print_json(&found);
    }
    let mut all = table(&["USERNAME", "ACCOUNT", "SUSPENDED", "WHY"]);
    for each in &found {
        let account = each.account_id.as_deref().unwrap_or("-");
        all.add_row(vec![each.username.as_str(), account, if each.suspended { "yes" } else { "no" }, &each.detail]);
    }
    Ok(print(&lines(&all))?)
}

#[derive(Serialize)]
struct Differing {
    server: String,
    username: String,
    account_id: Option<String>,
    /// `orphan`, `suspended`, `works`, `absent` or `unlisted`.
    what: &'static str,
    detail: String,
}

/// One that does not list what it has is told as well, and makes the command fail: of it nothing is known.
async fn compare(store: &Store, panels: &Panels, only: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    let mut found = Vec::new();
    let mut exit = ExitCode::SUCCESS;
    for (server, _) in wanted(panels, only)? {
        let differing = |username, account_id: Option<AccountId>, what, detail| Differing {
            server: server.to_owned(),
            username,
            account_id: account_id.map(|id| id.to_string()),
            what,
            detail,
        };
        match panels.of(server)?.list().await {
            Ok(listed) => {
                let all = comparison::of_server(store, server, listed, store.now().await?).await?;
                let told = all
                    .into_iter()
                    .map(|it| differing(it.username, it.account_id, it.what.as_str(), it.what.to_string()));
                found.extend(told);
            }
            Err(error) => {
                exit = ExitCode::FAILURE;
                found.push(differing(String::new(), None, "unlisted", chain(&error)));
            }
        }
    }
    if json {
        print_json(&found)?;
        return Ok(exit);
    }
    let mut all = table(&["SERVER", "USERNAME", "ACCOUNT", "WHAT", "DETAIL"]);
    for each in &found {
        let account = each.account_id.as_deref().unwrap_or("-");
        all.add_row(vec![each.server.as_str(), &each.username, account, each.what, &each.detail]);
    }
    print(&lines(&all))?;
    Ok(exit)
}

async fn drain(store: &Store, name: &str, undo: bool) -> anyhow::Result<()> {
    if !store.drain_server(name, !undo).await? {
        bail!("no worker has started yet with a server that is called {name}");
    }
    say(&match undo {
        true => format!("berth: {name} takes new accounts again"),
        false => format!("berth: {name} takes no new accounts; those that it has stay"),
    });
    Ok(())
}
