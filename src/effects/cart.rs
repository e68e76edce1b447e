//! What can become of a cart. Every write says which version of it was read.

use berth_jobs::ids::{CartItemId, CustomerId};
use jiff::Timestamp;
use serde_json::Value;

use super::{CustomerContact, Effects};
use crate::domain::money::{Currency, Money};

/// A cart holds at most so many lines.
pub const MOST_CART_LINES: u32 = 50;
/// A line is for at most so many.
pub const MOST_OF_A_LINE: u32 = 100;

/// A cart's step from the version that was read to the next.
#[derive(Clone, Debug)]
pub struct CartChange {
    /// Whose. Their row is made with the cart.
    pub customer: CustomerContact,
    /// The version that was read; 0 where there was no cart.
    pub version: i32,
    /// The currency of a cart that is made by this.
    pub currency: Currency,
    /// What changes, in this order.
    pub edits: Vec<CartEdit>,
}

/// One thing that changes in a cart.
#[derive(Clone, Debug)]
pub enum CartEdit {
    /// A line, or more of the line that has its key. Refused with `CartFull` beyond the bounds.
    Add(CartLine),
    /// The line with this id becomes this. Refused with `CartChanged` when there is none, or another has its key:
    /// then the other is removed first, and this one takes over its quantity.
    Put(CartLine),
    /// The line goes, if it is there.
    Remove(CartItemId),
    /// The code that the cart is priced with.
    SetCoupon(Option<String>),
    /// The currency that the cart is priced in.
    SetCurrency(Currency),
    /// All lines go, and the coupon.
    Clear,
}

/// A line of a cart.
#[derive(Clone, Debug, PartialEq)]
pub struct CartLine {
    /// Its id; a line that is added to one with its key takes that one's.
    pub id: CartItemId,
    /// A hash over what makes two lines the same.
    pub line_key: String,
    /// The catalogue's id of the service.
    pub service_id: String,
    /// How many: 1 to [`MOST_OF_A_LINE`].
    pub quantity: u32,
    /// The catalogue's ids of the add-ons.
    pub addon_ids: Vec<String>,
    /// The options chosen: an object.
    pub configuration: Value,
    /// The name of the site.
    pub domain: Option<String>,
    /// Staff's price for a unit.
    pub price_override: Option<PriceOverride>,
}

/// A price that staff has set instead of the catalogue's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceOverride {
    /// For a unit.
    pub price: Money,
    /// Who has set it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Until when it holds.
    pub until: Timestamp,
}

impl Effects {
    /// Changes a cart. Refused with `CartChanged` when it is not at the version that was read.
    #[must_use]
    pub fn cart(mut self, change: CartChange) -> Self {
        self.cart_changes.push(change);
        self
    }

    /// Empties a cart if it is still at this version: what the customer has put into it since stays.
    #[must_use]
    pub fn clear_cart_at(mut self, customer: CustomerId, version: i32) -> Self {
        self.cleared_carts.push((customer, version));
        self
    }
}
