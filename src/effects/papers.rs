//! What is written down about a purchase: its terms, the pages it is paid on, its invoice, and who did what.

use std::net::IpAddr;

use berth_jobs::ids::{AccountId, CouponId, CustomerId, InvoiceId, OrderId};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;

use super::{CustomerContact, Effects, NewOrder};
use crate::domain::{money::Money, order::OrderMove};

/// What an order was agreed under, beside its sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderTerms {
    /// The coupon, and its code as it was spelt.
    pub coupon: Option<(CouponId, String)>,
    /// The version of the cart that it was made from.
    pub cart_version: Option<i32>,
    /// Who bought, as they were then: an object of email, name, company, country, address and `vat_id`. An order that
    /// has one gets an invoice when it is paid.
    pub customer_snapshot: Option<Value>,
    /// Why the tax is what it is.
    pub tax_note: Option<String>,
    /// From where it was agreed.
    pub client_ip: Option<IpAddr>,
    /// The account that it changes.
    pub changes: Option<AccountId>,
    /// How much of the total is paid from the customer's credit, which is an effect of its own.
    pub credit: Option<Money>,
    /// SHA-256 of the request that it was agreed by, where that had no key of the caller's.
    pub request_hash: Option<[u8; 32]>,
}

/// What a unit was sold with, beside its price.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemTerms {
    /// The part of the price that is paid once.
    pub setup_fee: Decimal,
    /// In per cent.
    pub tax_rate: Decimal,
    /// By which the rate was found.
    pub tax_category: Option<String>,
    /// The options chosen: an object, or null for none.
    pub configuration: Value,
    /// The add-ons, each an object of id, name and price: an array, or null for none.
    pub addons: Value,
    /// The name of the site.
    pub domain: Option<String>,
    /// So many days are free.
    pub trial_days: u32,
    /// What a renewal costs; `None` is what the catalogue says by then.
    pub renewal_price: Option<Decimal>,
}

/// How a page to pay on stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// It can be paid.
    Open,
    /// It can no longer be paid.
    Expired,
    /// It was paid.
    Paid,
}

impl SessionState {
    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Expired => "expired",
            Self::Paid => "paid",
        }
    }
}

/// What was learnt of a page to pay on. It goes from open to expired or paid, and from expired to paid, never back.
#[derive(Clone, Debug)]
pub struct SessionNews {
    /// Stripe's id.
    pub session_id: String,
    /// The order that it is for.
    pub order_id: OrderId,
    /// The order's `session_version` that it was opened for.
    pub version: i32,
    /// How it stands.
    pub state: SessionState,
    /// Where the customer pays.
    pub url: Option<String>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// When this was learnt.
    pub at: Timestamp,
}

/// What was sold to whom by whom. Its number follows when it is written.
#[derive(Clone, Debug)]
pub struct NewInvoice {
    /// Its id.
    pub id: InvoiceId,
    /// The order that was paid. Ignored when it has an invoice.
    pub order_id: OrderId,
    /// Whose order it is.
    pub customer_id: CustomerId,
    /// What stands before the number: `INV-`.
    pub prefix: String,
    /// The sum before discount and tax.
    pub subtotal: Money,
    /// What is taken off.
    pub discount: Money,
    /// What is added.
    pub tax: Money,
    /// What was paid.
    pub total: Money,
    /// Who sells: an object.
    pub seller: Value,
    /// Who buys: an object.
    pub buyer: Value,
    /// What was sold: an array.
    pub lines: Value,
    /// When.
    pub issued_at: Timestamp,
}

/// Something that a person did by hand.
#[derive(Clone, Debug)]
pub struct NewAudit {
    /// Who.
    pub actor: String,
    /// What, such as `coupon.end`.
    pub action: &'static str,
    /// To which row, as the API shows its id.
    pub subject: String,
    /// Why.
    pub reason: Option<String>,
    /// What was.
    pub before: Option<Value>,
    /// What is.
    pub after: Option<Value>,
    /// When.
    pub at: Timestamp,
}

/// Who a customer says that they are.
#[derive(Clone, Debug)]
pub struct ProfileChange {
    /// Which customer, and the name that they want to be called by.
    pub customer: CustomerContact,
    /// On whose behalf they buy.
    pub company: Option<String>,
    /// ISO 3166-1 alpha-2, in capitals.
    pub country: Option<String>,
    /// Where: an object of texts.
    pub address: Option<Value>,
    /// By which their company is known to the tax office.
    pub vat_id: Option<String>,
}

/// The right to listen to an order once.
#[derive(Clone, Debug)]
pub struct NewStreamTicket {
    /// SHA-256 of the ticket.
    pub hash: [u8; 32],
    /// Whose.
    pub customer_id: CustomerId,
    /// To which order.
    pub order_id: OrderId,
    /// Until when it can be taken.
    pub expires_at: Timestamp,
}

impl Effects {
    /// Adds an order that was agreed, with its units.
    #[must_use]
    pub fn agree(mut self, order: NewOrder) -> Self {
        self.new_orders.push(order);
        self
    }

    /// Moves an order.
    #[must_use]
    pub fn move_order(mut self, step: OrderMove) -> Self {
        self.order_moves.push(step);
        self
    }

    /// Issues an invoice, unless the order has one.
    #[must_use]
    pub fn invoice(mut self, invoice: NewInvoice) -> Self {
        self.invoices.push(invoice);
        self
    }

    /// Writes down what a person did.
    #[must_use]
    pub fn audit(mut self, audit: NewAudit) -> Self {
        self.audits.push(audit);
        self
    }

    /// Says who a customer is. Refused with `CustomerDeleted` for one who was anonymised.
    #[must_use]
    pub fn profile(mut self, profile: ProfileChange) -> Self {
        self.profiles.push(profile);
        self
    }

    /// Forgets who a customer was and keeps their money rows. Refused with `CustomerBusy` while an account of theirs
    /// is not terminated or an order is neither finished nor ended.
    #[must_use]
    pub fn anonymise(mut self, customer: CustomerId) -> Self {
        self.anonymised.push(customer);
        self
    }

    /// Has another page opened for a pending order. Refused with `RowChanged` when the order's `session_version` is
    /// another one, the order is not pending, or a page of it can be paid.
    #[must_use]
    pub fn next_session(mut self, order: OrderId, from_version: i32) -> Self {
        self.next_sessions.push((order, from_version));
        self
    }

    /// Hands out the right to listen to an order once.
    #[must_use]
    pub fn stream_ticket(mut self, ticket: NewStreamTicket) -> Self {
        self.stream_tickets.push(ticket);
        self
    }
}
