//! What Berth asks of Stripe, turned into the typed requests of async-stripe.

use std::collections::HashMap;

use jiff::Timestamp;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionAllowedPaymentMethodTypes, CreateCheckoutSessionLineItems,
    CreateCheckoutSessionLineItemsPriceData, CreateCheckoutSessionPaymentIntentData,
    CreateCheckoutSessionPaymentIntentDataSetupFutureUsage, CreateCheckoutSessionSetupIntentData, ProductData,
};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_core::customer::CreateCustomer;
use stripe_core::payment_intent::{
    ConfirmPaymentIntent, ConfirmPaymentIntentOffSession, CreatePaymentIntent, CreatePaymentIntentOffSession,
};
use stripe_core::refund::{CreateRefund, CreateRefundReason};
use stripe_shared::{CheckoutSessionMode, PaymentIntentAllowedPaymentMethodTypes};
use stripe_types::Currency;

use super::error::GatewayError;
use super::objects::{Amount, Metadata};

/// Longer than any id of Stripe's.
const MAX_ID_LENGTH: usize = 255;

/// A customer to be made once.
#[derive(Clone, PartialEq, Eq)]
pub struct NewCustomer {
    /// Receipts and the checkout page use it.
    pub email: String,
    /// As it should stand on receipts.
    pub name: Option<String>,
    /// Our customer id, to find them by.
    pub metadata: Metadata,
}

/// An order to be paid on a page of Stripe's, whose card is kept for renewals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCheckoutSession {
    /// `cus_…`: without one the card could not be kept.
    pub customer: String,
    /// At most 100. Prices are final: Stripe adds no discount and no tax.
    pub lines: Vec<CheckoutLine>,
    /// Our order, to 200 characters.
    pub client_reference_id: String,
    /// Put on the session and on its payment intent, because Stripe does not copy it.
    pub metadata: Metadata,
    /// May contain `{CHECKOUT_SESSION_ID}`.
    pub success_url: String,
    /// Where the back button leads.
    pub cancel_url: String,
    /// 30 minutes to 24 hours from now.
    pub expires_at: Timestamp,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutLine {
    /// Shown to the customer.
    pub name: String,
    /// Shown below the name.
    pub description: Option<String>,
    /// The price of one; not negative.
    pub unit_price: Amount,
    /// At least 1.
    pub quantity: u32,
}

/// A card to be saved while nothing is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCardSession {
    /// `cus_…`, whose card it will be.
    pub customer: String,
    /// In which the card will be charged later: decides what Stripe offers.
    pub currency: String,
    /// Put on the session and on its setup intent.
    pub metadata: Metadata,
    /// May contain `{CHECKOUT_SESSION_ID}`.
    pub success_url: String,
    /// Where the back button leads.
    pub cancel_url: String,
    /// 30 minutes to 24 hours from now.
    pub expires_at: Timestamp,
}

/// A charge on a saved card while the customer is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCharge {
    /// `cus_…`
    pub customer: String,
    /// `pm_…`, saved with that customer.
    pub payment_method: String,
    /// What is due.
    pub amount: Amount,
    /// Shown on receipts.
    pub description: Option<String>,
    /// Must hold the attempt's id: an attempt in doubt is looked up by it.
    pub metadata: Metadata,
}

/// Money to be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRefund {
    /// `pi_…`
    pub payment_intent: String,
    /// At most what is left of the payment, in its currency.
    pub amount: Amount,
    /// Shown on Stripe's dashboard.
    pub reason: Option<RefundReason>,
    /// Our refund id.
    pub metadata: Metadata,
}

/// The reasons that Stripe knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundReason {
    /// Paid twice.
    Duplicate,
    /// Puts the card on Stripe's block lists.
    Fraudulent,
    /// Everything else.
    RequestedByCustomer,
}

impl NewCustomer {
    pub(super) fn request(&self) -> CreateCustomer {
        let mut request = CreateCustomer::new().email(&self.email).metadata(pairs(&self.metadata));
        if let Some(name) = &self.name {
            request = request.name(name);
        }
        request
    }
}

impl NewCheckoutSession {
    pub(super) fn request(&self) -> CreateCheckoutSession {
        let mut payment = CreateCheckoutSessionPaymentIntentData::new();
        payment.setup_future_usage = Some(CreateCheckoutSessionPaymentIntentDataSetupFutureUsage::OffSession);
        payment.metadata = Some(pairs(&self.metadata));
        CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Payment)
            // Cards only: slower methods answer days later, and cannot all be charged again.
            .allowed_payment_method_types(vec![CreateCheckoutSessionAllowedPaymentMethodTypes::Card])
            .customer(&self.customer)
            .line_items(self.lines.iter().map(CheckoutLine::request).collect::<Vec<_>>())
            .payment_intent_data(payment)
            .client_reference_id(&self.client_reference_id)
            .metadata(pairs(&self.metadata))
            .success_url(&self.success_url)
            .cancel_url(&self.cancel_url)
            .expires_at(self.expires_at.as_second())
    }
}

impl NewCardSession {
    pub(super) fn request(&self) -> CreateCheckoutSession {
        let mut setup = CreateCheckoutSessionSetupIntentData::new();
        setup.metadata = Some(pairs(&self.metadata));
        CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Setup)
            .allowed_payment_method_types(vec![CreateCheckoutSessionAllowedPaymentMethodTypes::Card])
            .customer(&self.customer)
            .currency(currency(&self.currency))
            .setup_intent_data(setup)
            .metadata(pairs(&self.metadata))
            .success_url(&self.success_url)
            .cancel_url(&self.cancel_url)
            .expires_at(self.expires_at.as_second())
    }
}

impl CheckoutLine {
    fn request(&self) -> CreateCheckoutSessionLineItems {
        let mut product = ProductData::new(&self.name);
        product.description.clone_from(&self.description);
        let mut price = CreateCheckoutSessionLineItemsPriceData::new(currency(&self.unit_price.currency));
        price.unit_amount = Some(self.unit_price.minor);
        price.product_data = Some(product);
        let mut line = CreateCheckoutSessionLineItems::new();
        line.price_data = Some(price);
        line.quantity = Some(u64::from(self.quantity));
        line
    }
}

impl NewCharge {
    pub(super) fn request(&self) -> CreatePaymentIntent {
        let mut request = CreatePaymentIntent::new(self.amount.minor, currency(&self.amount.currency))
            // Named, because without it Stripe offers methods that redirect and then wants a return URL.
            .allowed_payment_method_types(vec![PaymentIntentAllowedPaymentMethodTypes::Card])
            .customer(&self.customer)
            .payment_method(&self.payment_method)
            .off_session(CreatePaymentIntentOffSession::Bool(true))
            .confirm(true)
            .metadata(pairs(&self.metadata));
        if let Some(description) = &self.description {
            request = request.description(description);
        }
        request
    }
}

impl NewRefund {
    pub(super) fn request(&self) -> CreateRefund {
        let mut request = CreateRefund::new()
            .payment_intent(&self.payment_intent)
            .amount(self.amount.minor)
            .metadata(pairs(&self.metadata));
        if let Some(reason) = self.reason {
            request = request.reason(match reason {
                RefundReason::Duplicate => CreateRefundReason::Duplicate,
                RefundReason::Fraudulent => CreateRefundReason::Fraudulent,
                RefundReason::RequestedByCustomer => CreateRefundReason::RequestedByCustomer,
            });
        }
        request
    }
}

/// Confirms while the customer is away, with an explicit card.
pub(super) fn confirmation(id: &str, payment_method: &str) -> ConfirmPaymentIntent {
    ConfirmPaymentIntent::new(id).payment_method(payment_method).off_session(ConfirmPaymentIntentOffSession::Bool(true))
}

/// Takes a card away from its customer. The crate that has a builder for it has nothing else that Berth needs.
pub(super) struct Detachment<'a>(pub(super) &'a str);

impl StripeRequest for Detachment<'_> {
    type Output = stripe_shared::PaymentMethod;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Post, format!("/payment_methods/{}/detach", self.0))
    }
}

/// Lets an id into a path: ids come from rows and events, and a slash or a question mark in one would ask for something else.
pub(super) fn path_id<'a>(param: &str, id: &'a str) -> Result<&'a str, GatewayError> {
    let fits = !id.is_empty()
        && id.len() <= MAX_ID_LENGTH
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits { Ok(id) } else { Err(GatewayError::bad_argument(param, "not an id of Stripe's")) }
}

/// Never fails: an unknown code is sent as it is, and Stripe refuses it by name.
fn currency(code: &str) -> Currency {
    let Ok(currency) = code.to_ascii_lowercase().parse::<Currency>();
    currency
}

fn pairs(metadata: &Metadata) -> HashMap<String, String> {
    metadata.clone().into_iter().collect()
}
