//! Whether a notice that waits for a mail server is still to be sent.

use jiff::Timestamp;

use super::{At, Notice};
use crate::domain::{
    outdated::Outdated,
    renewal::RenewalPhase,
    timetable::{AccountFacts, Timetable},
};

/// Why a notice of the D `due_at` is not to be sent at `now`, though it was due when it was written; `None` while it is the
/// latest that applies. What [`due`](super::due) would have told now is never outdated, so that nothing is withdrawn and
/// written again in turns.
///
/// A warning that a suspension or a removal waits for is the last of its ladder: it is withdrawn when that step is off, and
/// told anew should it be on again.
#[must_use]
pub fn outdated(
    now: Timestamp,
    facts: &AccountFacts,
    timetable: &Timetable,
    due_at: Timestamp,
    notice: Notice,
) -> Option<Outdated> {
    At { now, facts, table: timetable }.outdated(due_at, notice)
}

impl At<'_> {
    fn outdated(&self, due_at: Timestamp, notice: Notice) -> Option<Outdated> {
        let facts = self.facts;
        let phase = facts.renewal.map(|renewal| renewal.phase);
        if !facts.phase.is_live() || facts.standing.ending.is_some() {
            return Some(Outdated::Ended);
        }
        if facts.standing.cancel_at.is_some() {
            return Some(Outdated::Leaving);
        }
        if facts.due_at > due_at || phase == Some(RenewalPhase::Paid) {
            return Some(Outdated::Paid);
        }
        if facts.frozen || facts.standing.held_by_more() {
            return Some(Outdated::NothingIsAsked);
        }
        match self.latest_notice() {
            _ if facts.due_at < due_at => Some(Outdated::Off),
            Some((_, latest)) if latest == notice => None,
            Some((_, latest)) if latest > notice => Some(Outdated::Overtaken(latest)),
            // The bank is asked whether it is paid: it is not known to be untrue.
            None if phase.is_some_and(RenewalPhase::is_charging) => None,
            Some(_) | None if phase.is_some_and(RenewalPhase::is_called_off) => Some(Outdated::CalledOff),
            Some(_) | None => Some(Outdated::Off),
        }
    }
}
