//! TerminateAccount: makes a backup of an account that is to end, removes it from its panel, then tells its customer.

use berth_jobs::hosting::TerminateAccount;

use super::{
    at_panel::{self, Answer},
    at_server::{self, AtServer},
};
use crate::{
    app::Ctx,
    domain::{
        account::{AccountPhase, Ending},
        order::Actor,
        timetable::backup_kept_until,
    },
    effects::{Alert, Effects, Fact},
    ending,
    error::{JobError, chain},
    failpoint,
    gateways::panels::{AccountRef, BackupRef, Observed, Step},
    mail::{AccountTerminated, Mail},
    store::accounts::Account,
    timetables,
};

/// Runs the job.
///
/// # Errors
/// When the panel or the database is away, or refuses.
pub async fn run(job: &TerminateAccount, ctx: &Ctx) -> Result<Effects, JobError> {
    let account = ctx.store.account(job.account_id).await?;
    if account.state.phase != AccountPhase::Terminating {
        return Ok(at_panel::moved_on(&account));
    }
    let Some((server, on_panel)) = at_panel::place_of(&account) else {
        return gone(ctx, &account, Kept::Nothing).await;
    };
    let server = at_server::enter(ctx, server).await?;
    let kept = match backed_up(ctx, &account, &server, &on_panel).await? {
        Answer::Done(kept) => kept,
        Answer::Refused(why) => return Ok(no_backup(&account, &why)),
    };
    ctx.checkpoint(at_panel::as_read(&account)).await?;
    failpoint::hit("panel.before_remove");
    let answer = server.panel().ensure_absent(&on_panel).await;
    failpoint::hit("panel.after_remove");
    match at_panel::heard(ctx, server.heard(answer).await)? {
        Answer::Done(()) => gone(ctx, &account, kept).await,
        Answer::Refused(why) => Ok(at_panel::given_up::<TerminateAccount>("termination_failed", &account, &why)),
    }
}

/// What is left of an account once it is removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Backup,
    Nothing,
    /// It was live and its panel does not know it any more: somebody has removed it by hand.
    NothingWasThere,
}

/// Makes the backup under a name that is committed before it is asked for, so that every run makes the same one.
async fn backed_up(
    ctx: &Ctx,
    account: &Account,
    server: &AtServer<'_>,
    on_panel: &AccountRef,
) -> Result<Answer<Kept>, JobError> {
    let waived = account.backup_waived || !server.panel().caps().backups && ctx.ends_without_backup(account);
    if waived || account.activated_at.is_none() {
        return Ok(Answer::Done(Kept::Nothing)); // or nothing of the customer's was ever on it
    }
    let backup: BackupRef = match &account.backup_reference {
        Some(named) => named.parse().map_err(|error| JobError::Retry(chain(&error)))?,
        None => match at_panel::heard(ctx, server.heard(server.panel().observe(on_panel).await).await.map(Step::Done))?
        {
            Answer::Done(Observed::Absent) => return Ok(Answer::Done(Kept::NothingWasThere)),
            Answer::Done(Observed::Partial { .. } | Observed::Present { .. } | Observed::Foreign) => {
                BackupRef::new(account.state.id, account.state.version)
            }
            Answer::Refused(why) => return Ok(Answer::Refused(why)),
        },
    };
    let named = Fact::BackupNamed { account_id: account.state.id, reference: backup.to_string() };
    ctx.checkpoint(at_panel::as_read(account).fact(named)).await?;
    failpoint::hit("panel.before_backup");
    let answer = server.panel().ensure_backup(on_panel, &backup).await;
    failpoint::hit("panel.after_backup");
    Ok(match at_panel::heard(ctx, server.heard(answer).await)? {
        Answer::Done(_) => Answer::Done(Kept::Backup),
        Answer::Refused(why) => Answer::Refused(why),
    })
}

/// Nothing is removed of which there is no backup, unless a person says so: of this account, or of its pool where servers make
/// none.
fn no_backup(account: &Account, why: &str) -> Effects {
    let why = format!(
        "no backup could be made: {why}. It can be removed without one by POST /v1/hosting/{}/terminate with \
         `without_backup`. Where its server makes none at all, terminate_without_backup in the file of servers says it of \
         all accounts that are sold as it is",
        account.state.id,
    );
    at_panel::given_up::<TerminateAccount>("termination_failed", account, &why)
}

async fn gone(ctx: &Ctx, account: &Account, kept: Kept) -> Result<Effects, JobError> {
    let Some(step) = account.state.terminated(ctx.now()) else { return Ok(Effects::none()) };
    // They were called off when the end was recorded; one that was issued in that moment is called off now.
    let open = ctx.store.unsettled_renewals(&[account.state.id]).await?;
    let mut effects = ending::call_off(Effects::from(step), &open, Actor::Berth, ctx.now());
    if kept == Kept::NothingWasThere {
        effects = effects.alert(missing(account));
    }
    // Who never had it is told by whoever gives the money back.
    let Some(_) = account.activated_at else { return Ok(effects) };
    Ok(effects.mail(account.customer.id, notice(ctx, account, kept)))
}

fn missing(account: &Account) -> Alert {
    Alert {
        kind: "account_missing",
        subject: account.state.id.to_string(),
        detail: "its panel did not know it any more when it was to be removed: there is no backup of it".to_owned(),
    }
}

fn notice(ctx: &Ctx, account: &Account, kept: Kept) -> Mail {
    let timetable = timetables::of_account(ctx, &account.service_id, &account.timetable);
    Mail::AccountTerminated(AccountTerminated {
        account_id: account.state.id,
        customer_name: account.customer.name.clone(),
        service_name: account.service_name.clone(),
        cause: account.state.standing.ending.map_or("staff", Ending::as_str).to_owned(),
        terminated_at: ctx.now(),
        backup_until: (kept == Kept::Backup).then(|| backup_kept_until(ctx.now(), &timetable)),
    })
}
