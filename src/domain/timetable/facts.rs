//! What must be known of an account to say what is due.

use jiff::Timestamp;

use super::Notice;
use crate::domain::{
    account::{AccountPhase, Standing},
    decline::DeclineClass,
    period::BillingCycle,
    renewal::RenewalPhase,
};

/// An account, as far as its timetable goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    /// Where it stands.
    pub phase: AccountPhase,
    /// What is wished of it.
    pub standing: Standing,
    /// How often it is paid for.
    pub cycle: BillingCycle,
    /// The end of what is paid for: D.
    pub due_at: Timestamp,
    /// Whether its customer wants it renewed by itself.
    pub auto_renew: bool,
    /// Whether it is never suspended, nor removed, for non-payment.
    pub exempt: bool,
    /// Whether staff keeps it from being removed.
    pub kept: bool,
    /// Until when staff lets it be, paid or not.
    pub spared_until: Option<Timestamp>,
    /// Whether nothing may be asked of its customer: a payment is disputed, or the customer was deleted.
    pub frozen: bool,
    /// Since when it serves a notice.
    pub suspended_at: Option<Timestamp>,
    /// Since when it is gone from its panel.
    pub terminated_at: Option<Timestamp>,
    /// Whether its backup and secrets are deleted.
    pub purged: bool,
    /// The latest renewal of the period that begins at D.
    pub renewal: Option<RenewalFacts>,
    /// The customer's card, if one is saved.
    pub card: Option<CardFacts>,
    /// What the customer was told of this D.
    pub told: Vec<Told>,
}

/// A renewal, as far as the timetable goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalFacts {
    /// Where it stands.
    pub phase: RenewalPhase,
    /// When it was invoiced.
    pub issued_at: Timestamp,
    /// When the mail with the invoice was delivered.
    pub delivered_at: Option<Timestamp>,
    /// How many charges were begun.
    pub attempts: u32,
    /// How many charges of the present card were answered.
    pub attempts_on_card: u32,
    /// The last charge that was answered; one that was never made is none.
    pub last_charge: Option<LastCharge>,
}

/// A charge and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastCharge {
    /// When it was made.
    pub at: Timestamp,
    /// How it was declined.
    pub class: DeclineClass,
}

/// A saved card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardFacts {
    /// Since when it is the one to charge.
    pub since: Timestamp,
    /// The end of its last month.
    pub expires_at: Timestamp,
}

/// Something that the customer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// What.
    pub notice: Notice,
    /// When its mail was delivered; none while it waits.
    pub delivered_at: Option<Timestamp>,
}
