//! What becomes of renewals: issued, charged, told of, and when an account is looked at again.

use berth_jobs::ids::{AccountId, ChargeId, CustomerId, MailId, OrderId};
use jiff::Timestamp;

use super::{Effects, NewMail, NewOrder};
use crate::{
    domain::{decline::DeclineClass, money::Money, renewal::RenewalMove, timetable::Notice},
    mail::Mail,
};

/// A renewal: an order of one unit for one period of an account. Refused when the period has one.
#[derive(Clone, Debug)]
pub struct NewRenewal {
    /// What is to be paid, and for what. It has one item; what the account is made of is copied from the account.
    pub order: NewOrder,
    /// Which account.
    pub account_id: AccountId,
    /// The beginning of the period: the end of what is paid for.
    pub period_start: Timestamp,
    /// The end of the period, counted from the account's anchor.
    pub period_end: Timestamp,
    /// How much of the total is taken from the customer's credit.
    pub credit: Money,
    /// The mail that brings the invoice.
    pub invoice_mail_id: MailId,
}

/// An attempt to charge a saved card, written before anything is sent. Refused while another one is under way, and when the
/// attempt was made.
#[derive(Clone, Debug)]
pub struct NewCharge {
    /// Its id, which the intent's metadata and the idempotency key carry.
    pub id: ChargeId,
    /// The renewal's order.
    pub order_id: OrderId,
    /// Its number among the renewal's, from 1.
    pub attempt: u32,
    /// Stripe's id of the card.
    pub card_id: String,
    /// What is charged.
    pub amount: Money,
    /// When it is sent.
    pub sent_at: Timestamp,
}

/// What Stripe has answered to a charge, or that it has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeNews {
    /// Which.
    pub charge_id: ChargeId,
    /// How it stands.
    pub state: ChargeState,
    /// Stripe's intent, once it is known.
    pub intent: Option<String>,
    /// When this was learnt.
    pub at: Timestamp,
}

/// How a charge stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeState {
    /// Nobody knows what became of it: Stripe is asked.
    InDoubt,
    /// The money has come.
    Succeeded,
    /// It was declined, or the bank asks for the customer.
    Declined(ChargeDecline),
    /// It was certainly not made.
    NotMade,
}

impl ChargeState {
    /// The name in the database.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::InDoubt => "in_doubt",
            Self::Succeeded => "succeeded",
            Self::Declined(ChargeDecline { class: DeclineClass::NeedsCustomer, .. }) => "needs_customer",
            Self::Declined(_) => "declined",
            Self::NotMade => "not_made",
        }
    }

    /// Why it was declined, if it was.
    #[must_use]
    pub const fn decline(&self) -> Option<&ChargeDecline> {
        if let Self::Declined(decline) = self { Some(decline) } else { None }
    }
}

/// Why a charge was declined, in Stripe's words and in ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeDecline {
    /// What can be done about it.
    pub class: DeclineClass,
    /// Mostly `card_declined`.
    pub code: Option<String>,
    /// The issuer's reason.
    pub decline_code: Option<String>,
    /// The card scheme's advice.
    pub advice_code: Option<String>,
}

/// Something that a customer is told of an account, once for a time at which it is due. Ignored, with its mail, when it was
/// told.
#[derive(Clone, Debug)]
pub struct NewNotice {
    /// Of which account.
    pub account_id: AccountId,
    /// The end of what is paid for: D.
    pub due_at: Timestamp,
    /// What.
    pub notice: Notice,
    /// The mail's id.
    pub mail_id: MailId,
}

/// That an account was looked at: it is looked at again at `next`. Ignored when something has happened to it since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Which.
    pub account_id: AccountId,
    /// Its turn when it was read.
    pub turn: i64,
    /// When it is looked at again.
    pub next: Timestamp,
}

impl Effects {
    /// Issues a renewal. Its invoice, mail and credit are effects of their own.
    #[must_use]
    pub fn renewal(mut self, renewal: NewRenewal) -> Self {
        self.new_renewals.push(renewal);
        self
    }

    /// Moves a renewal.
    #[must_use]
    pub fn move_renewal(mut self, step: RenewalMove) -> Self {
        self.renewal_moves.push(step);
        self
    }

    /// Writes an attempt to charge down.
    #[must_use]
    pub fn charge(mut self, charge: NewCharge) -> Self {
        self.new_charges.push(charge);
        self
    }

    /// Tells a customer something of an account, once for the D that it is about.
    #[must_use]
    pub fn notice(
        mut self,
        account_id: AccountId,
        due_at: Timestamp,
        notice: Notice,
        to: CustomerId,
        mail: Mail,
    ) -> Self {
        let mail = NewMail { id: MailId::new(), customer_id: to, mail };
        self.notices.push(NewNotice { account_id, due_at, notice, mail_id: mail.id });
        self.new_mails.push(mail);
        self
    }

    /// Adds a mail whose id is known to another effect.
    #[must_use]
    pub fn add_mail(mut self, mail: NewMail) -> Self {
        self.new_mails.push(mail);
        self
    }

    /// Says that an account was looked at.
    #[must_use]
    pub fn looked(mut self, looked: Looked) -> Self {
        self.looked.push(looked);
        self
    }

    /// Has an account looked at at once: something has happened that no move of it or its renewals tells.
    #[must_use]
    pub fn look(mut self, account_id: AccountId) -> Self {
        self.looks.push(account_id);
        self
    }

    /// As [`look`](Self::look), for all accounts of a customer.
    #[must_use]
    pub fn look_at_all_of(mut self, customer_id: CustomerId) -> Self {
        self.looks_of.push(customer_id);
        self
    }

    /// Moves an account, besides what else becomes true.
    #[must_use]
    pub fn move_account(mut self, step: crate::domain::account::AccountMove) -> Self {
        self.account_moves.push(step);
        self
    }
}
