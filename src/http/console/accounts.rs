//! Accounts: a list, the story of one, and staff's hand on it, by the functions of the API's routes.

use axum::{extract::State, response::Response};
use berth_jobs::{
    AnyJob,
    hosting::{ProvisionAccount, ReconcileAccount},
    ids::AccountId,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    super::{
        auth::AuthenticatedStaff,
        hosting::staff,
        problem::{ApiJson, Problem},
        segments::Segments,
    },
    answer::{Trouble, done, page},
    forms::{Asked, Because, Done, Named, Posted, as_staff, audit, reason, said},
    session::Signed,
};
use crate::{app::App, domain::account::AccountPhase, error::chain};

const MOST: i64 = 50;

#[derive(Debug, Deserialize)]
pub(super) struct AccountsQuery {
    phase: Option<String>,
    server: Option<String>,
    q: Option<String>,
    before: Option<String>,
}

/// Accounts by a filter.
pub(super) async fn list(
    signed: Signed,
    State(app): State<App>,
    Asked(query): Asked<AccountsQuery>,
) -> Result<Response, Trouble> {
    let phase = said(query.phase.as_deref()).filter(|phase| phase.parse::<AccountPhase>().is_ok());
    let (server, text) = (said(query.server.as_deref()), said(query.q.as_deref()));
    let before: Option<AccountId> = said(query.before.as_deref()).and_then(|id| id.parse().ok());
    let accounts = app.store.console_accounts(phase, server, text, before, MOST).await?;
    let full = i64::try_from(accounts.len()).is_ok_and(|shown| shown == MOST);
    let older = accounts.last().filter(|_| full).map(|account| account.id.clone());
    let values = json!({
        "accounts": accounts,
        "older": older,
        "phase": phase,
        "server": server,
        "q": text,
        "phases": AccountPhase::ALL.map(AccountPhase::as_str),
        "servers": app.store.servers().await?.into_iter().map(|server| server.name).collect::<Vec<_>>(),
    });
    page(&app, &signed, ("accounts", "accounts.html"), values)
}

/// One account.
pub(super) async fn show(
    signed: Signed,
    State(app): State<App>,
    Named(id): Named<AccountId>,
    Asked(Done { done }): Asked<Done>,
) -> Result<Response, Trouble> {
    let account = app.store.console_account(id).await?;
    let phase: Option<AccountPhase> = account.phase.parse().ok();
    let values = json!({
        "is_missing": matches!(account.phase.as_str(), "pending" | "provisioning" | "failed"),
        "is_over": phase.is_some_and(AccountPhase::is_over),
        "account": account,
        "renewals": app.store.console_renewals_of(id).await?,
        "steps": app.store.account_story(id).await?,
        "done": done,
    });
    page(&app, &signed, ("accounts", "account.html"), values)
}

/// Has an account that is not there made again, and any other compared with its panel and put right.
pub(super) async fn again(
    State(app): State<App>,
    Named(id): Named<AccountId>,
    Posted { signed, form }: Posted<Because>,
) -> Result<Response, Trouble> {
    let account = app.store.account(id).await?;
    let (action, job): (_, AnyJob) = match account.state.phase {
        AccountPhase::Pending | AccountPhase::Provisioning | AccountPhase::Failed => {
            ("hosting.provision", ProvisionAccount { account_id: id }.into())
        }
        AccountPhase::Active
        | AccountPhase::Grace
        | AccountPhase::Suspending
        | AccountPhase::Suspended
        | AccountPhase::Unsuspending
        | AccountPhase::Changing
        | AccountPhase::Terminating
        | AccountPhase::Terminated => ("hosting.reconcile", ReconcileAccount { account_id: id }.into()),
    };
    let seen = json!({ "phase": account.state.phase.as_str() });
    let effects = audit(&app, &signed, action, &id.to_string(), reason(&form.reason)?, seen).enqueue(job);
    app.committer.write(effects).await.map_err(|error| {
        tracing::error!(%id, error = chain(&error), "an account could not be looked at again");
        Trouble::database_away()
    })?;
    Ok(done(&format!("/console/accounts/{id}"), "again"))
}

#[derive(Debug, Deserialize)]
pub(super) struct SuspendForm {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    note: String,
}

/// Suspends it.
pub(super) async fn suspend(
    State(app): State<App>,
    Named(id): Named<AccountId>,
    Posted { signed, form }: Posted<SuspendForm>,
) -> Result<Response, Trouble> {
    let body = asked(json!({ "reason": form.reason, "note": form.note }))?;
    Box::pin(staff::suspend(AuthenticatedStaff(as_staff(&signed)), State(app), Segments(id), body)).await.map(drop)?;
    Ok(done(&format!("/console/accounts/{id}"), "suspended"))
}

#[derive(Debug, Deserialize)]
pub(super) struct UnsuspendForm {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    days: String,
    exempt: Option<String>,
}

/// Lifts what suspends it.
pub(super) async fn unsuspend(
    State(app): State<App>,
    Named(id): Named<AccountId>,
    Posted { signed, form }: Posted<UnsuspendForm>,
) -> Result<Response, Trouble> {
    let mut body = json!({ "note": form.note, "exempt": form.exempt.is_some() });
    if let Some(reason) = said(Some(&form.reason)) {
        body["reason"] = reason.into();
    }
    if let Some(days) = said(Some(&form.days)) {
        let days: u32 = days.parse().map_err(|_| Problem::invalid_body("Days are a whole number, 1 to 365."))?;
        body["extend_days"] = days.into();
    }
    Box::pin(staff::unsuspend(AuthenticatedStaff(as_staff(&signed)), State(app), Segments(id), asked(body)?))
        .await
        .map(drop)?;
    Ok(done(&format!("/console/accounts/{id}"), "unsuspended"))
}

#[derive(Debug, Deserialize)]
pub(super) struct TerminateForm {
    #[serde(default)]
    reason: String,
    confirm: Option<String>,
    without_backup: Option<String>,
}

/// Ends it for good.
pub(super) async fn terminate(
    State(app): State<App>,
    Named(id): Named<AccountId>,
    Posted { signed, form }: Posted<TerminateForm>,
) -> Result<Response, Trouble> {
    let (confirm, without_backup) = (form.confirm.is_some(), form.without_backup.is_some());
    let body = asked(json!({ "reason": form.reason, "confirm": confirm, "without_backup": without_backup }))?;
    Box::pin(staff::terminate(AuthenticatedStaff(as_staff(&signed)), State(app), Segments(id), body))
        .await
        .map(drop)?;
    Ok(done(&format!("/console/accounts/{id}"), "terminated"))
}

/// A form as the body of the API's route, read by the same rules.
pub(super) fn asked<T: DeserializeOwned>(body: Value) -> Result<ApiJson<T>, Trouble> {
    let read = serde_json::from_value(body);
    read.map(ApiJson).map_err(|error| Problem::invalid_body(format!("{error}.")).into())
}
