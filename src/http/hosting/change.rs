//! What the routes that change an account have in common: it is read, decided upon and written, and read anew where something
//! else has moved it meanwhile.

use axum::Json;
use berth_jobs::ids::AccountId;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    super::{
        auth::{Customer, Role},
        orders::of_store,
        problem::Problem,
        reason::Reason,
    },
    AccountJson, account_of, in_detail,
};
use crate::{
    app::App,
    domain::order::Actor,
    effects::{Effects, NewAudit},
    error::chain,
    queue::committer::CommitError,
    store::{accounts::Account, renewals::OpenRenewal},
};

/// How often an account is read anew because something else has moved it meanwhile. Few things can happen to it.
pub(super) const TRIES: u32 = 5;

/// An account as a decision sees it.
pub(super) struct Seen {
    pub(super) account: Account,
    /// Its renewals that are not settled.
    pub(super) unsettled: Vec<OpenRenewal>,
    pub(super) now: Timestamp,
}

/// Has an account changed as `decide` says, by what it sees; nothing where that is so already. Answers it as it is then.
///
/// # Errors
/// Whatever `decide` refuses; 404 for what is not theirs; 503 when it cannot be written.
pub(super) async fn change(
    app: &App,
    who: &Customer,
    id: AccountId,
    decide: impl Fn(&Seen) -> Result<Option<Effects>, Problem> + Send + Sync,
) -> Result<Json<AccountJson>, Problem> {
    for _ in 0..TRIES {
        let account = account_of(app, who, id).await?;
        let unsettled = app.store.unsettled_renewals(&[id]).await.map_err(of_store)?;
        let seen = Seen { account, unsettled, now: app.clock.now() };
        let Some(effects) = decide(&seen)? else { return Ok(Json(in_detail(app, who.role, seen.account).await?)) };
        match app.committer.write(effects).await {
            Ok(()) => {
                let account = app.store.account(id).await.map_err(of_store)?;
                return Ok(Json(in_detail(app, who.role, account).await?));
            }
            // Something else has moved it, or what goes with it: by what is seen now.
            Err(CommitError::Refused(_)) => {}
            Err(error) => {
                tracing::error!(%id, error = chain(&error), "an account could not be changed");
                return Err(Problem::database_away());
            }
        }
    }
    Err(Problem::database_away())
}

/// Who brings it about.
pub(super) fn actor_of(who: &Customer, account: &Account) -> Actor {
    if who.id == account.customer.id { Actor::Customer } else { Actor::Staff }
}

/// Staff says why it changes a customer's account; customers may.
pub(super) fn reason_of(who: &Customer, account: &Account, reason: Option<&Reason>) -> Result<Option<String>, Problem> {
    if actor_of(who, account) == Actor::Staff && reason.is_none() {
        return Err(Problem::unprocessable("reason-required", "Say why you change a customer's account: `reason`."));
    }
    Ok(reason.cloned().map(String::from))
}

/// Writes down what was done by hand. What customers do without a word is told by the account's own history.
pub(super) fn audited(
    effects: Effects,
    who: &Customer,
    seen: &Seen,
    action: &'static str,
    reason: Option<String>,
    after: Value,
) -> Effects {
    if reason.is_none() && who.role == Role::Customer {
        return effects;
    }
    effects.audit(NewAudit {
        actor: who.id.to_string(),
        action,
        subject: seen.account.state.id.to_string(),
        reason,
        before: Some(state_of(&seen.account)),
        after: Some(after),
        at: seen.now,
    })
}

fn state_of(account: &Account) -> Value {
    let standing = &account.state.standing;
    json!({
        "phase": account.state.phase.as_str(),
        "suspension_reasons": standing.reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>(),
        "cancel_at": standing.cancel_at,
        "auto_renew": account.auto_renew,
        "exempt": account.exempt,
        "kept": account.kept,
        "spared_until": account.spared_until,
        "timetable": account.timetable,
    })
}

/// 409: nothing can be changed any more.
pub(super) fn ended(account: &Account) -> Problem {
    let detail = "The account has ended, or is about to: nothing of it can be changed any more.";
    Problem::conflict("account-ended", detail).with("account_status", account.state.phase.status())
}

/// 409: its panel is at work on it.
pub(super) fn busy(account: &Account) -> Problem {
    let detail = "The account is just being changed on its server: ask again in a moment.";
    Problem::conflict("account-busy", detail).with("account_status", account.state.phase.status())
}

/// 422: it cannot be undone.
pub(super) fn unconfirmed() -> Problem {
    let detail = "This removes the account and all that is in it: say `\"confirm\": true` if that is meant.";
    Problem::unprocessable("confirmation-required", detail)
}

/// 409: staff keeps it.
pub(super) fn kept() -> Problem {
    let detail =
        "Staff keeps this account from being removed. Customers write to support; staff sets `kept` to false first.";
    Problem::conflict("account-kept", detail)
}
