//! `PATCH /v1/hosting/{id}`: whether an account is renewed by itself, and what staff sets of it besides.

use axum::{Json, extract::State};
use berth_jobs::ids::AccountId;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    super::{
        auth::{Authenticated, Customer, Role},
        problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody, RefusesStaff},
        reason::Reason,
        segments::Segments,
    },
    AccountJson,
    change::{Seen, actor_of, audited, change, ended, reason_of},
};
use crate::{
    app::App,
    domain::timetable::TimetableChanges,
    effects::{AccountEdit, AccountSettings, Effects},
    ending, timetables,
};

/// What is to be otherwise. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountPatch {
    /// Whether it is renewed by itself. Without that it ends with what is paid for, unless it is renewed by hand.
    #[serde(default)]
    auto_renew: Option<bool>,
    /// Never suspended, nor removed, for non-payment. Staff only.
    #[serde(default)]
    exempt: Option<bool>,
    /// Kept from being removed. Staff only.
    #[serde(default)]
    kept: Option<bool>,
    /// What its timetable has otherwise than its plan's, as a whole: `{}` takes all of it back. Staff only.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({ "suspend_days": 14, "terminate_days": 60 }))]
    timetable: Option<TimetableChanges>,
    /// Customers may say why; staff must.
    #[serde(default)]
    reason: Option<Reason>,
}

impl AccountPatch {
    fn is_for_staff(&self) -> bool {
        self.exempt.is_some() || self.kept.is_some() || self.timetable.is_some()
    }

    /// What of it is not so yet.
    fn settings(&self, seen: &Seen) -> AccountSettings {
        let account = &seen.account;
        AccountSettings {
            auto_renew: self.auto_renew.filter(|wanted| *wanted != account.auto_renew),
            exempt: self.exempt.filter(|wanted| *wanted != account.exempt),
            kept: self.kept.filter(|wanted| *wanted != account.kept),
            timetable: self.timetable.clone().filter(|wanted| *wanted != account.timetable),
            ..AccountSettings::default()
        }
    }
}

/// Changes whether an account is renewed by itself; staff also exempts and keeps it, and gives it other times.
///
/// Without `auto_renew` a renewal that nobody has paid yet is called off: the account ends with what is paid for.
#[utoipa::path(patch, path = "/v1/hosting/{id}", tag = "hosting", operation_id = "change_hosting_settings",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`")),
    request_body = AccountPatch,
    responses(
        (status = 200, description = "The account after it.", body = AccountJson),
        (status = 404, description = "You have no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`account-ended`", body = ProblemJson, content_type = "application/problem+json"),
        (status = 422, description = "`reason-required`: staff say why; or `timetable-invalid`: its steps are in an order \
                                      that cannot be.",
            body = ProblemJson, content_type = "application/problem+json"),
        RefusesBody,
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn set(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<AccountId>,
    ApiJson(patch): ApiJson<AccountPatch>,
) -> Result<Json<AccountJson>, Problem> {
    change(&app, &customer, id, |seen| setting(&app, &customer, &patch, seen)).await
}

fn setting(app: &App, who: &Customer, patch: &AccountPatch, seen: &Seen) -> Result<Option<Effects>, Problem> {
    let account = &seen.account;
    if patch.is_for_staff() && who.role != Role::Staff {
        return Err(Problem::forbidden("Only staff may set `exempt`, `kept` and `timetable`."));
    }
    let reason = reason_of(who, account, patch.reason.as_ref())?;
    if let Some(own) = &patch.timetable {
        timetables::merged(app, &account.service_id, own)
            .map_err(|error| Problem::unprocessable("timetable-invalid", error.to_string()))?;
    }
    let settings = patch.settings(seen);
    if settings == AccountSettings::default() {
        return Ok(None);
    }
    if account.state.phase.is_over() || account.state.standing.ending.is_some() {
        return Err(ended(account));
    }
    let switched_off = settings.auto_renew == Some(false);
    let after = json!({
        "auto_renew": settings.auto_renew,
        "exempt": settings.exempt,
        "kept": settings.kept,
        "timetable": settings.timetable,
    });
    let edit = AccountEdit {
        account_id: account.state.id,
        version: account.state.version,
        reason: history_reason(&settings),
        settings,
    };
    let mut effects = Effects::none().edit_account(edit).look(account.state.id);
    if switched_off {
        effects = ending::call_off(effects, &seen.unsettled, actor_of(who, account), seen.now);
    }
    Ok(Some(audited(effects, who, seen, "hosting.set", reason, after)))
}

fn history_reason(settings: &AccountSettings) -> &'static str {
    match settings.auto_renew {
        Some(true) => "to be renewed by itself",
        Some(false) => "not to be renewed by itself",
        None => "set by staff",
    }
}
