//! Whether a run of the accounts' sweep is about to do far more than usual, and what it must leave.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use berth_jobs::ids::{AccountId, FusePlanId};
use jiff::Timestamp;

use super::{Action, Sources, Stopped, accounts};
use crate::{
    domain::{
        fuse::{Fused, Load, Verdict, WINDOW},
        money::Money,
        timetable::Step,
    },
    effects::NewFusePlan,
    store::{StoreError, fuse::FuseCounts, sweeps::Cursor},
};

/// So many accounts are counted before it is said that there are many.
const MOST_COUNTED: i64 = 10_000_000;

/// What a run must not do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    stopped: BTreeSet<Fused>,
}

impl Limits {
    /// A run that may do everything.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether that is not to be done.
    #[must_use]
    pub fn stop(&self, what: Fused) -> bool {
        self.stopped.contains(&what)
    }
}

/// What a run may do, and the plans of what it may not.
#[derive(Debug, Default)]
pub struct Watched {
    /// What it must leave.
    pub limits: Limits,
    /// What it would have done, a plan a sort.
    pub plans: Vec<NewFusePlan>,
}

impl Watched {
    /// What was stopped, as a dry run tells it.
    #[must_use]
    pub fn stopped(&self) -> Vec<Stopped> {
        let told = self.plans.iter().map(|plan| Stopped {
            what: plan.what.as_str(),
            count: plan.count,
            of_accounts: plan.of_accounts,
        });
        told.collect()
    }
}

/// What of a timetable's steps is watched.
pub(super) fn watched(step: Step) -> Option<Fused> {
    match step {
        Step::Issue => Some(Fused::Invoices),
        Step::Charge(_) => Some(Fused::Charges),
        Step::Suspend => Some(Fused::Suspensions),
        Step::End(_) => Some(Fused::Terminations),
        Step::Notify(_) | Step::EnterGrace | Step::Purge => None,
    }
}

/// What of a run's actions is watched.
fn watched_action(action: Action) -> Option<Fused> {
    match action {
        Action::Issue => Some(Fused::Invoices),
        Action::Charge => Some(Fused::Charges),
        Action::Suspend => Some(Fused::Suspensions),
        Action::Remove => Some(Fused::Terminations),
        Action::Cancel
        | Action::CloseAtStripe
        | Action::AskStripe
        | Action::Notify
        | Action::EnterGrace
        | Action::Purge
        | Action::StoreEvent
        | Action::LookAtPanel
        | Action::LookForOrphans
        | Action::Mail
        | Action::Delete => None,
    }
}

/// Looks at what a run is about to do. Where so few accounts are due that no fuse can trip, nothing more is read.
///
/// # Errors
/// When the database does not answer.
pub async fn watch(shop: &Sources<'_>, as_of: Timestamp) -> Result<Watched, StoreError> {
    let done = shop.store.fuse_done(as_of - WINDOW).await?;
    let most_done = Fused::ALL.into_iter().map(|what| done.of(what)).max().unwrap_or_default();
    let number = i64::try_from(shop.fuse.number).unwrap_or(MOST_COUNTED).saturating_add(1);
    if shop.store.agenda_size(as_of, number).await?.saturating_add(most_done) <= shop.fuse.number {
        return Ok(Watched::default());
    }
    let accounts = shop.store.live_accounts().await?;
    let due = shop.store.agenda_size(as_of, MOST_COUNTED).await?;
    // Were all of them of one sort, it would be usual all the same.
    let most = Load { done: most_done, planned: due.max(1), accounts };
    if shop.fuse.verdict(most) == Verdict::Holds {
        return Ok(Watched::default());
    }
    Ok(judge(shop, as_of, accounts, &done, planned(shop, as_of).await?))
}

type PlannedRows = BTreeMap<Fused, Vec<(AccountId, Option<Money>)>>;

/// All that is due of what is watched.
async fn planned(shop: &Sources<'_>, as_of: Timestamp) -> Result<PlannedRows, StoreError> {
    let mut rows = PlannedRows::new();
    let mut after = Cursor::start();
    loop {
        let page = accounts::page(shop, as_of, after, &Limits::none()).await?;
        for step in page.steps {
            let account = AccountId::from_str(&step.subject).ok();
            if let Some((what, account)) = watched_action(step.action).zip(account) {
                rows.entry(what).or_default().push((account, step.amount));
            }
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(rows),
        }
    }
}

fn judge(shop: &Sources<'_>, as_of: Timestamp, accounts: u64, done: &FuseCounts, rows: PlannedRows) -> Watched {
    let mut watched = Watched::default();
    for (what, rows) in rows {
        let planned = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        if let Verdict::Trips { count, of } = shop.fuse.verdict(Load { done: done.of(what), planned, accounts }) {
            watched.limits.stopped.insert(what);
            let id = FusePlanId::new();
            watched.plans.push(NewFusePlan { id, what, planned_at: as_of, count, of_accounts: of, rows });
        }
    }
    watched
}
