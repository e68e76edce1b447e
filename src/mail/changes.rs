//! What customers are told of a change of what their account is.

use berth_jobs::ids::{AccountId, PlanChangeId};
use serde::{Deserialize, Serialize};

/// Tells the customer that their account is what they changed it to. Amounts are decimal text; `"0.00"` is not shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChanged {
    pub change_id: PlanChangeId,
    pub account_id: AccountId,
    pub customer_name: Option<String>,
    /// What it was.
    pub previous_name: String,
    /// What it is now.
    pub service_name: String,
    /// What was paid, by card or on a page.
    pub paid: String,
    /// What was paid from the credit.
    pub from_credit: String,
    /// What was credited.
    pub credited: String,
    /// ISO 4217, upper case.
    pub currency: String,
    /// The end of the period that is paid for.
    pub expires_at: jiff::Timestamp,
    pub account_url: String,
}

/// Tells the customer that their account stays what it is, and where their money is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeNotMade {
    pub change_id: PlanChangeId,
    pub account_id: AccountId,
    pub customer_name: Option<String>,
    /// What it was to become.
    pub service_name: String,
    /// Why not: a sentence.
    pub reason: String,
    /// What they have of credit for it; `"0.00"` is not shown.
    pub credited: String,
    /// ISO 4217, upper case.
    pub currency: String,
    pub account_url: String,
}
