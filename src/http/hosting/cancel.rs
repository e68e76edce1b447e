//! `POST /v1/hosting/{id}/cancel` and `/uncancel`: a customer no longer wants an account, or does after all.

use axum::{Json, extract::State};
use berth_jobs::ids::AccountId;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    super::{
        auth::{Authenticated, Customer},
        orders::of_store,
        problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody},
        reason::Reason,
        segments::Segments,
    },
    AccountJson, account_of,
    change::{Seen, actor_of, audited, busy, change, ended, kept, reason_of, unconfirmed},
};
use crate::{
    app::App,
    domain::{
        account::{AccountPhase, Ending},
        money::Money,
        proration::PaidPeriod,
    },
    effects::Effects,
    ending::{self, Cancellation},
};

/// When an account is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelAt {
    /// With what is paid for. It can be taken back until then.
    PeriodEnd,
    /// At once, for good.
    Now,
}

/// When an account is to end, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelHosting {
    at: CancelAt,
    /// That the account and all that is in it may be removed; needed for `now`.
    #[serde(default)]
    confirm: bool,
    /// Customers may say why; staff must.
    #[serde(default)]
    reason: Option<Reason>,
}

/// Why an account is to go on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UncancelHosting {
    /// Customers may say why; staff must.
    #[serde(default)]
    reason: Option<Reason>,
}

/// Cancels an account: with what is paid for, or now. Cancelling it twice changes nothing.
///
/// A renewal that nobody has paid is called off in the same moment, and the credit that it took comes back. With `now` the
/// account is removed after a backup; what is left of the paid period is credited where the shop does so. A backup is kept for
/// a time: support can bring it back.
#[utoipa::path(post, path = "/v1/hosting/{id}/cancel", tag = "hosting", operation_id = "cancel_hosting",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`")),
    request_body = CancelHosting,
    responses(
        (status = 200, description = "The account after it.", body = AccountJson),
        (status = 404, description = "You have no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`account-not-live`: it is not made yet; `period-over`: nothing is paid for any more, so \
                                      it can only end now; `account-suspended`, `account-busy`, `account-kept`.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 422, description = "`confirmation-required`; or `reason-required`: staff say why.", body = ProblemJson,
            content_type = "application/problem+json"),
        RefusesBody,
        Refuses,
    ),
)]
pub async fn cancel(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<AccountId>,
    ApiJson(request): ApiJson<CancelHosting>,
) -> Result<Json<AccountJson>, Problem> {
    let account = account_of(&app, &customer, id).await?;
    if request.at == CancelAt::Now && !request.confirm {
        return Err(unconfirmed());
    }
    let reason = reason_of(&customer, &account, request.reason.as_ref())?;
    let credited = request.at == CancelAt::Now && app.config.renewals.credit_on_cancel;
    let paid = if credited { app.store.paid_period(id).await.map_err(of_store)? } else { None };
    change(&app, &customer, id, |seen| {
        let begun = match request.at {
            CancelAt::PeriodEnd => at_period_end(&app, &customer, seen)?,
            CancelAt::Now => at_once(&app, &customer, seen, paid)?,
        };
        let after = json!({ "at": if request.at == CancelAt::Now { "now" } else { "period_end" } });
        Ok(begun.map(|effects| audited(effects, &customer, seen, "hosting.cancel", reason.clone(), after)))
    })
    .await
}

fn at_period_end(app: &App, who: &Customer, seen: &Seen) -> Result<Option<Effects>, Problem> {
    let account = &seen.account;
    let standing = &account.state.standing;
    if account.state.phase.is_over() || standing.ending.is_some() || standing.cancel_at.is_some() {
        return Ok(None);
    }
    let Some(period_end) = account.expires_at.filter(|_| account.state.phase.is_live()) else {
        return Err(not_live());
    };
    let Some(step) = account.state.cancel_at(period_end, seen.now) else {
        return Err(no_period_to_end(seen));
    };
    let of = Cancellation { open: &seen.unsettled, credit: None, by: actor_of(who, account), at: seen.now };
    Ok(Some(ending::cancelled(app, account, step, of)))
}

fn at_once(app: &App, who: &Customer, seen: &Seen, paid: Option<PaidPeriod>) -> Result<Option<Effects>, Problem> {
    let account = &seen.account;
    if account.state.phase.is_over() || account.state.standing.ending.is_some() {
        return Ok(None);
    }
    if !account.state.phase.is_live() {
        return Err(not_live());
    }
    if account.kept {
        return Err(kept());
    }
    let step = account.state.end(Ending::Cancelled).ok_or_else(|| ended(account))?;
    // A period without a day that could be counted is worth nothing.
    let unused: Option<Money> = paid.and_then(|paid| paid.unused(seen.now).ok());
    let credit = unused.filter(|credit| !credit.is_zero());
    let of = Cancellation { open: &seen.unsettled, credit, by: actor_of(who, account), at: seen.now };
    Ok(Some(ending::cancelled(app, account, step, of)))
}

fn not_live() -> Problem {
    let detail = "The account is still being made: wait until it is active, or write to support.";
    Problem::conflict("account-not-live", detail)
}

/// Why it cannot end with its period.
fn no_period_to_end(seen: &Seen) -> Problem {
    let account = &seen.account;
    if account.expires_at.is_none_or(|end| end <= seen.now) {
        let detail = "Nothing is paid for any more: pay the renewal, or cancel the account with `now`.";
        return Problem::conflict("period-over", detail);
    }
    match account.state.phase {
        AccountPhase::Suspended => {
            let detail = "The account is suspended: have that settled first, or cancel it with `now`.";
            Problem::conflict("account-suspended", detail)
        }
        AccountPhase::Pending
        | AccountPhase::Provisioning
        | AccountPhase::Active
        | AccountPhase::Grace
        | AccountPhase::Suspending
        | AccountPhase::Unsuspending
        | AccountPhase::Changing
        | AccountPhase::Failed
        | AccountPhase::Terminating
        | AccountPhase::Terminated => busy(account),
    }
}

/// Takes a cancellation back, until its day. What was never cancelled stays as it is.
#[utoipa::path(post, path = "/v1/hosting/{id}/uncancel", tag = "hosting", operation_id = "uncancel_hosting",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`")),
    request_body = Option<UncancelHosting>,
    responses(
        (status = 200, description = "The account after it.", body = AccountJson),
        (status = 404, description = "You have no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`account-ended`: its day has come, or it was cancelled with `now`.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "`reason-required`: staff say why.", body = ProblemJson,
            content_type = "application/problem+json"),
        RefusesBody,
        Refuses,
    ),
)]
pub async fn uncancel(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<AccountId>,
    request: Option<ApiJson<UncancelHosting>>,
) -> Result<Json<AccountJson>, Problem> {
    let reason = request.and_then(|ApiJson(request)| request.reason);
    change(&app, &customer, id, |seen| {
        let account = &seen.account;
        let reason = reason_of(&customer, account, reason.as_ref())?;
        if account.state.phase.is_over() || account.state.standing.ending.is_some() {
            return Err(ended(account));
        }
        if account.state.standing.cancel_at.is_none() {
            return Ok(None);
        }
        let step = account.state.uncancel(seen.now).ok_or_else(|| ended(account))?;
        let effects = ending::undone(&app, account, step, seen.now);
        Ok(Some(audited(effects, &customer, seen, "hosting.uncancel", reason, json!({ "cancel_at": null }))))
    })
    .await
}
