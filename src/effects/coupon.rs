//! What can become of coupons and of their uses.

use berth_jobs::ids::{CouponId, CustomerId, OrderId};
use jiff::Timestamp;
use rust_decimal::Decimal;

use super::Effects;
use crate::domain::money::Money;

/// What a coupon takes off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CouponAmount {
    /// Per cent, above 0 and at most 100.
    Percentage(Decimal),
    /// One amount a currency.
    Fixed(Vec<Money>),
}

/// What a coupon grants, to whom and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CouponTerms {
    /// What it takes off.
    pub amount: CouponAmount,
    /// From when; `None` is at once.
    pub starts_at: Option<Timestamp>,
    /// The first instant at which it is over; `None` is never.
    pub ends_at: Option<Timestamp>,
    /// How often in all; `None` is without limit.
    pub max_uses: Option<u32>,
    /// How often by one customer; `None` is without limit.
    pub max_uses_per_customer: Option<u32>,
    /// From which sum on, by currency; a currency that is not named has no minimum.
    pub minimum_spend: Vec<Money>,
    /// For which services; empty is all.
    pub services: Vec<String>,
    /// For the first so many cycles of an account; `None` is every one.
    pub cycles: Option<u32>,
    /// Whether it can be used at all.
    pub active: bool,
}

/// What staff does to a coupon.
#[derive(Clone, Debug)]
pub enum CouponChange {
    /// Makes it. Refused with `CodeTaken` when its code is known.
    Create {
        /// Its id.
        id: CouponId,
        /// Its code, in capitals.
        code: String,
        /// What it grants.
        terms: CouponTerms,
        /// Who makes it.
        by: String,
    },
    /// Grants something else from now on. Refused with `LimitBelowUses` when it has been used more often than that,
    /// and with `RowChanged` when there is none.
    Change {
        /// Which.
        id: CouponId,
        /// What it grants.
        terms: CouponTerms,
    },
    /// Takes it out of use. What is reserved stays reserved. Refused with `RowChanged` when there is none.
    End(CouponId),
}

impl CouponChange {
    /// The coupon.
    #[must_use]
    pub const fn id(&self) -> CouponId {
        match self {
            Self::Create { id, .. } | Self::Change { id, .. } | Self::End(id) => *id,
        }
    }
}

/// A use of a coupon by an order that is made in the same unit.
#[derive(Clone, Copy, Debug)]
pub struct CouponReservation {
    /// Which coupon.
    pub coupon_id: CouponId,
    /// By which order.
    pub order_id: OrderId,
    /// Whose order it is.
    pub customer_id: CustomerId,
    /// What it takes off.
    pub amount: Money,
}

/// How a reserved use ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CouponUse {
    /// The order was paid: the use counts for good. Of a use that had been given back, another one is taken.
    Commit,
    /// The order will not be paid: the use is free again.
    Release,
}

impl Effects {
    /// Makes, changes or ends a coupon.
    #[must_use]
    pub fn coupon(mut self, change: CouponChange) -> Self {
        self.coupon_changes.push(change);
        self
    }

    /// Takes a use of a coupon for an order. Refused with `CouponUsedUp`, `CouponUsedUpByCustomer` or `CouponEnded`.
    #[must_use]
    pub fn reserve_coupon(mut self, reservation: CouponReservation) -> Self {
        self.reservations.push(reservation);
        self
    }

    /// Ends the use that an order has reserved, if it has.
    #[must_use]
    pub fn settle_coupon(mut self, order: OrderId, outcome: CouponUse) -> Self {
        self.coupon_uses.push((order, outcome));
        self
    }
}
