//! ReconcileAccount: makes the panel agree with the account's row, whatever the row says.

use berth_jobs::hosting::{ProvisionAccount, ReconcileAccount};

use crate::{
    app::Ctx,
    domain::account::AccountPhase,
    effects::{Effects, Guard},
    error::JobError,
    gateways::panels::{AccountRef, Step},
};

/// Runs the job.
///
/// # Errors
/// When the panel or the database is away, or refuses.
pub async fn run(job: &ReconcileAccount, ctx: &Ctx) -> Result<Effects, JobError> {
    let account = ctx.store.account(job.account_id).await?;
    let (Some(server), Some(username)) = (&account.server, &account.username) else {
        // Nothing was ever sent to a panel.
        let pending = account.state.phase == AccountPhase::Pending;
        let provision = ProvisionAccount { account_id: account.state.id };
        return Ok(if pending { Effects::none().enqueue(provision) } else { Effects::none() });
    };
    let as_read = Effects::none().guard(Guard::Account(account.state.id, account.state.version));
    ctx.checkpoint(as_read).await?;
    let panel = ctx.panels.of(server)?;
    let on_panel =
        AccountRef { account_id: account.state.id, username: username.clone(), remote_id: account.remote_id.clone() };
    let step = match account.state.phase {
        AccountPhase::Pending | AccountPhase::Provisioning | AccountPhase::Failed => {
            return Ok(Effects::none().enqueue(ProvisionAccount { account_id: account.state.id }));
        }
        AccountPhase::Active | AccountPhase::Grace | AccountPhase::Unsuspending | AccountPhase::Changing => {
            panel.ensure_active(&on_panel).await?
        }
        AccountPhase::Suspending | AccountPhase::Suspended => {
            panel.ensure_suspended(&on_panel, account.suspension_reason.as_deref().unwrap_or("suspended")).await?
        }
        // It is removed by the job that has made its backup, not from here.
        AccountPhase::Terminating => return Ok(Effects::none()),
        AccountPhase::Terminated => panel.ensure_absent(&on_panel).await?,
    };
    match step {
        Step::Done(()) => Ok(Effects::none()),
        Step::Pending(_, after) => Err(JobError::waiting("the panel is at work on it", after)),
    }
}
