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

/// Runs the job. While a page is committed, the next one is read.
///
/// # Errors
/// When the database is away, or an account changes while it is looked at.
pub async fn run(job: &SweepAccounts, ctx: &Ctx) -> Result<Effects, JobError> {
    let as_of = time_of(ctx, job.as_of.as_deref())?;
    let shop = Sources::of(ctx, ctx.now());
    let watched = fuse::watch(&shop, as_of).await?;
    let page_after = |after: Cursor| sweeps::accounts_page(&shop, as_of, after, &watched.limits);
    let mut page = page_after(Cursor::start()).await?;
    page.effects = watched.plans.iter().cloned().fold(page.effects, Effects::keep_plan);
    for _ in 0..MOST_PAGES {
        let Some(next) = page.next else { return Ok(page.effects) };
        page = if page.effects.moves_credit() {
            // Another account of the same customer is paid from what this page leaves.
            ctx.checkpoint(page.effects).await?;
            page_after(next).await?
        } else {
            let (committed, read) = tokio::join!(ctx.checkpoint(page.effects), page_after(next));
            committed?;
            read?
        };
        failpoint::hit("sweep.page");
    }
    Ok(Effects::none().enqueue(Sweep::Accounts.job(Some(as_of))))
}
