//! What a sweep would do, told without doing it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Action, Page, Sources, Step, Sweep, SweepError, fuse, leftovers, page};
use crate::{domain::money::Money, store::sweeps::Cursor};

/// Everything that a sweep would do as of a time.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Plan {
    /// Which sweep.
    pub sweep: &'static str,
    /// What is due at that time.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// What would be done, what is due longest first.
    pub steps: Vec<PlannedStep>,
    /// How many more steps there are than are shown.
    pub steps_left_out: u64,
    /// All steps together, by what is done and in which currency.
    pub sums: Vec<Sum>,
    /// What of them would not be done, because it is far more than usual: a person is asked first.
    pub stopped: Vec<Stopped>,
}

/// Something of which far more is due than usual.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stopped {
    /// What: `invoices`, `charges`, `suspensions` or `terminations`.
    pub what: &'static str,
    /// How many it would be in 24 hours.
    pub count: u64,
    /// Of how many live accounts.
    pub of_accounts: u64,
}

/// One thing that would be done.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlannedStep {
    /// What: `cancel`, `close_at_stripe` (who has paid meanwhile has paid, else it is cancelled), `ask_stripe`, `issue`,
    /// `notify`, `charge`, `enter_grace`, `suspend`, `remove`, `purge`, `store_event`, `look_at_panel`, `look_for_orphans`,
    /// `mail` or `delete`.
    pub action: &'static str,
    /// What exactly: the notice, or how an account ends.
    pub detail: Option<String>,
    /// To which row, or to what sort of rows.
    pub subject: String,
    /// Whose it is.
    pub customer_id: Option<String>,
    /// Their address.
    pub email: Option<String>,
    /// How much it is about.
    pub amount: Option<String>,
    /// In which currency.
    pub currency: Option<String>,
    /// Since when it is due.
    #[schema(value_type = String, format = DateTime)]
    pub due_since: Timestamp,
    /// How many rows it is.
    pub rows: u64,
}

/// Steps that do the same.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Sum {
    /// What they do.
    pub action: &'static str,
    /// To how many rows.
    pub rows: u64,
    /// How much they are about together.
    pub amount: Option<String>,
    /// In which currency.
    pub currency: Option<String>,
}

/// Everything that the sweep would do as of a time. At most so many steps are shown; all of them are summed up.
///
/// # Errors
/// When the database does not answer.
pub async fn plan(
    sources: &Sources<'_>,
    sweep: Sweep,
    as_of: Timestamp,
    most_steps: usize,
) -> Result<Plan, SweepError> {
    let stopped = if sweep == Sweep::Accounts { fuse::watch(sources, as_of).await?.stopped() } else { Vec::new() };
    let mut telling = Telling::default();
    let mut after = Cursor::start();
    loop {
        // Leftovers are told by their number, which one page holds.
        let Page { steps, next, .. } = match sweep {
            Sweep::Leftovers => Page { next: None, ..leftovers::page(sources, as_of, i64::MAX).await? },
            Sweep::UnpaidOrders
            | Sweep::CheckoutPages
            | Sweep::Accounts
            | Sweep::Cards
            | Sweep::StripeEvents
            | Sweep::SilentCharges
            | Sweep::Panels
            | Sweep::Digest => page(sources, sweep, as_of, after).await?,
        };
        steps.into_iter().for_each(|step| telling.add(step, most_steps));
        match next {
            Some(next) => after = next,
            None => return Ok(Plan { stopped, ..telling.told(sweep, as_of) }),
        }
    }
}

/// What is done, and in which currency.
type Alike = (Action, Option<&'static str>);

#[derive(Default)]
struct Telling {
    steps: Vec<PlannedStep>,
    left_out: u64,
    sums: BTreeMap<Alike, (u64, Option<Money>)>,
}

impl Telling {
    fn add(&mut self, step: Step, most: usize) {
        let currency = step.amount.map(|amount| amount.currency().code());
        let (rows, sum) = self.sums.entry((step.action, currency)).or_default();
        *rows = rows.saturating_add(step.rows);
        // Of what can be charged at once, more than there are orders fits into a sum.
        *sum = match (*sum, step.amount) {
            (Some(sum), Some(amount)) => Some(sum.checked_add(amount).unwrap_or(sum)),
            (sum, amount) => sum.or(amount),
        };
        if self.steps.len() < most {
            self.steps.push(planned(step));
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    fn told(self, sweep: Sweep, as_of: Timestamp) -> Plan {
        let sums = self.sums.into_iter().map(|((action, currency), (rows, sum))| Sum {
            action: action.as_str(),
            rows,
            amount: sum.map(|sum| sum.amount_text()),
            currency: currency.map(str::to_owned),
        });
        Plan {
            sweep: sweep.as_str(),
            as_of,
            steps: self.steps,
            steps_left_out: self.left_out,
            sums: sums.collect(),
            stopped: Vec::new(),
        }
    }
}

fn planned(step: Step) -> PlannedStep {
    let (customer_id, email) = step.customer.map(|(id, email)| (id.to_string(), email)).unzip();
    PlannedStep {
        action: step.action.as_str(),
        detail: step.detail,
        subject: step.subject,
        customer_id,
        email,
        amount: step.amount.map(|amount| amount.amount_text()),
        currency: step.amount.map(|amount| amount.currency().code().to_owned()),
        due_since: step.due_at,
        rows: step.rows,
    }
}
