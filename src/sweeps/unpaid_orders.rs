//! Orders whose time to be paid is over. One that may have a page is never given up before Stripe has been asked.

use berth_jobs::checkout::ExpireCheckout;
use jiff::Timestamp;

use super::{Action, MARGIN, PAGE, Page, Step, after_full_page};
use crate::{
    domain::order::{Actor, OrderEvent},
    effects::{CouponUse, CreditFor, CreditKind, Effects},
    store::{
        Store, StoreError,
        sweeps::{Cursor, DueOrder},
    },
};

pub(super) async fn page(store: &Store, as_of: Timestamp, after: Cursor) -> Result<Page, StoreError> {
    let orders = store.unpaid_orders(as_of - MARGIN, after, PAGE).await?;
    let next = after_full_page(&orders, |order| Cursor::after(order.due_at, order.state.id.0));
    let (mut steps, mut effects) = (Vec::with_capacity(orders.len()), Effects::none());
    for order in orders {
        let action = if order.may_have_page { Action::CloseAtStripe } else { Action::Cancel };
        effects = if order.may_have_page { asking(effects, &order) } else { cancelled(effects, &order, as_of) };
        steps.push(step(action, order));
    }
    Ok(Page { steps, effects, next })
}

/// Nobody can have paid it: what it has of a coupon is free for others, and the credit that it had taken goes back.
fn cancelled(effects: Effects, order: &DueOrder, at: Timestamp) -> Effects {
    let Some(step) = order.state.apply(OrderEvent::Expired) else { return effects };
    let mut effects = effects.move_order(step.by(Actor::Berth));
    if let Some(account_id) = order.changes {
        let of = CreditFor { customer_id: order.customer_id, order_id: Some(order.state.id), account_id, at };
        effects = effects.credit_for(of, CreditKind::Restored, order.credit);
    }
    if order.has_coupon { effects.settle_coupon(order.state.id, CouponUse::Release) } else { effects }
}

/// The key says that the order was looked at, so that what Stripe refuses to tell is asked once and then a person's.
fn asking(effects: Effects, order: &DueOrder) -> Effects {
    let id = order.state.id;
    effects.enqueue_once(ExpireCheckout { order_id: id }, format!("unpaid_order:{}", id.0))
}

pub(super) fn step(action: Action, order: DueOrder) -> Step {
    Step {
        action,
        subject: order.state.id.to_string(),
        detail: None,
        customer: Some((order.customer_id, order.email)),
        amount: Some(order.total),
        due_at: order.due_at,
        rows: 1,
    }
}
