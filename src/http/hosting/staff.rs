//! `POST /v1/hosting/{id}/suspend`, `/unsuspend` and `/terminate`: staff's hand on an account, always with its reason.

use axum::{Json, extract::State};
use berth_jobs::ids::AccountId;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    super::{
        auth::AuthenticatedStaff,
        problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody, RefusesStaff},
        reason::Reason,
        segments::Segments,
    },
    AccountJson,
    change::{Seen, audited, change, ended, kept, unconfirmed},
};
use crate::{
    app::App,
    domain::{
        account::{AccountMove, Ending, LiftCause, SuspensionReason},
        order::Actor,
    },
    effects::{AccountEdit, AccountSettings, Effects, job_of},
    ending,
};

/// So many days more may be given at once.
const MOST_DAYS: u32 = 365;

/// What staff may suspend for. Payments and disputes suspend by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StaffReason {
    /// Staff wants it so; the note says why.
    Staff,
    /// It is misused.
    Abuse,
    /// It was bought by fraud.
    Fraud,
}

impl From<StaffReason> for SuspensionReason {
    fn from(reason: StaffReason) -> Self {
        match reason {
            StaffReason::Staff => Self::Staff,
            StaffReason::Abuse => Self::Abuse,
            StaffReason::Fraud => Self::Fraud,
        }
    }
}

/// Why an account is suspended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspendHosting {
    reason: StaffReason,
    /// For colleagues: it is written down, and not told to the customer.
    note: Reason,
}

/// What no longer suspends an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnsuspendHosting {
    /// non_payment, staff, dispute, fraud or abuse; may be left out where there is only one.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    reason: Option<String>,
    /// For colleagues: it is written down.
    note: Reason,
    /// With `non_payment`: it is not suspended for that again for so many days.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 365)]
    extend_days: Option<u32>,
    /// With `non_payment`: it is never suspended for that again, until `PATCH` takes that back.
    #[serde(default)]
    exempt: bool,
}

/// Why an account ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TerminateHosting {
    reason: Reason,
    /// That the account and all that is in it may be removed.
    #[serde(default)]
    confirm: bool,
    /// That it may be removed although no backup of it can be made. Said of an account that ends already, it goes on with that.
    #[serde(default)]
    without_backup: bool,
}

/// Suspends an account, besides whatever else suspends it. Staff only. Saying it twice changes nothing.
///
/// While its server is at work on it, the wish is kept and acted upon next. No payment lifts it.
#[utoipa::path(post, path = "/v1/hosting/{id}/suspend", tag = "staff", operation_id = "suspend_hosting",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`")),
    request_body = SuspendHosting,
    responses(
        (status = 200, description = "The account; its server is asked next.", body = AccountJson),
        (status = 404, description = "There is no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`account-ended`", body = ProblemJson, content_type = "application/problem+json"),
        RefusesBody,
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn suspend(
    AuthenticatedStaff(staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments(id): Segments<AccountId>,
    ApiJson(request): ApiJson<SuspendHosting>,
) -> Result<Json<AccountJson>, Problem> {
    let reason = SuspensionReason::from(request.reason);
    change(&app, &staff, id, |seen| {
        let state = &seen.account.state;
        if state.standing.reasons.contains(&reason) {
            return Ok(None);
        }
        let step = state.suspend(reason).ok_or_else(|| ended(&seen.account))?;
        let note = Some(request.note.clone().into());
        let after = json!({ "suspended_for": reason.as_str() });
        Ok(Some(audited(Effects::none().begin(step), &staff, seen, "hosting.suspend", note, after)))
    })
    .await
}

/// Lifts what suspends an account; it works again when nothing else does. Staff only.
///
/// Non-payment would suspend it again at the next look at its timetable. So whoever lifts it says for how long it is let be
/// (`extend_days`: what is owed stays owed, and is charged and reminded of as before) or that this is for good (`exempt`).
#[utoipa::path(post, path = "/v1/hosting/{id}/unsuspend", tag = "staff", operation_id = "unsuspend_hosting",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`")),
    request_body = UnsuspendHosting,
    responses(
        (status = 200, description = "The account; its server is asked next.", body = AccountJson),
        (status = 404, description = "There is no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`not-suspended`: that does not suspend it; or `account-ended`.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "`suspension-reason-required`: several reasons suspend it; `extension-required`: \
                                      non-payment is lifted for a time or for good.",
            body = ProblemJson, content_type = "application/problem+json"),
        RefusesBody,
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn unsuspend(
    AuthenticatedStaff(staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments(id): Segments<AccountId>,
    ApiJson(request): ApiJson<UnsuspendHosting>,
) -> Result<Json<AccountJson>, Problem> {
    change(&app, &staff, id, |seen| {
        let account = &seen.account;
        if account.state.phase.is_over() || account.state.standing.ending.is_some() {
            return Err(ended(account));
        }
        let reason = reason_to_lift(&request, seen)?;
        let spared = spared(&request, reason, seen.now)?;
        let step = account.state.lift(reason, LiftCause::Staff).ok_or_else(not_suspended)?;
        let after = json!({ "lifted": reason.as_str(), "extend_days": request.extend_days, "exempt": request.exempt });
        let effects = lifted(seen, step, spared);
        Ok(Some(audited(effects, &staff, seen, "hosting.unsuspend", Some(request.note.clone().into()), after)))
    })
    .await
}

fn reason_to_lift(request: &UnsuspendHosting, seen: &Seen) -> Result<SuspensionReason, Problem> {
    let reasons = &seen.account.state.standing.reasons;
    let unknown = |_| Problem::invalid_body("`reason`: there are non_payment, staff, dispute, fraud and abuse");
    let named: Option<SuspensionReason> = request.reason.as_deref().map(str::parse).transpose().map_err(unknown)?;
    let only = || reasons.first().copied().filter(|_| reasons.len() == 1);
    if named.is_none() && reasons.len() > 1 {
        let names: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
        let detail = format!("Say which `reason` is lifted: {} suspend it.", names.join(" and "));
        return Err(Problem::unprocessable("suspension-reason-required", detail));
    }
    named.or_else(only).filter(|reason| reasons.contains(reason)).ok_or_else(not_suspended)
}

fn not_suspended() -> Problem {
    Problem::conflict("not-suspended", "The account is not suspended for that.")
}

/// What keeps non-payment from suspending it again; nothing for other reasons.
fn spared(
    request: &UnsuspendHosting,
    reason: SuspensionReason,
    now: Timestamp,
) -> Result<Option<AccountSettings>, Problem> {
    let asked = request.extend_days.is_some() || request.exempt;
    if reason != SuspensionReason::NonPayment {
        let detail = "`extend_days` and `exempt` go with the reason non_payment.";
        return if asked { Err(Problem::invalid_body(detail)) } else { Ok(None) };
    }
    if !asked {
        let detail =
            "It would be suspended again at once: say for how many days it is let be (`extend_days`), or `exempt` it.";
        return Err(Problem::unprocessable("extension-required", detail));
    }
    let until = |days: u32| now.checked_add(SignedDuration::from_hours(i64::from(days) * 24)).ok();
    let spared_until = match request.extend_days {
        Some(days) if (1..=MOST_DAYS).contains(&days) => until(days),
        Some(_) => return Err(Problem::invalid_body("`extend_days`: 1 to 365")),
        None => None,
    };
    let exempt = request.exempt.then_some(true);
    Ok(Some(AccountSettings { exempt, spared_until, ..AccountSettings::default() }))
}

fn lifted(seen: &Seen, step: AccountMove, spared: Option<AccountSettings>) -> Effects {
    let state = &seen.account.state;
    let version = state.after(&step).version;
    let effects = Effects::none().begin(step);
    let Some(settings) = spared else { return effects };
    effects.edit_account(AccountEdit { account_id: state.id, version, reason: "given more time by staff", settings })
}

/// Ends an account for good: a backup is made, then it is removed from its server. Staff only.
///
/// It goes on by itself; an account whose backup cannot be made waits, with an alert, until that is mended or somebody says
/// `without_backup`.
#[utoipa::path(post, path = "/v1/hosting/{id}/terminate", tag = "staff", operation_id = "terminate_hosting",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`")),
    request_body = TerminateHosting,
    responses(
        (status = 200, description = "The account, which is cancelled.", body = AccountJson),
        (status = 404, description = "There is no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`account-kept`: set `kept` to false first.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "`confirmation-required`", body = ProblemJson,
            content_type = "application/problem+json"),
        RefusesBody,
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn terminate(
    AuthenticatedStaff(staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments(id): Segments<AccountId>,
    ApiJson(request): ApiJson<TerminateHosting>,
) -> Result<Json<AccountJson>, Problem> {
    if !request.confirm {
        return Err(unconfirmed());
    }
    change(&app, &staff, id, |seen| {
        let Some(effects) = terminating(seen, request.without_backup)? else { return Ok(None) };
        let after = json!({ "ending": "staff", "without_backup": request.without_backup });
        Ok(Some(audited(effects, &staff, seen, "hosting.terminate", Some(request.reason.clone().into()), after)))
    })
    .await
}

fn terminating(seen: &Seen, without_backup: bool) -> Result<Option<Effects>, Problem> {
    let account = &seen.account;
    let state = &account.state;
    let waives = without_backup && !account.backup_waived && account.terminated_at.is_none();
    let ends = !state.phase.is_over() && state.standing.ending.is_none();
    if ends && account.kept {
        return Err(kept());
    }
    let step = if ends { state.end(Ending::Staff) } else { None };
    if step.is_none() && !waives {
        return Ok(None);
    }
    let version = step.as_ref().map_or(state.version, |step| state.after(step).version);
    let effects = match step {
        Some(step) => ending::recorded(step, &seen.unsettled, Actor::Staff, seen.now),
        None => job_of(state.id, state.phase).map_or_else(Effects::none, |job| Effects::none().enqueue(job)),
    };
    let settings = AccountSettings { backup_waived: Some(true), ..AccountSettings::default() };
    let edit = AccountEdit { account_id: state.id, version, reason: "may be removed without a backup", settings };
    Ok(Some(if waives { effects.edit_account(edit) } else { effects }))
}
