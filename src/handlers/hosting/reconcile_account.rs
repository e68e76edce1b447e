//! ReconcileAccount: makes the panel agree with the account's row. What changes the row as well is another job's.

use berth_jobs::hosting::{ProvisionAccount, ReconcileAccount};

use super::{
    at_panel,
    drift::{Drift, drift},
};
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
    if phase.is_over() {
        return done(panel.ensure_absent(&on_panel).await?);
    }
    let found = panel.observe(&on_panel).await?;
    match drift(&account, &found, ctx.config.hosting.repair_packages) {
        Drift::None => Ok(Effects::none()),
        Drift::Activate => done(panel.ensure_active(&on_panel).await?),
        Drift::Suspend => {
            let reason = account.state.standing.reason().map_or("suspended", SuspensionReason::as_str);
            done(panel.ensure_suspended(&on_panel, reason).await?)
        }
        Drift::Package => done(panel.ensure_package(&on_panel, &account.package).await?),
        Drift::Tell(alert) => Ok(Effects::none().alert(alert)),
    }
}

fn done(step: Step<()>) -> Result<Effects, JobError> {
    match step {
        Step::Done(()) => Ok(Effects::none()),
        Step::Pending(_, after) => Err(JobError::waiting("the panel is at work on it", after)),
    }
}
