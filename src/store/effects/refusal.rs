//! Why a unit's effects cannot become true, in words that a route can choose its answer by.

/// A unit's effects cannot become true any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{row} {why}")]
pub struct Refusal {
    /// The row that stands in the way.
    pub row: String,
    /// What is the matter with it.
    pub why: Why,
}

/// What is the matter with the row that stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It is not as it was read: read it again.
    #[error("has changed meanwhile")]
    RowChanged,
    /// What was to be made exists.
    #[error("is there already")]
    AlreadyThere,
    /// The server holds as many accounts as it may.
    #[error("is full")]
    ServerFull,
    /// The cart is not at the version that was read, or has no such line.
    #[error("has changed meanwhile: the cart must be read again")]
    CartChanged,
    /// The cart would hold too many lines, or the line too many of its service.
    #[error("is full")]
    CartFull,
    /// All uses of the coupon are taken.
    #[error("is used up")]
    CouponUsedUp,
    /// The customer has used the coupon as often as one customer may.
    #[error("is used up by this customer")]
    CouponUsedUpByCustomer,
    /// The coupon was ended, is over, or has not begun.
    #[error("cannot be used now")]
    CouponEnded,
    /// Another coupon has the code.
    #[error("is another coupon's")]
    CodeTaken,
    /// The coupon has been used more often than it could be from now on.
    #[error("has been used more often than that")]
    LimitBelowUses,
    /// The customer has less credit than that, or less that was granted, or it was moved for this order or key before.
    #[error("is too little, or was moved before")]
    NotEnoughCredit,
    /// Nothing of the payment is left to go back.
    #[error("has nothing left that could go back")]
    NothingLeft,
    /// Less of the payment is left than that.
    #[error("has less left than that")]
    RefundAboveRest,
    /// The payment is disputed: what goes back is its bank's to decide.
    #[error("is disputed")]
    Disputed,
    /// The customer was anonymised: nothing can be bought under their id.
    #[error("has been deleted")]
    CustomerDeleted,
    /// The customer has an account that is not terminated, or an order that is not finished.
    #[error("has something that still runs")]
    CustomerBusy,
}
