//! RunPlan: does what a person has confirmed of what was about to be done to too many accounts, as far as it is still due.

use berth_jobs::sweeps::RunPlan;
use uuid::Uuid;

use crate::{
    app::Ctx,
    domain::fuse,
    effects::Effects,
    error::JobError,
    failpoint,
    sweeps::{self, Sources},
};

/// So many accounts are done in one commit.
const PAGE: i64 = 500;

/// Runs the job.
///
/// # Errors
/// When the database is away, or an account changes while it is looked at.
pub async fn run(job: &RunPlan, ctx: &Ctx) -> Result<Effects, JobError> {
    let plan = ctx.store.fuse_plan(job.plan_id).await?;
    if plan.confirmed_at.is_none() {
        return Err(JobError::Cancel(format!("{} was not confirmed", plan.id)));
    }
    if !fuse::may_confirm(plan.planned_at, ctx.now()) {
        return Err(JobError::Cancel(format!("{} is older than a day: what is due now is planned anew", plan.id)));
    }
    let shop = Sources::of(ctx, ctx.now());
    let mut after = Uuid::nil();
    loop {
        let accounts = ctx.store.fuse_plan_accounts(plan.id, after, PAGE).await?;
        let Some(last) = accounts.last() else { return Ok(Effects::none()) };
        after = last.0;
        let page = sweeps::confirmed_page(&shop, &accounts, plan.what).await?;
        ctx.checkpoint(page.effects).await?;
        failpoint::hit("sweep.page");
    }
}
