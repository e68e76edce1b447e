//! `checkout.session.completed`, of the size and shape that Stripe sends.

use berth_jobs::ids::OrderId;
use uuid::Uuid;

pub(crate) const TEMPLATE: &str = include_str!("checkout_event.json");

/// The id of the order with a number; `orders.sql` makes the same.
pub(crate) fn order_id(number: u64) -> OrderId {
    const FIRST: u128 = 0x0000_0000_0000_7000_8000_0000_0000_0000;
    OrderId(Uuid::from_u128(FIRST + u128::from(number)))
}

/// The event that an order was paid, under ids that follow from the order's number.
pub(crate) fn checkout_event(number: u64) -> String {
    TEMPLATE.replace("{NUMBER}", &format!("{number:012}")).replace("{ORDER}", &order_id(number).to_string())
}
