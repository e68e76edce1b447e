//! What customers are told of money that goes back.

use berth_jobs::ids::{OrderId, RefundId};
use serde::{Deserialize, Serialize};

/// Tells the customer that money is on its way back to them. The amount is decimal text at the currency's scale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundIssued {
    pub refund_id: RefundId,
    pub order_id: OrderId,
    pub customer_name: Option<String>,
    pub amount: String,
    /// ISO 4217, upper case.
    pub currency: String,
    pub order_url: String,
}

/// Tells the customer that what they bought is suspended, because their bank wants its payment back. The amount is decimal
/// text at the currency's scale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeOpened {
    /// Stripe's.
    pub dispute_id: String,
    pub order_id: OrderId,
    pub customer_name: Option<String>,
    pub amount: String,
    /// ISO 4217, upper case.
    pub currency: String,
    pub order_url: String,
}
