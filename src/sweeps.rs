//! What the sweeps do: which rows are due at a time, and what becomes of each. A dry run shows it, a job has it done.

mod accounts;
mod cards;
mod checkout_pages;
mod digest;
pub mod fuse;
mod leftovers;
mod panels;
mod plan;
mod silent_charges;
mod stripe_events;
mod unpaid_orders;

use std::{fmt, str::FromStr};

use berth_jobs::{
    AnyJob,
    ids::{AccountId, CustomerId},
    sweeps::{
        SweepAccounts, SweepCards, SweepCheckoutPages, SweepDigest, SweepLeftovers, SweepPanels, SweepSilentCharges,
        SweepStripeEvents, SweepUnpaidOrders,
    },
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

pub use crate::issuing::Links;
pub use fuse::Limits;
pub use plan::{Plan, PlannedStep, Stopped, Sum, plan};

use crate::{
    app::Parts,
    config::Config,
    domain::{
        catalogue::Catalogue,
        fuse::{Fuse, Fused},
        invoice::Seller,
        money::Money,
        tax::TaxRules,
        timetable::Timetables,
    },
    effects::Effects,
    gateways::{
        panels::Panels,
        stripe::{GatewayError, Stripe},
    },
    store::{Store, StoreError, sweeps::Cursor},
};

/// So many rows are read, and changed in one commit.
const PAGE: i64 = 500;
/// How long Stripe has to tell by itself that a page has ended.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);
/// How far ahead a dry run may look.
const FURTHEST: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// The sweeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Orders whose time to be paid is over are given up; who has paid all the same has paid.
    UnpaidOrders,
    /// Stripe is asked about pages of whose end it has told nothing.
    CheckoutPages,
    /// What is due by the accounts' timetables is done.
    Accounts,
    /// Stripe's events that never came are found in its list.
    StripeEvents,
    /// Stripe is asked about charges that nobody waits for any more.
    SilentCharges,
    /// Every account is compared with its panel, and every server with the accounts.
    Panels,
    /// The operator is told what happened.
    Digest,
    /// Customers are told whose saved card expires.
    Cards,
    /// What nobody needs any more is deleted.
    Leftovers,
}

impl Sweep {
    /// Every sweep.
    pub const ALL: [Self; 9] = [
        Self::UnpaidOrders,
        Self::CheckoutPages,
        Self::Accounts,
        Self::StripeEvents,
        Self::SilentCharges,
        Self::Panels,
        Self::Digest,
        Self::Cards,
        Self::Leftovers,
    ];

    /// Its name on the command line, in addresses and among the ticks.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnpaidOrders => "unpaid_orders",
            Self::CheckoutPages => "checkout_pages",
            Self::Accounts => "accounts",
            Self::StripeEvents => "stripe_events",
            Self::SilentCharges => "silent_charges",
            Self::Panels => "panels",
            Self::Digest => "digest",
            Self::Cards => "cards",
            Self::Leftovers => "leftovers",
        }
    }

    /// The job that does it, for what was due at a time or is due when it runs.
    #[must_use]
    pub fn job(self, as_of: Option<Timestamp>) -> AnyJob {
        let as_of = as_of.map(|at| at.to_string());
        match self {
            Self::UnpaidOrders => SweepUnpaidOrders { as_of }.into(),
            Self::CheckoutPages => SweepCheckoutPages { as_of }.into(),
            Self::Accounts => SweepAccounts { as_of }.into(),
            Self::StripeEvents => SweepStripeEvents { as_of }.into(),
            Self::SilentCharges => SweepSilentCharges { as_of }.into(),
            Self::Panels => SweepPanels { as_of }.into(),
            Self::Digest => SweepDigest { as_of }.into(),
            Self::Cards => SweepCards { as_of }.into(),
            Self::Leftovers => SweepLeftovers { as_of }.into(),
        }
    }
}

impl fmt::Display for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Sweep {
    type Err = UnknownSweep;

    fn from_str(name: &str) -> Result<Self, UnknownSweep> {
        Self::ALL.into_iter().find(|sweep| sweep.as_str() == name).ok_or_else(|| UnknownSweep(name.to_owned()))
    }
}

/// No sweep has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no sweep is called `{name}`; there are {known}", name = .0, known = Sweep::ALL.map(Sweep::as_str).join(", "))]
pub struct UnknownSweep(pub String);

/// A sweep cannot be run as of this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AsOfError {
    /// What is not due yet cannot be done yet.
    #[error("what is due later than now can only be shown, by a dry run")]
    ToCome,
    /// Nothing was ever due then, or nobody can say what will be.
    #[error("a sweep looks back to 1970 at most, and a dry run ten years ahead")]
    OutOfRange,
}

/// Whether a sweep may be run, or shown, as of a time.
///
/// # Errors
/// When it may not.
pub fn check_as_of(as_of: Timestamp, now: Timestamp, dry_run: bool) -> Result<(), AsOfError> {
    if as_of > now && !dry_run {
        return Err(AsOfError::ToCome);
    }
    if as_of < Timestamp::UNIX_EPOCH || as_of.duration_since(now) > FURTHEST {
        return Err(AsOfError::OutOfRange);
    }
    Ok(())
}

/// What is done to one row, or to many of which nobody wants to see each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// To which row, as the API shows its id; or to what sort of rows.
    pub subject: String,
    /// What exactly, where there are several of an action: the notice, or how an account ends.
    pub detail: Option<String>,
    /// Whose it is, and their address.
    pub customer: Option<(CustomerId, String)>,
    /// How much it is about.
    pub amount: Option<Money>,
    /// Since when it is due.
    pub due_at: Timestamp,
    /// How many rows.
    pub rows: u64,
}

/// What a sweep does to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// The order is cancelled, and its coupon free again. Nobody can have paid it.
    Cancel,
    /// The order's page is closed at Stripe. Who has paid on it has paid; else the order is cancelled.
    CloseAtStripe,
    /// Stripe is asked how the order's page stands.
    AskStripe,
    /// The account's next period is invoiced.
    Issue,
    /// The customer is told by mail.
    Notify,
    /// The card that the account's customer has saved is charged.
    Charge,
    /// The account is unpaid from now on, and works on.
    EnterGrace,
    /// The account is suspended for non-payment.
    Suspend,
    /// The account is backed up and removed.
    Remove,
    /// The account's backup and secrets are deleted.
    Purge,
    /// It is deleted.
    Delete,
    /// The event is stored, and acted upon, as if it had come.
    StoreEvent,
    /// The account is compared with its panel.
    LookAtPanel,
    /// The server is asked which accounts it has that nothing here knows of.
    LookForOrphans,
    /// The shop's operator is written to.
    Mail,
}

impl Action {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::CloseAtStripe => "close_at_stripe",
            Self::AskStripe => "ask_stripe",
            Self::Issue => "issue",
            Self::Notify => "notify",
            Self::Charge => "charge",
            Self::EnterGrace => "enter_grace",
            Self::Suspend => "suspend",
            Self::Remove => "remove",
            Self::Purge => "purge",
            Self::Delete => "delete",
            Self::StoreEvent => "store_event",
            Self::LookAtPanel => "look_at_panel",
            Self::LookForOrphans => "look_for_orphans",
            Self::Mail => "mail",
        }
    }
}

/// Some of what is due, and how it becomes true.
#[derive(Debug)]
pub struct Page {
    /// What is done.
    pub steps: Vec<Step>,
    /// What makes it true, all in one commit.
    pub effects: Effects,
    /// Where the next page begins; `None` for the last one.
    pub next: Option<Cursor>,
}

/// What sweeps work with.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The database.
    pub store: &'a Store,
    /// Stripe; `None` where it is not set up.
    pub stripe: Option<&'a Stripe>,
    /// In which zone the shop's days begin and end.
    pub time_zone: &'a TimeZone,
    /// The settings.
    pub config: &'a Config,
    /// What is sold.
    pub catalogue: &'a Catalogue,
    /// Which taxes are charged.
    pub tax: &'a TaxRules,
    /// Who the invoices are from.
    pub seller: &'a Seller,
    /// Where customers look at their orders and accounts, and pay.
    pub links: Links<'a>,
    /// The servers that accounts are on.
    pub panels: &'a Panels,
    /// When what happens to accounts.
    pub timetables: &'a Timetables,
    /// How much is usual in a day.
    pub fuse: &'a Fuse,
    /// Now, by Berth's clock.
    pub now: Timestamp,
}

impl<'a> Sources<'a> {
    /// From the program's parts.
    #[must_use]
    pub fn of(parts: &'a Parts, now: Timestamp) -> Self {
        Self {
            store: &parts.store,
            stripe: parts.stripe.as_ref(),
            time_zone: &parts.time_zone,
            config: &parts.config,
            catalogue: &parts.catalogue,
            tax: &parts.tax,
            seller: &parts.seller,
            links: Links {
                shop_url: &parts.shop.url,
                public_url: parts.config.http.public_url.as_str(),
                keys: parts.secrets.as_ref(),
            },
            panels: &parts.panels,
            timetables: &parts.timetables,
            fuse: &parts.fuse,
            now,
        }
    }
}

/// Why a sweep cannot tell what is due.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stripe does not.
    #[error("Stripe did not list its events")]
    Stripe(#[from] GatewayError),
    /// What must be asked is not set up here.
    #[error("{0} is not set")]
    NotSetUp(&'static str),
    /// There is no such day.
    #[error("there is no such time")]
    Time(#[from] jiff::Error),
}

/// The rows due at `as_of` after a cursor, and what becomes of them.
///
/// # Errors
/// When the database, or who else is asked, does not answer.
pub async fn page(sources: &Sources<'_>, sweep: Sweep, as_of: Timestamp, after: Cursor) -> Result<Page, SweepError> {
    match sweep {
        Sweep::UnpaidOrders => Ok(unpaid_orders::page(sources.store, as_of, after).await?),
        Sweep::CheckoutPages => Ok(checkout_pages::page(sources.store, as_of, after).await?),
        Sweep::Accounts => Ok(accounts::page(sources, as_of, after, &Limits::none()).await?),
        Sweep::StripeEvents => stripe_events::page(sources, as_of, &after).await,
        Sweep::SilentCharges => Ok(silent_charges::page(sources.store, as_of, after).await?),
        Sweep::Panels => panels::page(sources, as_of, &after).await,
        Sweep::Digest => digest::page(sources, as_of).await,
        Sweep::Leftovers => Ok(leftovers::page(sources, as_of, leftovers::MOST).await?),
        Sweep::Cards => Ok(cards::page(sources, as_of, after).await?),
    }
}

/// As [`page`], of the accounts: without what a fuse has stopped.
///
/// # Errors
/// When the database does not answer.
pub async fn accounts_page(
    sources: &Sources<'_>,
    as_of: Timestamp,
    after: Cursor,
    limits: &Limits,
) -> Result<Page, StoreError> {
    accounts::page(sources, as_of, after, limits).await
}

/// What is due of one sort for these accounts: what a person has confirmed.
///
/// # Errors
/// When the database does not answer.
pub async fn confirmed_page(sources: &Sources<'_>, accounts: &[AccountId], what: Fused) -> Result<Page, StoreError> {
    accounts::confirmed(sources, accounts, what).await
}

/// Where the next page begins, if this one was full.
fn after_full_page<T>(rows: &[T], cursor: impl Fn(&T) -> Cursor) -> Option<Cursor> {
    let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows >= PAGE);
    rows.last().filter(|_| is_full).map(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_an_unknown_one_is_told_the_known_ones() {
        for sweep in Sweep::ALL {
            assert_eq!(sweep.as_str().parse(), Ok(sweep));
            assert_eq!(sweep.job(None).kind().name, format!("sweep_{sweep}"));
        }
        assert_eq!(
            "dust".parse::<Sweep>().unwrap_err().to_string(),
            "no sweep is called `dust`; there are unpaid_orders, checkout_pages, accounts, stripe_events, silent_charges, panels, digest, cards, \
             leftovers"
        );
    }

    #[test]
    fn only_a_dry_run_looks_ahead_and_not_for_ever() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-25T12:00:00Z");
        let check = |text: &str, dry_run| check_as_of(at(text), now, dry_run);

        assert_eq!(check("2026-11-25T12:00:00Z", false), Ok(()));
        assert_eq!(check("2020-01-01T00:00:00Z", false), Ok(()));
        assert_eq!(check("2026-11-25T12:00:01Z", false), Err(AsOfError::ToCome));
        assert_eq!(check("2026-11-25T12:00:01Z", true), Ok(()));
        assert_eq!(check("2036-11-01T00:00:00Z", true), Ok(()));
        assert_eq!(check("2037-11-25T00:00:00Z", true), Err(AsOfError::OutOfRange));
        assert_eq!(check("-009999-01-02T01:59:59Z", true), Err(AsOfError::OutOfRange));
        assert_eq!(check("1969-12-31T23:59:59Z", false), Err(AsOfError::OutOfRange));
    }
}
