//! `POST /v1/hosting/{id}/login` and `/password`: ways into an account for those who have lost theirs, or never want to type it.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use berth_jobs::{hosting::ResetPassword, ids::AccountId};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    super::{
        auth::Authenticated,
        coupon_checks::SignInChecks,
        orders::of_store,
        problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody},
        reason::Reason,
        segments::Segments,
    },
    AccountJson, account_of,
    change::{Seen, actor_of, audited, busy, change, ended, reason_of},
};
use crate::{
    app::App,
    domain::{account::AccountPhase, order::Actor},
    effects::{AccountEdit, AccountSettings, Effects, PasswordStep},
    error::chain,
    gateways::panels::{AccountRef, OneTimeUrl, Panel, PanelError, ServerState},
    store::accounts::Account,
};

/// Somebody waits before a page, and nothing is changed by it: a panel that takes longer is asked again by them.
const PATIENCE: Duration = Duration::from_secs(10);
/// When to ask again a panel that was slow or away.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// And one that a person has to mend.
const BROKEN_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Why somebody else's account is entered.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnterHosting {
    /// Customers may say why; staff must.
    #[serde(default)]
    reason: Option<Reason>,
}

/// A link that signs its bearer in, for a short time and mostly once.
#[derive(Serialize, ToSchema)]
pub struct SignInLink {
    /// Open it at once, in a browser; show it to nobody, store it nowhere.
    #[schema(format = "uri")]
    url: String,
}

/// Makes a link that signs you in to the account's control panel, without its password.
///
/// Its server makes the link while you wait, and Berth keeps it nowhere. Ten a minute; a server that is slow or away is 503.
#[utoipa::path(post, path = "/v1/hosting/{id}/login", tag = "hosting", operation_id = "sign_in_to_hosting",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`")),
    request_body = Option<EnterHosting>,
    responses(
        (status = 200, description = "The link. Open it now.", body = SignInLink),
        (status = 404, description = "You have no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`account-not-live`, `account-suspended`, `account-busy` or `account-ended`.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 422, description = "`login-not-offered`: its server makes no such links; or `reason-required`: staff say why.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "You have asked too often.", body = ProblemJson,
            content_type = "application/problem+json"),
        RefusesBody,
        Refuses,
    ),
)]
pub async fn sign_in(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    State(checks): State<SignInChecks>,
    Segments(id): Segments<AccountId>,
    request: Option<ApiJson<EnterHosting>>,
) -> Result<Response, Problem> {
    let account = account_of(&app, &customer, id).await?;
    let reason = reason_of(&customer, &account, request.and_then(|ApiJson(request)| request.reason).as_ref())?;
    usable(&account)?;
    let (panel, on_panel) = panel_of(&app, &account)?;
    if !panel.caps().login_url {
        let detail = "The server of this account makes no links to sign in with. Its address, if it has a control panel, is \
                      `control_panel_url`; sign in there with the account's own password.";
        return Err(Problem::unprocessable("login-not-offered", detail));
    }
    checks.count(customer.id)?;
    may_be_asked(&app, &account).await?;
    if actor_of(&customer, &account) == Actor::Staff {
        // Written down first: nobody gets in of whom that could not be done.
        let seen = Seen { account, unsettled: Vec::new(), now: app.clock.now() };
        let effects = audited(Effects::none(), &customer, &seen, "hosting.login", reason, json!({}));
        app.committer.write(effects).await.map_err(|error| {
            tracing::error!(%id, error = chain(&error), "it could not be written down who signs in");
            Problem::database_away()
        })?;
    }
    let OneTimeUrl(url) = asked(id, panel.login_url(&on_panel)).await?;
    let link = SignInLink { url: url.expose_secret().to_owned() };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(link)).into_response())
}

/// What a panel answers somebody who waits.
async fn asked<T>(id: AccountId, question: impl Future<Output = Result<T, PanelError>>) -> Result<T, Problem> {
    let error = match tokio::time::timeout(PATIENCE, question).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error,
        Err(_) => {
            tracing::warn!(account = %id, "a panel made no link in time");
            return Err(server_away(RETRY_AFTER));
        }
    };
    tracing::warn!(account = %id, error = chain(&error), "a panel made no link");
    Err(server_away(match error {
        PanelError::RateLimited { retry_after, .. } => retry_after,
        PanelError::Transient(_) | PanelError::Ambiguous(_) | PanelError::Capacity(_) => RETRY_AFTER,
        PanelError::Misconfigured(_) | PanelError::NameTaken(_) | PanelError::Permanent(_) => BROKEN_RETRY_AFTER,
    }))
}

fn server_away(retry_after: Duration) -> Problem {
    Problem::unavailable(retry_after).with_detail(
        "The account's server does not answer as it should. The account itself may work all the same: wait as long as \
         `Retry-After` says, then ask again; if it stays, write to support.",
    )
}

/// The panel of an account that was live, and the account as that knows it.
fn panel_of(app: &App, account: &Account) -> Result<(Arc<dyn Panel>, AccountRef), Problem> {
    let (Some(server), Some(username)) = (&account.server, &account.username) else { return Err(not_live()) };
    let panel = app.panels.of(server).map_err(|error| {
        tracing::error!(account = %account.state.id, error = chain(&error), "an account's server is unknown here");
        server_away(BROKEN_RETRY_AFTER)
    })?;
    let (account_id, remote_id) = (account.state.id, account.remote_id.clone());
    Ok((panel, AccountRef { account_id, username: username.clone(), remote_id, domain: account.domain.clone() }))
}

/// Refuses to have a server asked that is known to be broken, or is switched off: nobody waits for it in vain.
async fn may_be_asked(app: &App, account: &Account) -> Result<(), Problem> {
    let server = account.server.as_deref().unwrap_or_default();
    let is_off = app.panels.placement(server).is_ok_and(|placement| placement.state == ServerState::Disabled);
    let health = app.servers.health(&app.store, server).await.map_err(of_store)?;
    let is_broken = health.is_some_and(|server| server.broken_since.is_some());
    if is_off || is_broken { Err(server_away(BROKEN_RETRY_AFTER)) } else { Ok(()) }
}

/// Refuses an account that nobody can use as it stands.
fn usable(account: &Account) -> Result<(), Problem> {
    match account.state.phase {
        AccountPhase::Active | AccountPhase::Grace | AccountPhase::Changing => Ok(()),
        AccountPhase::Pending | AccountPhase::Provisioning | AccountPhase::Failed => Err(not_live()),
        AccountPhase::Suspending | AccountPhase::Suspended => {
            let detail = "The account is suspended: have that settled first.";
            Err(Problem::conflict("account-suspended", detail))
        }
        AccountPhase::Unsuspending => Err(busy(account)),
        AccountPhase::Terminating | AccountPhase::Terminated => Err(ended(account)),
    }
}

fn not_live() -> Problem {
    Problem::conflict("account-not-live", "The account is still being made: wait until it is active.")
}

/// Has the account's password replaced by a new one, which is revealed once. Nobody has to know the old one.
///
/// Its server is asked next, and a mail tells when it is done: until then the old password works, though it can no longer be
/// revealed. Asking again meanwhile changes nothing.
#[utoipa::path(post, path = "/v1/hosting/{id}/password", tag = "hosting", operation_id = "reset_password",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`")),
    request_body = Option<EnterHosting>,
    responses(
        (status = 202, description = "The account. Once `password_waits`, the new password can be revealed.",
            body = AccountJson),
        (status = 404, description = "You have no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`account-not-live`, `account-suspended`, `account-busy` or `account-ended`.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 422, description = "`password-not-offered`: its server knows no passwords; or `reason-required`: staff say why.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "You have asked too often.", body = ProblemJson,
            content_type = "application/problem+json"),
        RefusesBody,
        Refuses,
    ),
)]
pub async fn reset_password(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    State(checks): State<SignInChecks>,
    Segments(id): Segments<AccountId>,
    request: Option<ApiJson<EnterHosting>>,
) -> Result<(StatusCode, Json<AccountJson>), Problem> {
    let reason = request.and_then(|ApiJson(request)| request.reason);
    let account = account_of(&app, &customer, id).await?;
    let reason = reason_of(&customer, &account, reason.as_ref())?;
    checks.count(customer.id)?;
    let answer = change(&app, &customer, id, |seen| {
        usable(&seen.account)?;
        if !panel_of(&app, &seen.account)?.0.caps().passwords {
            let detail = "The server of this account knows no passwords: there is none to be replaced.";
            return Err(Problem::unprocessable("password-not-offered", detail));
        }
        // Asked for again, the job is asked for again: it may have been given up meanwhile.
        let effects = Effects::none().enqueue(ResetPassword { account_id: id });
        if seen.account.password_asked_at.is_some() {
            return Ok(Some(effects));
        }
        let effects = effects.edit_account(wish(seen));
        Ok(Some(audited(effects, &customer, seen, "hosting.password", reason.clone(), json!({}))))
    })
    .await?;
    Ok((StatusCode::ACCEPTED, answer))
}

fn wish(seen: &Seen) -> AccountEdit {
    AccountEdit {
        account_id: seen.account.state.id,
        version: seen.account.state.version,
        reason: "a new password was asked for",
        settings: AccountSettings { password: Some(PasswordStep::Asked(seen.now)), ..AccountSettings::default() },
    }
}
