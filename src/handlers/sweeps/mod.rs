//! Scheduled work, page by page: each page is one commit, so a run that dies has done the pages before.

pub mod run_plan;
pub mod sweep_accounts;
pub mod sweep_cards;
pub mod sweep_checkout_pages;
pub mod sweep_digest;
pub mod sweep_leftovers;
pub mod sweep_panels;
pub mod sweep_silent_charges;
pub mod sweep_stripe_events;
pub mod sweep_unpaid_orders;

use jiff::Timestamp;

use crate::{
    app::Ctx,
    effects::Effects,
    error::JobError,
    failpoint,
    store::sweeps::Cursor,
    sweeps::{self, Sources, Sweep},
};

/// So many pages are done by one run; what is left is another one's.
const MOST_PAGES: u32 = 200;

/// Does all that is due, or that was due at `as_of`.
async fn sweep(ctx: &Ctx, sweep: Sweep, as_of: Option<&str>) -> Result<Effects, JobError> {
    let as_of = time_of(ctx, as_of)?;
    let sources = Sources::of(ctx, ctx.now());
    let mut after = Cursor::start();
    for _ in 0..MOST_PAGES {
        let page = sweeps::page(&sources, sweep, as_of, after).await?;
        let Some(next) = page.next else { return Ok(page.effects) };
        ctx.checkpoint(page.effects).await?;
        failpoint::hit("sweep.page");
        after = next;
    }
    Ok(Effects::none().enqueue(sweep.job(Some(as_of))))
}

fn time_of(ctx: &Ctx, as_of: Option<&str>) -> Result<Timestamp, JobError> {
    let Some(text) = as_of else { return Ok(ctx.now()) };
    let as_of: Timestamp = text.parse().map_err(|error| JobError::Cancel(format!("as_of `{text}`: {error}")))?;
    sweeps::check_as_of(as_of, ctx.now(), false)
        .map_err(|error| JobError::Cancel(format!("as_of `{text}`: {error}")))?;
    Ok(as_of)
}
