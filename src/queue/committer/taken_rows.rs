//! Which rows a unit of work touches: two that meet go into different groups.

use std::collections::{HashMap, hash_map::Entry};

use uuid::Uuid;

use crate::effects::{Effects, Guard};

/// The rows that a group's units touch. One unit may have a row for itself, or several may share it.
#[derive(Default)]
pub(super) struct TakenRows {
    rows: HashMap<Uuid, bool>,
}

impl TakenRows {
    /// Takes a unit's rows, all or none.
    pub(super) fn take(&mut self, effects: &Effects) -> bool {
        let wanted = rows_of(effects);
        let free = wanted.iter().all(|(row, alone)| match self.rows.get(row) {
            None => true,
            Some(taken_alone) => !alone && !taken_alone,
        });
        if free {
            for (row, alone) in wanted {
                match self.rows.entry(row) {
                    Entry::Occupied(_) => {}
                    Entry::Vacant(slot) => {
                        slot.insert(alone);
                    }
                }
            }
        }
        free
    }
}

/// Rows that the effects need, and whether they need them for themselves.
fn rows_of(effects: &Effects) -> Vec<(Uuid, bool)> {
    let mut rows: Vec<(Uuid, bool)> = Vec::new();
    rows.extend(effects.order_moves.iter().map(|step| (step.id().0, true)));
    rows.extend(effects.account_moves.iter().map(|step| (step.id().0, true)));
    rows.extend(effects.new_orders.iter().filter_map(|order| Some((order.idempotency.as_ref()?.row(), true))));
    rows.extend(effects.new_payments.iter().map(|payment| (payment.order_id.0, true)));
    rows.extend(effects.new_accounts.iter().map(|account| (account.order_item_id.0, true)));
    rows.extend(effects.guards.iter().map(|guard| match guard {
        Guard::Order(id, _) => (id.0, true),
        Guard::Account(id, _) => (id.0, true),
    }));
    rows.extend(effects.maybe_complete.iter().map(|order| (order.0, false)));
    rows
}
