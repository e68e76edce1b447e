//! Which rows a unit of work touches: two that meet go into different groups.

use std::collections::{HashMap, hash_map::Entry};

use uuid::Uuid;

use crate::effects::{Effects, Guard};

/// Stands for the one row of the counter of invoices.
const INVOICE_COUNTER: Uuid = Uuid::max();

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
    rows.extend(effects.account_edits.iter().map(|edit| (edit.account_id.0, true)));
    rows.extend(effects.renewal_moves.iter().map(|step| (step.order_id().0, true)));
    rows.extend(effects.new_charges.iter().map(|charge| (charge.order_id.0, true)));
    rows.extend(effects.new_renewals.iter().map(|renewal| (renewal.account_id.0, true)));
    rows.extend(effects.looked.iter().map(|looked| (looked.account_id.0, true)));
    rows.extend(effects.credit_moves.iter().map(|step| (step.customer_id.0, true)));
    rows.extend(
        effects.credit_moves.iter().filter_map(|step| Some((step.by.as_ref()?.idempotency.as_ref()?.row(), true))),
    );
    rows.extend(effects.new_orders.iter().filter_map(|order| Some((order.idempotency.as_ref()?.row(), true))));
    rows.extend(effects.new_payments.iter().map(|payment| (payment.order_id.0, true)));
    rows.extend(effects.surplus_payments.iter().map(|payment| (payment.order_id.0, true)));
    rows.extend(effects.new_refunds.iter().map(|refund| (refund.payment_id.0, true)));
    rows.extend(effects.late_payments.iter().map(|payment| (payment.order_id.0, true)));
    rows.extend(effects.new_plan_changes.iter().map(|change| (change.account_id.0, true)));
    rows.extend(effects.plan_change_steps.iter().map(|(change, _)| (change.0, true)));
    rows.extend(effects.new_accounts.iter().map(|account| (account.order_item_id.0, true)));
    rows.extend(effects.guards.iter().map(|guard| match guard {
        Guard::Order(id, _) => (id.0, true),
        Guard::Account(id, _) => (id.0, true),
        Guard::Cart(customer, _) => (customer.0, true),
    }));
    rows.extend(effects.next_sessions.iter().map(|(order, _)| (order.0, true)));
    rows.extend(effects.coupon_uses.iter().map(|(order, _)| (order.0, true)));
    // A customer's row and cart.
    rows.extend(effects.profiles.iter().map(|profile| (profile.customer.id.0, true)));
    rows.extend(effects.anonymised.iter().map(|customer| (customer.0, true)));
    rows.extend(effects.card_changes.iter().map(|change| (change.customer_id.0, true)));
    rows.extend(effects.cart_changes.iter().map(|change| (change.customer.id.0, true)));
    rows.extend(effects.cleared_carts.iter().map(|(customer, _)| (customer.0, true)));
    // Uses are counted for all units of a group together; whoever changes a coupon has it for himself.
    rows.extend(effects.coupon_changes.iter().map(|change| (change.id().0, true)));
    rows.extend(effects.reservations.iter().map(|reservation| (reservation.coupon_id.0, false)));
    // Invoices are numbered together as well: the counter is shared by all who need it.
    rows.extend(effects.invoices.iter().map(|_| (INVOICE_COUNTER, false)));
    rows.extend(effects.credit_notes.iter().map(|note| (note.invoice_id.0, true)));
    rows.extend(effects.maybe_complete.iter().map(|order| (order.0, false)));
    rows
}
