//! ReconcileAccount: makes the panel agree with the account's row, and writes down what the account uses. What changes the row
//! as well is another job's.

use berth_jobs::hosting::{ProvisionAccount, ReconcileAccount};

use super::{
    at_panel, at_server,
    drift::{Drift, drift},
};
use crate::{
    app::Ctx,
    domain::account::{AccountPhase, SuspensionReason},
    effects::{Effects, UsageSample},
    error::{JobError, chain},
    gateways::panels::{AccountRef, Observed, Panel, Step, Usage},
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
    let server = at_server::enter(ctx, server).await?;
    let panel = server.panel();
    ctx.checkpoint(at_panel::as_read(&account)).await?;
    if phase.is_over() {
        return done(server.heard(panel.ensure_absent(&on_panel).await).await?);
    }
    let found = server.heard(panel.observe(&on_panel).await).await?;
    let effects = match drift(&account, &found, ctx.config.hosting.repair_packages) {
        Drift::None => Effects::none(),
        Drift::Activate => done(server.heard(panel.ensure_active(&on_panel).await).await?)?,
        Drift::Suspend => {
            let reason = account.state.standing.reason().map_or("suspended", SuspensionReason::as_str);
            done(server.heard(panel.ensure_suspended(&on_panel, reason).await).await?)?
        }
        Drift::Package => done(server.heard(panel.ensure_package(&on_panel, &account.package).await).await?)?,
        Drift::Tell(alert) => Effects::none().alert(alert),
    };
    let sample = match found {
        Observed::Present { .. } => sample(ctx, panel, &on_panel).await,
        Observed::Absent | Observed::Partial { .. } | Observed::Foreign => None,
    };
    Ok(sample.into_iter().fold(effects, Effects::sample))
}

/// What it uses now, where its panel says that. One that cannot say it just now is asked with the next look: nothing waits
/// for it.
async fn sample(ctx: &Ctx, panel: &dyn Panel, on_panel: &AccountRef) -> Option<UsageSample> {
    if !panel.caps().usage {
        return None;
    }
    match panel.usage(on_panel).await {
        Ok(Usage { disk_bytes, inodes, traffic_bytes }) => {
            Some(UsageSample { account_id: on_panel.account_id, disk_bytes, inodes, traffic_bytes, at: ctx.now() })
        }
        Err(error) => {
            tracing::warn!(account = %on_panel.account_id, error = chain(&error), "a panel does not say what an account uses");
            None
        }
    }
}

fn done(step: Step<()>) -> Result<Effects, JobError> {
    match step {
        Step::Done(()) => Ok(Effects::none()),
        Step::Pending(_, after) => Err(JobError::waiting("the panel is at work on it", after)),
    }
}
