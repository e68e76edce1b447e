//! What the jobs that change an account on its panel have in common: where it is, what an answer means for the job, and what
//! follows it.

use berth_jobs::Job;

use crate::{
    app::Ctx,
    domain::account::AccountState,
    effects::{Alert, Effects, Guard, job_of},
    error::{JobError, chain},
    gateways::panels::{AccountRef, PanelError, Step},
    store::accounts::Account,
};

/// What a panel has answered, for the job that asked.
pub(super) enum Answer<T> {
    /// It is done.
    Done(T),
    /// It will not be done without a person's help.
    Refused(String),
}

/// The server that an account is on, and the account as that knows it; `None` when nothing was ever sent to one.
pub(super) fn place_of(account: &Account) -> Option<(&str, AccountRef)> {
    let (server, username) = (account.server.as_deref()?, account.username.clone()?);
    let (remote_id, domain) = (account.remote_id.clone(), account.domain.clone());
    Some((server, AccountRef { account_id: account.state.id, username, remote_id, domain }))
}

/// As [`place_of`], for an account that was live.
///
/// # Errors
/// When nothing was ever sent to a panel.
pub(super) fn place_of_live(account: &Account) -> Result<(&str, AccountRef), JobError> {
    place_of(account).ok_or_else(|| JobError::Cancel(format!("{} was never sent to a panel", account.state.id)))
}

/// What a checkpoint says before the panel is asked: the account is as it was read.
pub(super) fn as_read(account: &Account) -> Effects {
    Effects::none().guard(Guard::Account(account.state.id, account.state.version))
}

/// What an answer means. A panel that is at work is asked again; one that refuses for good, or has failed in every try of the
/// job, is for a person.
///
/// # Errors
/// When it is asked again.
pub(super) fn heard<T>(ctx: &Ctx, answer: Result<Step<T>, PanelError>) -> Result<Answer<T>, JobError> {
    match answer {
        Ok(Step::Done(done)) => Ok(Answer::Done(done)),
        Ok(Step::Pending(_, after)) => Err(JobError::waiting("the panel is at work on it", after)),
        Err(error @ PanelError::Permanent(_)) => Ok(Answer::Refused(chain(&error))),
        Err(error) => match JobError::from(error) {
            JobError::Retry(why) if ctx.last_attempt => Ok(Answer::Refused(why)),
            error @ (JobError::Retry(_) | JobError::Snooze { .. } | JobError::InTurn { .. } | JobError::Cancel(_)) => {
                Err(error)
            }
        },
    }
}

/// The account stays as it is, and a person is told how to go on. Nothing else would: a phase in which its panel is at work is
/// left by nothing but the panel's answer.
pub(super) fn given_up<J: Job>(kind: &'static str, account: &Account, why: &str) -> Effects {
    let id = account.state.id;
    Effects::none().alert(Alert {
        kind,
        subject: id.to_string(),
        detail: format!(
            "{id} on {}: {why}. When its cause is mended: berth enqueue {} '{{\"account_id\": \"{id}\"}}'",
            account.server.as_deref().unwrap_or("no server"),
            J::NAME,
        ),
    })
}

/// The account is past what the job was for: what its phase asks for now, if anything. A wish that nobody has acted upon is
/// acted upon.
pub(super) fn moved_on(account: &Account) -> Effects {
    if let Some(step) = account.state.act() {
        return Effects::none().begin(step);
    }
    job_of(account.state.id, account.state.phase).map_or_else(Effects::none, |job| Effects::none().enqueue(job))
}

/// Begins, in the same commit, what was wished of the account while its panel was at work.
pub(super) fn with_wishes(effects: Effects, after: &AccountState) -> Effects {
    match after.act() {
        Some(step) => effects.begin(step),
        None => effects,
    }
}
