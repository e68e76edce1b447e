//! Settles the runs of a group and fences them: whose claim no longer holds is found out here.

use std::collections::HashSet;

use berth_jobs::ids::JobId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Claim, Purpose, Settlement, Unit};
use crate::{
    effects::Alert,
    store::jobs::{self, Dispatch, Settlements},
};

pub(super) struct Settled {
    /// Units whose claim no longer holds, by their place.
    pub(super) lost: Vec<usize>,
    pub(super) dispatches: Vec<Dispatch>,
    pub(super) alerts: Vec<Alert>,
}

/// Settles and fences: locks the jobs of the group, and finds out whose claim no longer holds.
pub(super) async fn settle(db: &mut PgConnection, group: &[Unit]) -> Result<Settled, sqlx::Error> {
    let mut done = (Vec::new(), Vec::new());
    let mut held = (Vec::new(), Vec::new());
    let mut others = Settlements::default();
    let mut serials = Vec::new();
    for unit in group {
        match &unit.purpose {
            Purpose::Write => {}
            Purpose::Checkpoint(claim) | Purpose::Fence(claim) => {
                held.0.push(claim.job_id.0);
                held.1.push(claim.claim_id);
            }
            Purpose::Settle(claim, settlement) => {
                serials.extend(claim.serial.clone());
                if *settlement == Settlement::Done {
                    done.0.push(claim.job_id.0);
                    done.1.push(claim.claim_id);
                } else {
                    push_settlement(&mut others, claim, settlement);
                }
            }
        }
    }
    let mut holding: HashSet<(Uuid, Uuid)> = HashSet::with_capacity(group.len());
    let mut alerts = Vec::new();
    if !done.0.is_empty() {
        holding.extend(jobs::settle_done(db, &done.0, &done.1).await?.iter().map(|held| (held.id, held.claim_id)));
    }
    if !others.ids.is_empty() {
        for settled in jobs::settle(db, &others).await? {
            holding.insert((settled.id, settled.claim_id));
            if settled.state == "dead" {
                alerts.push(Alert {
                    kind: "job_dead",
                    subject: JobId(settled.id).to_string(),
                    detail: format!(
                        "{} is dead: {}. When its cause is mended, `berth jobs retry {}`.",
                        settled.kind,
                        settled.last_error.unwrap_or_default(),
                        JobId(settled.id),
                    ),
                });
            }
        }
    }
    if !held.0.is_empty() {
        holding.extend(jobs::hold_claims(db, &held.0, &held.1).await?.iter().map(|held| (held.id, held.claim_id)));
    }
    let dispatches = if serials.is_empty() { Vec::new() } else { jobs::successors(db, &serials).await? };
    let lost = |unit: &Unit| unit.claim().is_some_and(|claim| !holding.contains(&(claim.job_id.0, claim.claim_id)));
    let lost = group.iter().enumerate().filter(|(_, unit)| lost(unit)).map(|(at, _)| at).collect();
    Ok(Settled { lost, dispatches, alerts })
}

fn push_settlement(rows: &mut Settlements, claim: &Claim, settlement: &Settlement) {
    let (state, due_in, error, give_up_after) = match settlement {
        Settlement::Done => ("done", None, None, None),
        Settlement::Retry { after, error } => ("queued", Some(*after), Some(error), None),
        Settlement::Snooze { after, give_up_after, reason } => {
            let give_up_after = give_up_after.map_or(f64::INFINITY, |time| time.as_secs_f64());
            ("queued", Some(*after), Some(reason), Some(give_up_after))
        }
        Settlement::Cancel { reason } => ("cancelled", None, Some(reason), None),
        Settlement::Dead { error } => ("dead", None, Some(error), None),
    };
    rows.ids.push(claim.job_id.0);
    rows.claim_ids.push(claim.claim_id);
    rows.states.push(state);
    rows.due_in.push(due_in.map(|time| time.as_secs_f64()));
    rows.errors.push(error.cloned());
    rows.give_up_after.push(give_up_after);
}
