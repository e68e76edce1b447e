//! Scheduled work: each sweep looks for the rows that are due, and does or has done what is due to them.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Backoff, Class, Job, Queue, ids::FusePlanId};

/// Does what a sweep of the accounts was about to do to too many, now that a person has confirmed it: what of its plan is
/// still due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunPlan {
    /// The plan.
    pub plan_id: FusePlanId,
}

impl Job for RunPlan {
    const NAME: &'static str = "run_plan";
    const QUEUE: Queue = Queue::Sweeps;
    const CLASS: Class = Class::Bulk;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(300);
    const BACKOFF: Backoff = Backoff::seconds(5, 600);

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("run_plan:{}", self.plan_id))
    }

    // One run looks at the accounts at a time.
    fn serial(&self) -> Option<String> {
        Some(SweepAccounts::NAME.to_owned())
    }
}

macro_rules! sweeps {
    ($($(#[$doc:meta])* $sweep:ident = $name:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $sweep {
            /// Only what was due at that time (RFC 3339, not to come); without it, what is due when the sweep runs.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(extend("format" = "date-time"))]
            pub as_of: Option<String>,
        }

        impl Job for $sweep {
            const NAME: &'static str = $name;
            const QUEUE: Queue = Queue::Sweeps;
            const CLASS: Class = Class::Bulk;
            const TRIES: u32 = 20;
            const TIMEOUT: Duration = Duration::from_secs(300);
            const BACKOFF: Backoff = Backoff::seconds(5, 600);
            const EXTERNAL: bool = true;

            fn coalesce_key(&self) -> Option<String> {
                Some(self.as_of.iter().fold(Self::NAME.to_owned(), |key, as_of| format!("{key}:{as_of}")))
            }

            fn serial(&self) -> Option<String> {
                Some(Self::NAME.to_owned())
            }
        }
    )*};
}

sweeps! {
    /// Gives up the orders whose time to be paid is over. Those that may have a page are asked about at Stripe first.
    SweepUnpaidOrders = "sweep_unpaid_orders";
    /// Asks Stripe about pages of whose end it has told nothing yet, the longer they are open the more seldom.
    SweepCheckoutPages = "sweep_checkout_pages";
    /// Does what is due by the accounts' timetables: invoices, notices, charges, grace, suspensions, ends and purges.
    SweepAccounts = "sweep_accounts";
    /// Reads Stripe's list of events and stores those that never came, as if they had.
    SweepStripeEvents = "sweep_stripe_events";
    /// Has Stripe asked about charges that nobody waits for any more.
    SweepSilentCharges = "sweep_silent_charges";
    /// Has every account compared with its panel, spread over the time until the next run.
    SweepPanels = "sweep_panels";
    /// Tells the shop's operator what happened yesterday, once.
    SweepDigest = "sweep_digest";
    /// Tells customers whose saved card expires, so that what is renewed by itself can be paid.
    SweepCards = "sweep_cards";
    /// Deletes what nobody needs any more: jobs that ended long ago, tickets that nobody took, old ticks.
    SweepLeftovers = "sweep_leftovers";
}
