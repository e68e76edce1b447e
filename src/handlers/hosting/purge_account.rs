//! PurgeAccount: deletes the backup and the secrets of an account that ended long ago, once.

use berth_jobs::hosting::PurgeAccount;

use super::{
    at_panel::{self, Answer},
    at_server,
};
use crate::{
    app::Ctx,
    domain::{account::AccountPhase, timetable::backup_kept_until},
    effects::{AccountEdit, AccountSettings, Effects},
    error::{JobError, chain},
    failpoint,
    gateways::panels::BackupRef,
    store::accounts::Account,
    timetables,
};

/// Runs the job.
///
/// # Errors
/// When the panel or the database is away, or refuses.
pub async fn run(job: &PurgeAccount, ctx: &Ctx) -> Result<Effects, JobError> {
    let account = ctx.store.account(job.account_id).await?;
    let Some(gone_at) = account.terminated_at.filter(|_| account.state.phase == AccountPhase::Terminated) else {
        return Ok(at_panel::moved_on(&account));
    };
    if account.purged_at.is_some() {
        return Ok(Effects::none());
    }
    let until = backup_kept_until(gone_at, &timetables::of_account(ctx, &account.service_id, &account.timetable));
    if ctx.now() < until {
        return Err(JobError::Cancel(format!("the backup of {} is kept until {until}", job.account_id)));
    }
    let (Some(reference), Some(server)) = (&account.backup_reference, &account.server) else {
        return Ok(forgotten(ctx, &account));
    };
    let backup: BackupRef = reference.parse().map_err(|error| JobError::Retry(chain(&error)))?;
    let server = at_server::enter(ctx, server).await?;
    ctx.checkpoint(at_panel::as_read(&account)).await?;
    failpoint::hit("panel.before_purge");
    let answer = server.panel().ensure_backup_absent(&backup).await;
    failpoint::hit("panel.after_purge");
    match at_panel::heard(ctx, server.heard(answer).await)? {
        Answer::Done(()) => Ok(forgotten(ctx, &account)),
        Answer::Refused(why) => Ok(at_panel::given_up::<PurgeAccount>("purge_failed", &account, &why)),
    }
}

fn forgotten(ctx: &Ctx, account: &Account) -> Effects {
    Effects::none().edit_account(AccountEdit {
        account_id: account.state.id,
        version: account.state.version,
        reason: "backup and secrets deleted",
        settings: AccountSettings { purged_at: Some(ctx.now()), ..AccountSettings::default() },
    })
}
