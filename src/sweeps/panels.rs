//! Accounts against their panels: each live account's panel is looked at, by a job of its own. The jobs are spread over the
//! time until the next run, so that no panel is asked about all of its accounts at once. And panels against accounts: each
//! server is asked once for all that it has, for those that no account here stands for.

use berth_jobs::{
    hosting::{ReconcileAccount, ReconcileServer},
    ids::JobId,
};
use jiff::{SignedDuration, Timestamp};

use super::{Action, PAGE, Page, Sources, Step, SweepError, after_full_page};
use crate::{
    effects::{Effects, NewJob},
    gateways::panels::{Panels, ServerState},
    store::sweeps::Cursor,
};

/// Over so long the looks are spread: the next run comes after six hours.
const SPREAD_SECONDS: u128 = 5 * 60 * 60 + 30 * 60;

pub(super) async fn page(sources: &Sources<'_>, as_of: Timestamp, after: &Cursor) -> Result<Page, SweepError> {
    let accounts = sources.store.accounts_on_panels(after.id, PAGE).await?;
    let next = after_full_page(&accounts, |account| Cursor::after(as_of, account.id.0));
    let (mut steps, mut effects) = (Vec::with_capacity(accounts.len()), Effects::none());
    if *after == Cursor::start() {
        for server in asked(sources.panels) {
            effects = effects.enqueue(ReconcileServer { server: server.to_owned() });
            steps.push(look_for_orphans(server, as_of));
        }
    }
    for account in accounts {
        let job = ReconcileAccount { account_id: account.id }.into();
        let at = as_of + delay(account.id.0.as_u128());
        effects.jobs.push(NewJob { id: JobId::new(), once_key: None, job, run_at: Some(at) });
        steps.push(Step {
            action: Action::LookAtPanel,
            subject: account.id.to_string(),
            detail: None,
            customer: Some((account.customer_id, account.email)),
            amount: None,
            due_at: as_of,
            rows: 1,
        });
    }
    Ok(Page { steps, effects, next })
}

/// The servers that are not left alone.
fn asked(panels: &Panels) -> impl Iterator<Item = &str> {
    panels.servers().filter(|(.., placement)| placement.state != ServerState::Disabled).map(|(name, ..)| name)
}

fn look_for_orphans(server: &str, as_of: Timestamp) -> Step {
    Step {
        action: Action::LookForOrphans,
        subject: server.to_owned(),
        detail: None,
        customer: None,
        amount: None,
        due_at: as_of,
        rows: 1,
    }
}

/// By the random part of the account's id: the same at every run, and even over all accounts.
fn delay(id: u128) -> SignedDuration {
    let seconds = (id & u128::from(u64::MAX)) % SPREAD_SECONDS;
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::gateways::panels::{Placement, memory::MemoryPanel};

    #[test]
    fn a_server_that_is_disabled_is_left_alone() {
        let with = |panels: Panels, name: &str, state| {
            panels.with_placement(
                name,
                "memory",
                Arc::new(MemoryPanel::new()),
                Placement { state, ..Placement::default() },
            )
        };
        let states = [("a", ServerState::Active), ("b", ServerState::Disabled), ("c", ServerState::Draining)];

        let panels = states.into_iter().fold(Panels::new(), |panels, (name, state)| with(panels, name, state));

        assert_eq!(asked(&panels).collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn looks_are_spread_evenly_and_each_account_has_its_own_time() {
        let ids: Vec<u128> = (0..1_000).map(|_| Uuid::now_v7().as_u128()).collect();

        let early = ids.iter().filter(|id| delay(**id) < SignedDuration::from_mins(165)).count();

        assert!((400..600).contains(&early), "{early} of 1000 in the first half");
        assert!(ids.iter().all(|id| delay(*id) == delay(*id) && delay(*id) < SignedDuration::from_mins(330)));
    }
}
