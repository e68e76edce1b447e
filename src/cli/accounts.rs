//! `berth accounts`: one account beside what its panel knows of it, and having the two agree.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use berth_jobs::{
    AnyJob,
    hosting::{ProvisionAccount, ReconcileAccount},
    ids::AccountId,
};
use serde_json::{Value, json};

use super::{
    checks,
    enqueue::enqueue,
    output::{lines, print, print_json, table},
    settings,
};
use crate::{
    app,
    config::{Config, Role},
    effects::NewJob,
    error::chain,
    gateways::panels::{AccountRef, Observed, RemoteState},
    store::{Store, accounts::Account},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum AccountsCommand {
    /// What Berth has of an account, and what its panel says.
    #[command(before_help = "Examples:\n  berth accounts show acc_01k9z3m6sne5y8r7q2w4x6t8va\n")]
    Show {
        /// The account, such as acc_01k9z3m6sne5y8r7q2w4x6t8va.
        id: AccountId,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    #[command(before_help = "Examples:\n  berth accounts adopt acc_01k9z3m6sne5y8r7q2w4x6t8va\n")]
    /// Go on with an account that is not live, where its panel has it, whole or in part, and it is provably ours.
    Adopt {
        /// The account.
        id: AccountId,
    },
    #[command(before_help = "Examples:\n  berth accounts repair acc_01k9z3m6sne5y8r7q2w4x6t8va\n")]
    /// Have an account looked at on its panel, and put right what may be put right by itself.
    Repair {
        /// The account.
        id: AccountId,
    },
}

pub(super) async fn run(file: Option<PathBuf>, command: AccountsCommand) -> anyhow::Result<ExitCode> {
    let config = settings::load_or_dev(file)?;
    settings::log_quietly(&config)?;
    config.require_for(Role::Operate)?;
    let store = Store::new(&config.database)?;
    checks::migrated(&store, &config).await?;
    match command {
        AccountsCommand::Show { id, json } => show(&config, &store.account(id).await?, json).await?,
        AccountsCommand::Adopt { id } => adopt(&config, &store.account(id).await?).await?,
        AccountsCommand::Repair { id } => {
            store.account(id).await?;
            begin(&config, ReconcileAccount { account_id: id }.into()).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the panel says of an account; `None` when nothing was ever sent to one.
async fn observed(config: &Config, account: &Account) -> anyhow::Result<Option<Observed>> {
    let (Some(server), Some(username)) = (account.server.as_deref(), account.username.clone()) else {
        return Ok(None);
    };
    let on_panel = AccountRef {
        account_id: account.state.id,
        username,
        remote_id: account.remote_id.clone(),
        domain: account.domain.clone(),
    };
    let panel = app::panels_of(config)?.of(server)?;
    Ok(Some(panel.observe(&on_panel).await.map_err(|error| anyhow::anyhow!(chain(&error)))?))
}

fn said(observed: &Observed) -> String {
    match observed {
        Observed::Absent => "not there".to_owned(),
        Observed::Partial { missing } => format!("there in part: {} is missing", missing.join(", ")),
        Observed::Foreign => "somebody else's".to_owned(),
        Observed::Present { state: RemoteState::Active, package, .. } => format!("active, package {package}"),
        Observed::Present { state: RemoteState::Suspended { reason, ours }, package, .. } => format!(
            "suspended by {} ({}), package {package}",
            if *ours { "Berth" } else { "somebody else" },
            reason.as_deref().unwrap_or("no reason"),
        ),
    }
}

async fn show(config: &Config, account: &Account, as_json: bool) -> anyhow::Result<()> {
    let on_panel = match observed(config, account).await {
        Ok(Some(found)) => said(&found),
        Ok(None) => "never asked for".to_owned(),
        Err(error) => format!("it does not say: {error:#}"),
    };
    let text = |value: &Option<String>| value.clone().map_or(Value::Null, Value::String);
    let fields = [
        ("id", json!(account.state.id.to_string())),
        ("order_id", json!(account.order_id.to_string())),
        ("service", json!(account.service_name)),
        ("phase", json!(account.state.phase.to_string())),
        ("pool", json!(account.pool)),
        ("server", text(&account.server)),
        ("username", text(&account.username)),
        ("remote_id", text(&account.remote_id)),
        ("package", json!(account.package)),
        ("domain", text(&account.domain)),
        ("on_panel", json!(on_panel)),
    ];
    if as_json {
        return print_json(
            &fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<serde_json::Map<_, _>>(),
        );
    }
    let mut all = table(&["", ""]);
    for (name, value) in &fields {
        all.add_row(vec![(*name).to_owned(), value.as_str().unwrap_or("-").to_owned()]);
    }
    Ok(print(lines(&all).trim_start())?)
}

async fn adopt(config: &Config, account: &Account) -> anyhow::Result<()> {
    let id = account.state.id;
    if account.activated_at.is_some() {
        bail!("{id} is {} and was live before: `berth accounts repair` has it looked at", account.state.phase);
    }
    let found = observed(config, account).await?.with_context(|| format!("{id} was never sent to a panel"))?;
    match found {
        Observed::Present { .. } | Observed::Partial { .. } => {
            begin(config, ProvisionAccount { account_id: id }.into()).await
        }
        Observed::Absent | Observed::Foreign => {
            bail!("on its panel it is {}: there is nothing of ours to adopt", said(&found))
        }
    }
}

async fn begin(config: &Config, job: AnyJob) -> anyhow::Result<()> {
    Ok(print(&enqueue(config, NewJob::now(job)).await?.to_string())?)
}
