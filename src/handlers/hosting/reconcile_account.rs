//! ReconcileAccount: makes the panel agree with the account's row. What changes the row as well is another job's.

use berth_jobs::hosting::{ProvisionAccount, ReconcileAccount};

use super::at_panel;
use crate::{
    app::Ctx,
    domain::account::{AccountPhase, SuspensionReason},
    effects::Effects,
    error::JobError,
    gateways::panels::Step,
};

/// Runs the job.
///
/// # Errors
/// When the panel or the database is away, or refuses.
pub async fn run(job: &ReconcileAccount, ctx: &Ctx) -> Result<Effects, JobError> {
    let account = ctx.store.account(job.account_id).await?;
    let (phase, provision) = (account.state.phase, ProvisionAccount { account_id: account.state.id });
    if matches!(phase, AccountPhase::Pending | AccountPhase::Failed) {
        return Ok(Effects::none().enqueue(provision));
    }
    if phase.is_busy() || account.state.act().is_some() {
        return Ok(at_panel::moved_on(&account));
    }
    // One that ended before anything was sent to a panel.
    let Some((server, on_panel)) = at_panel::place_of(&account) else { return Ok(Effects::none()) };
    ctx.checkpoint(at_panel::as_read(&account)).await?;
    let panel = ctx.panels.of(server)?;
    let step = match phase {
        AccountPhase::Active | AccountPhase::Grace => panel.ensure_active(&on_panel).await?,
        AccountPhase::Suspended => {
            let reason = account.state.standing.reason().map_or("suspended", SuspensionReason::as_str);
            panel.ensure_suspended(&on_panel, reason).await?
        }
        AccountPhase::Terminated => panel.ensure_absent(&on_panel).await?,
        AccountPhase::Pending
        | AccountPhase::Failed
        | AccountPhase::Provisioning
        | AccountPhase::Suspending
        | AccountPhase::Unsuspending
        | AccountPhase::Changing
        | AccountPhase::Terminating => return Ok(Effects::none()),
    };
    match step {
        Step::Done(()) => Ok(Effects::none()),
        Step::Pending(_, after) => Err(JobError::waiting("the panel is at work on it", after)),
    }
}
