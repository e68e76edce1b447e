//! What a handler or a route wants to become true, as data. The committer makes it true, all or none.

mod both;
mod cards;
mod cart;
mod coupon;
mod credit;
mod events;
mod fact;
mod fuse;
mod hosting;
mod mails;
mod papers;
mod plan_changes;
mod refunds;
mod renewals;
mod sweeping;

pub use cards::{CardChange, CardChoice, CardsNews, KnownCard};
pub use cart::{CartChange, CartEdit, CartLine, MOST_CART_LINES, MOST_OF_A_LINE, PriceOverride};
pub use coupon::{CouponAmount, CouponChange, CouponReservation, CouponTerms, CouponUse};
pub use credit::{CreditFor, CreditHand, CreditKind, CreditMove};
pub use events::{EventOutcome, NewStripeEvent, SettledEvent};
pub use fact::Fact;
pub use fuse::NewFusePlan;
pub use hosting::{AccountEdit, AccountSettings, PasswordStep, UsageSample, job_of};
pub use mails::WithdrawnMail;
pub use papers::{
    ItemTerms, NewAudit, NewInvoice, NewStreamTicket, OrderTerms, ProfileChange, SessionNews, SessionState,
};
pub use plan_changes::{NewPlanChange, PlanChangeStep};
pub use refunds::{DisputeNews, NewCreditNote, NewRefund, RefundNews, RefundedBy};
pub use renewals::{ChargeDecline, ChargeNews, ChargeState, Looked, NewCharge, NewNotice, NewRenewal};
pub use sweeping::{Leftovers, NewTick};

use berth_jobs::{
    AnyJob,
    ids::{
        AccountId, CustomerId, FusePlanId, JobId, MailId, OrderId, OrderItemId, PaymentId, PlanChangeId,
        StripeDisputeId,
    },
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        account::AccountMove, dispute::DisputeStanding, money::Money, order::OrderMove, period::BillingCycle,
        renewal::RenewalMove,
    },
    mail::Mail,
};

/// A closed list of what can become true. Each kind is one set-based statement in `store::effects`.
#[derive(Debug, Default)]
pub struct Effects {
    /// Orders that go from one version to the next.
    pub(crate) order_moves: Vec<OrderMove>,
    /// Accounts that go from one version to the next.
    pub(crate) account_moves: Vec<AccountMove>,
    /// What is set of accounts by hand. Refused when they are at another version.
    pub(crate) account_edits: Vec<AccountEdit>,
    /// Renewals that go from one version to the next.
    pub(crate) renewal_moves: Vec<RenewalMove>,
    /// Rows that were read and relied upon, and must not have changed.
    pub(crate) guards: Vec<Guard>,
    /// Pages of orders that are to be followed by another. Refused when the order is not as it was read.
    pub(crate) next_sessions: Vec<(OrderId, i32)>,
    /// Who customers say that they are. Refused when they were anonymised.
    pub(crate) profiles: Vec<ProfileChange>,
    /// Customers to be forgotten. Refused while they have something that runs.
    pub(crate) anonymised: Vec<CustomerId>,
    /// Carts that go from one version to the next.
    pub(crate) cart_changes: Vec<CartChange>,
    /// Carts to be emptied. Ignored when they have changed.
    pub(crate) cleared_carts: Vec<(CustomerId, i32)>,
    /// What customers do to their saved cards. Refused when they have no such card.
    pub(crate) card_changes: Vec<CardChange>,
    /// What staff does to coupons. Refused when a code is taken or a limit too low.
    pub(crate) coupon_changes: Vec<CouponChange>,
    /// Uses of coupons to be taken. Refused when there is none left.
    pub(crate) reservations: Vec<CouponReservation>,
    /// How reserved uses end. Ignored where nothing is reserved.
    pub(crate) coupon_uses: Vec<(OrderId, CouponUse)>,
    /// Orders as agreed, with their units. Refused when the order exists.
    pub(crate) new_orders: Vec<NewOrder>,
    /// Renewals, each with its order. Refused when the period has one.
    pub(crate) new_renewals: Vec<NewRenewal>,
    /// Attempts to charge. Refused while another one is under way.
    pub(crate) new_charges: Vec<NewCharge>,
    /// Credit that is given or used. Refused when there is not enough, or it was done before.
    pub(crate) credit_moves: Vec<CreditMove>,
    /// Payments learnt of. Refused when the intent is known, or the order has been paid.
    pub(crate) new_payments: Vec<NewPayment>,
    /// Money that came and is not owed: it goes back. Refused when the intent is known.
    pub(crate) surplus_payments: Vec<NewPayment>,
    /// Payments of orders that are refused after all: they are surplus from now on. Refused when they are not.
    pub(crate) returned_payments: Vec<PaymentId>,
    /// Money that is to go back. Staff is refused where not so much is left, or the payment is disputed.
    pub(crate) new_refunds: Vec<NewRefund>,
    /// Money that came too late: it is credit. Refused when the intent is known.
    pub(crate) late_payments: Vec<NewPayment>,
    /// Payments of orders that cannot be done: they are credit from now on. Refused when they are not.
    pub(crate) credited_payments: Vec<PaymentId>,
    /// Changes of accounts, as agreed. Refused while another one is open.
    pub(crate) new_plan_changes: Vec<NewPlanChange>,
    /// What becomes of changes. Refused when they have ended.
    pub(crate) plan_change_steps: Vec<(PlanChangeId, PlanChangeStep)>,
    /// Accounts for units. Refused when the unit has one.
    pub(crate) new_accounts: Vec<NewAccount>,
    /// Events of Stripe. Ignored when known.
    pub(crate) new_events: Vec<NewStripeEvent>,
    /// Events that were found in Stripe's list and had not come. Ignored when known.
    pub(crate) found_events: Vec<NewStripeEvent>,
    /// Until when Stripe's events are known whole. Never taken back.
    pub(crate) events_known_until: Option<Timestamp>,
    /// What customers are told of accounts, with their mails. Ignored when it was told.
    pub(crate) notices: Vec<NewNotice>,
    /// Accounts that were looked at. Ignored when something has happened to them since.
    pub(crate) looked: Vec<Looked>,
    /// Accounts that are looked at again at once.
    pub(crate) looks: Vec<AccountId>,
    /// Customers whose accounts are.
    pub(crate) looks_of: Vec<CustomerId>,
    /// Mails to the shop itself, each with the job that sends it. Ignored when the same was said before.
    pub(crate) shop_mails: Vec<ShopMail>,
    /// Mails, each with the job that sends it. Ignored when the same was said before.
    pub(crate) new_mails: Vec<NewMail>,
    /// Mails that say what is no longer true. Ignored when a mail server has taken them.
    pub(crate) withdrawn_mails: Vec<WithdrawnMail>,
    /// Events of Stripe that were acted on, or found to need nothing.
    pub(crate) settled_events: Vec<SettledEvent>,
    /// Troubles that are over.
    pub(crate) ended_alerts: Vec<EndedAlert>,
    /// Troubles for a person to look at. Ignored while the same one is open.
    pub(crate) alerts: Vec<Alert>,
    /// What people did.
    pub(crate) audits: Vec<NewAudit>,
    /// Rights to listen to an order.
    pub(crate) stream_tickets: Vec<NewStreamTicket>,
    /// Servers that answer again: the jobs that wait for them are due.
    pub(crate) released_servers: Vec<String>,
    /// What was learnt outside: true even when the rest is refused.
    pub(crate) facts: Vec<Fact>,
    /// Orders to be looked at for completion, after everything else.
    pub(crate) maybe_complete: Vec<OrderId>,
    /// Plans that wait for a person. Ignored while one of the sort waits.
    pub(crate) fuse_plans: Vec<NewFusePlan>,
    /// Plans that a person has confirmed, who and when.
    pub(crate) confirmed_plans: Vec<(FusePlanId, String, Timestamp)>,
    /// Jobs to enqueue.
    pub(crate) jobs: Vec<NewJob>,
    /// Runs of sweeps that begin. Refused when they have begun, or a later one has.
    pub(crate) ticks: Vec<NewTick>,
    /// When Stripe is asked about pages next. Ignored for those that are open no longer.
    pub(crate) page_asks: Vec<(String, Timestamp)>,
    /// What accounts use. The latest sample of a day counts.
    pub(crate) usage: Vec<UsageSample>,
    /// What nobody needs any more.
    pub(crate) leftovers: Vec<Leftovers>,
    /// Disputes whose consequences are among these effects.
    pub(crate) followed_disputes: Vec<(StripeDisputeId, DisputeStanding)>,
    /// Credit notes, numbered after invoices. Ignored when the refund has one.
    pub(crate) credit_notes: Vec<NewCreditNote>,
    /// Invoices, numbered last of all. Ignored when the order has one.
    pub(crate) invoices: Vec<NewInvoice>,
}

impl Effects {
    /// Nothing but the job's own "done".
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a fact.
    #[must_use]
    pub fn fact(mut self, fact: Fact) -> Self {
        self.facts.push(fact);
        self
    }

    /// Adds a job, due at once.
    #[must_use]
    pub fn enqueue(mut self, job: impl Into<AnyJob>) -> Self {
        self.jobs.push(NewJob::now(job.into()));
        self
    }

    /// Adds a mail and the job that sends it.
    #[must_use]
    pub fn mail(mut self, customer_id: CustomerId, mail: Mail) -> Self {
        self.new_mails.push(NewMail { id: MailId::new(), customer_id, mail });
        self
    }

    /// Adds a mail to the shop itself, and the job that sends it.
    #[must_use]
    pub fn mail_to_shop(mut self, mail: ShopMail) -> Self {
        self.shop_mails.push(mail);
        self
    }

    /// Has the jobs run now that wait for a server to answer again.
    #[must_use]
    pub fn release_server(mut self, server: impl Into<String>) -> Self {
        self.released_servers.push(server.into());
        self
    }

    /// Adds an alert.
    #[must_use]
    pub fn alert(mut self, alert: Alert) -> Self {
        self.alerts.push(alert);
        self
    }

    /// Ends the alert of a sort and a row, where one is open; not one that says just `but_for`.
    #[must_use]
    pub fn end_alert(mut self, kind: &'static str, subject: impl Into<String>, but_for: Option<String>) -> Self {
        self.ended_alerts.push(EndedAlert { kind, subject: subject.into(), but_for });
        self
    }

    /// Adds a guard.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guards.push(guard);
        self
    }

    /// Adds a payment.
    #[must_use]
    pub fn payment(mut self, payment: NewPayment) -> Self {
        self.new_payments.push(payment);
        self
    }

    /// Adds an account.
    #[must_use]
    pub fn account(mut self, account: NewAccount) -> Self {
        self.new_accounts.push(account);
        self
    }

    /// Has the order completed if this makes its last account active.
    #[must_use]
    pub fn maybe_complete(mut self, order: OrderId) -> Self {
        self.maybe_complete.push(order);
        self
    }

    /// Only what was learnt outside.
    pub(crate) fn facts_only(&self) -> Self {
        Self { facts: self.facts.clone(), ..Self::default() }
    }

    /// Settles an event of Stripe, when the rest becomes true.
    #[must_use]
    pub fn settle_event(mut self, event: SettledEvent) -> Self {
        self.settled_events.push(event);
        self
    }

    /// Only an order that was agreed, with its units.
    #[must_use]
    pub fn new_order(order: NewOrder) -> Self {
        Self { new_orders: vec![order], ..Self::default() }
    }

    /// Only an event that came.
    #[must_use]
    pub fn new_event(event: NewStripeEvent) -> Self {
        Self { new_events: vec![event], ..Self::default() }
    }
}

impl From<OrderMove> for Effects {
    fn from(step: OrderMove) -> Self {
        Self { order_moves: vec![step], ..Self::default() }
    }
}

impl From<AccountMove> for Effects {
    fn from(step: AccountMove) -> Self {
        Self { account_moves: vec![step], ..Self::default() }
    }
}

impl From<Fact> for Effects {
    fn from(fact: Fact) -> Self {
        Self { facts: vec![fact], ..Self::default() }
    }
}

/// A row that was read at a version and relied upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// An order at a version.
    Order(OrderId, i32),
    /// An account at a version.
    Account(AccountId, i32),
    /// A customer's cart at a version.
    Cart(CustomerId, i32),
}

/// An order as agreed, with its units.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// Its id.
    pub id: OrderId,
    /// Who buys, as their token says now.
    pub customer: CustomerContact,
    /// The sum before discount and tax.
    pub subtotal: Money,
    /// What is taken off.
    pub discount: Money,
    /// What is added.
    pub tax: Money,
    /// What is to be paid.
    pub total: Money,
    /// When it was agreed.
    pub created_at: Timestamp,
    /// Until when it can be paid.
    pub expires_at: Timestamp,
    /// The caller's own key for it.
    pub idempotency: Option<Idempotency>,
    /// What it was agreed under.
    pub terms: OrderTerms,
    /// One a unit.
    pub items: Vec<NewOrderItem>,
}

/// A caller's own key for what it asks, and a hash of what it asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// As the header `Idempotency-Key` gave it.
    pub key: String,
    /// SHA-256 of the request.
    pub request_hash: [u8; 32],
}

impl Idempotency {
    /// Stands for the key among the rows that a group of units touches. Two keys that meet only wait for each other.
    pub(crate) fn row(&self) -> uuid::Uuid {
        let mut name = [0; 16];
        for (to, from) in name.iter_mut().zip(Sha256::digest(&self.key)) {
            *to = from;
        }
        uuid::Uuid::from_bytes(name)
    }
}

/// How to reach a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerContact {
    /// The subject of their token.
    pub id: CustomerId,
    /// Where mail goes.
    pub email: String,
    /// How to address them.
    pub name: Option<String>,
}

/// One unit of an order: what an account will be made from.
#[derive(Clone, Debug)]
pub struct NewOrderItem {
    /// Its id.
    pub id: OrderItemId,
    /// The catalogue's id of the service.
    pub service_id: String,
    /// The name at the time of the sale.
    pub name: String,
    /// shared, vps, cloud or wordpress.
    pub service_type: &'static str,
    /// The tier.
    pub plan_name: String,
    /// How long a period is.
    pub billing_cycle: BillingCycle,
    /// The panel's package.
    pub package: String,
    /// The pool of servers it goes to.
    pub pool: String,
    /// Before discount and tax.
    pub price: Money,
    /// This unit's share of the discount.
    pub discount: Money,
    /// This unit's tax.
    pub tax: Money,
    /// What this unit costs.
    pub total: Money,
    /// What it was sold with.
    pub terms: ItemTerms,
}

/// Money that came for an order.
#[derive(Clone, Debug)]
pub struct NewPayment {
    /// Its id.
    pub id: PaymentId,
    /// What was paid for.
    pub order_id: OrderId,
    /// How much.
    pub amount: Money,
    /// Through which session.
    pub stripe_session_id: Option<String>,
    /// By which intent; `None` only where Stripe made none.
    pub stripe_payment_intent_id: Option<String>,
    /// When it was learnt of.
    pub created_at: Timestamp,
}

/// An account for a unit of an order; everything else is copied from the unit.
#[derive(Clone, Copy, Debug)]
pub struct NewAccount {
    /// Its id.
    pub id: AccountId,
    /// The unit that it is for.
    pub order_item_id: OrderItemId,
    /// When the order was paid.
    pub created_at: Timestamp,
}

/// A mail to be sent once.
#[derive(Clone, Debug)]
pub struct NewMail {
    /// Its id; also its Message-ID.
    pub id: MailId,
    /// To whom.
    pub customer_id: CustomerId,
    /// What it says.
    pub mail: Mail,
}

/// A mail to the shop itself, to be sent once.
#[derive(Clone, Debug)]
pub struct ShopMail {
    /// Its id; also its Message-ID.
    pub id: MailId,
    /// Its address.
    pub to: String,
    /// What it says.
    pub mail: Mail,
}

/// A trouble for a person to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What sort, such as `job_dead`.
    pub kind: &'static str,
    /// Which row.
    pub subject: String,
    /// What happened and what to do.
    pub detail: String,
}

/// A trouble that is over, unless it is told in just these words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedAlert {
    /// What sort.
    pub kind: &'static str,
    /// Which row.
    pub subject: String,
    /// What is told of it, if it is not over.
    pub but_for: Option<String>,
}

/// A job to enqueue.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id, unless a job with its key exists already.
    pub id: JobId,
    /// What to run.
    pub job: AnyJob,
    /// A caller's own key, instead of the job's.
    pub once_key: Option<String>,
    /// When; `None` is at once.
    pub run_at: Option<Timestamp>,
}

impl NewJob {
    /// A job that is due at once, under its own keys.
    #[must_use]
    pub fn now(job: AnyJob) -> Self {
        Self { id: JobId::new(), once_key: job.once_key(), job, run_at: None }
    }

    /// As it is, due at a time.
    #[must_use]
    pub fn at(self, run_at: Timestamp) -> Self {
        Self { run_at: Some(run_at), ..self }
    }
}
