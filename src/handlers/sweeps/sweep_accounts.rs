//! SweepAccounts: does what is due by the accounts' timetables, but nothing of which far more is due than usual.

use berth_jobs::sweeps::SweepAccounts;

use super::{MOST_PAGES, time_of};
use crate::{
    app::Ctx,
    effects::Effects,
    error::JobError,
    failpoint,
    store::sweeps::Cursor,
    sweeps::{self, Sources, Sweep, fuse},
};

/// Runs the job.
///
/// # Errors
/// When the database is away, or an account changes while it is looked at.
pub async fn run(job: &SweepAccounts, ctx: &Ctx) -> Result<Effects, JobError> {
    let as_of = time_of(ctx, job.as_of.as_deref())?;
    let shop = Sources::of(ctx, ctx.now());
    let watched = fuse::watch(&shop, as_of).await?;
    let kept = watched.plans.into_iter().fold(Effects::none(), Effects::keep_plan);
    let mut after = Cursor::start();
    let mut first = Some(kept);
    for _ in 0..MOST_PAGES {
        let page = sweeps::accounts_page(&shop, as_of, after, &watched.limits).await?;
        let effects = page.effects.and(first.take().unwrap_or_default());
        let Some(next) = page.next else { return Ok(effects) };
        ctx.checkpoint(effects).await?;
        failpoint::hit("sweep.page");
        after = next;
    }
    Ok(Effects::none().enqueue(Sweep::Accounts.job(Some(as_of))))
}
