//! Stripe: its API as named calls over one pooled client, and its webhooks.
//!
//! Requests are spelled out by async-stripe's builders and sent by `transport`; of the answers only what Berth uses is read.

mod answer;
mod endpoints;
mod error;
pub mod event;
mod fields;
mod idempotency;
mod json_path;
mod list;
mod objects;
mod purpose;
mod requests;
#[cfg(test)]
mod tests;
mod transport;
mod watched;
pub mod webhook;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;
use secrecy::SecretString;
use stripe_checkout::checkout_session::{ExpireCheckoutSession, ListCheckoutSession, RetrieveCheckoutSession};
use stripe_core::charge::RetrieveCharge;
use stripe_core::customer::{
    ListPaymentMethodsCustomer, ListPaymentMethodsCustomerType, RetrieveCustomer, RetrievePaymentMethodCustomer,
};
use stripe_core::dispute::RetrieveDispute;
use stripe_core::event::ListEvent;
use stripe_core::payment_intent::{CancelPaymentIntent, ListPaymentIntent, RetrievePaymentIntent};
use stripe_core::refund::{ListRefund, RetrieveRefund};
use stripe_types::{RangeBoundsTs, RangeQueryTs};

pub use endpoints::{ALL_EVENTS, Standing, WebhookEndpoint};
pub use error::{BAD_ARGUMENT, Doubt, GatewayError};
pub use event::{EventError, StripeEvent};
pub use idempotency::{IdempotencyKey, InvalidIdempotencyKey};
pub use list::{EventJson, EventPage, ListedEvent, PaymentIntentSearch};
pub use objects::{
    Amount, Card, Charge, CheckoutPaymentStatus, CheckoutSession, CheckoutStatus, Customer, Dispute, EarlyFraudWarning,
    Metadata, PaymentError, PaymentIntent, PaymentIntentStatus, PaymentMethod, Refund, RefundStatus, SetupIntent,
};
pub use purpose::Purpose;
pub use requests::{CheckoutLine, NewCardSession, NewCharge, NewCheckoutSession, NewCustomer, NewRefund, RefundReason};
pub use transport::{STRIPE_VERSION, StripeConfigError};

use list::{PAGE_SIZE, Page, RawPage};
use requests::{Detachment, confirmation, path_id};
use transport::{Call, RetryPolicy, Transport};

/// The key in an intent's metadata under which a charge of a saved card names the attempt that made it.
pub const CHARGE: &str = "charge_id";

/// A thousand intents of one customer since one attempt was made: more is not a look-up.
const MAX_SEARCH_PAGES: usize = 10;

/// Five hundred cards of one customer are somebody's test of stolen ones.
const MAX_CARD_PAGES: usize = 5;

/// Stripe's limit on a filter by types.
const MAX_EVENT_TYPES: usize = 20;

/// How to reach Stripe.
#[derive(Debug, Clone)]
pub struct StripeConfig {
    /// `sk_…` or `rk_…`
    pub secret_key: SecretString,
    /// `https://api.stripe.com`, or a simulator.
    pub api_base: Url,
    /// Of one attempt; a whole call with its retries takes at most three times as long.
    pub timeout: Duration,
}

/// The Stripe account. Clones share one pool of connections.
#[derive(Debug, Clone)]
pub struct Stripe {
    transport: Arc<Transport>,
}

impl Stripe {
    /// # Errors
    /// When the key cannot be a key, the base is not https, or TLS cannot be set up.
    pub fn new(config: &StripeConfig) -> Result<Self, StripeConfigError> {
        Self::with_retries(config, RetryPolicy::default())
    }

    fn with_retries(config: &StripeConfig, retry: RetryPolicy) -> Result<Self, StripeConfigError> {
        let transport = Transport::new(&config.secret_key, &config.api_base, config.timeout, retry)?;
        Ok(Self { transport: Arc::new(transport) })
    }

    /// Makes the customer, or answers the one made earlier under this key.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn ensure_customer(
        &self,
        key: &IdempotencyKey,
        customer: &NewCustomer,
    ) -> Result<Customer, GatewayError> {
        let call = Call::post(key, &customer.request());
        self.transport.call(call).await
    }

    /// A customer as Stripe knows them; one who was deleted says so.
    ///
    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`.
    pub async fn customer(&self, id: &str) -> Result<Customer, GatewayError> {
        let call = Call::get(&RetrieveCustomer::new(path_id("customer", id)?));
        self.transport.call(call).await
    }

    /// Opens a page on which an order is paid. Repeated under the same key it answers the same session.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn create_checkout_session(
        &self,
        key: &IdempotencyKey,
        session: &NewCheckoutSession,
    ) -> Result<CheckoutSession, GatewayError> {
        let call = Call::post(key, &session.request());
        self.transport.call(call).await
    }

    /// Opens a page on which a card is saved and nothing is paid.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn create_card_session(
        &self,
        key: &IdempotencyKey,
        session: &NewCardSession,
    ) -> Result<CheckoutSession, GatewayError> {
        let call = Call::post(key, &session.request());
        self.transport.call(call).await
    }

    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`.
    pub async fn checkout_session(&self, id: &str) -> Result<CheckoutSession, GatewayError> {
        let call = Call::get(&RetrieveCheckoutSession::new(path_id("session", id)?));
        self.transport.call(call).await
    }

    /// The newest 100 pages of a customer, to find one in doubt by its metadata.
    ///
    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`.
    pub async fn newest_sessions(&self, customer: &str) -> Result<Vec<CheckoutSession>, GatewayError> {
        let call = Call::get(&ListCheckoutSession::new().customer(customer).limit(PAGE_SIZE));
        let page: Page<CheckoutSession> = self.transport.call(call).await?;
        Ok(page.data)
    }

    /// Closes a page so that it cannot be paid any more. `Refused` (400) when it is no longer open: it may have been paid.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn expire_checkout_session(
        &self,
        key: &IdempotencyKey,
        id: &str,
    ) -> Result<CheckoutSession, GatewayError> {
        let call = Call::post(key, &ExpireCheckoutSession::new(path_id("session", id)?));
        self.transport.call(call).await
    }

    /// Charges a saved card while the customer is away. `Ok` does not mean paid: look at the status.
    ///
    /// # Errors
    /// See [`GatewayError`]; `Declined` carries the intent, which should be confirmed again rather than replaced.
    pub async fn charge_off_session(
        &self,
        key: &IdempotencyKey,
        charge: &NewCharge,
    ) -> Result<PaymentIntent, GatewayError> {
        let call = Call::post(key, &charge.request());
        self.transport.call(call).await
    }

    /// Tries an intent again, with the card named, while the customer is away.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn confirm_payment_intent(
        &self,
        key: &IdempotencyKey,
        id: &str,
        payment_method: &str,
    ) -> Result<PaymentIntent, GatewayError> {
        let call = Call::post(key, &confirmation(path_id("payment_intent", id)?, payment_method));
        self.transport.call(call).await
    }

    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`.
    pub async fn payment_intent(&self, id: &str) -> Result<PaymentIntent, GatewayError> {
        let call = Call::get(&RetrievePaymentIntent::new(path_id("payment_intent", id)?));
        self.transport.call(call).await
    }

    /// Makes sure an intent will never be paid. `Refused` (400) when it already was, or is being processed.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn cancel_payment_intent(&self, key: &IdempotencyKey, id: &str) -> Result<PaymentIntent, GatewayError> {
        let call = Call::post(key, &CancelPaymentIntent::new(path_id("payment_intent", id)?));
        self.transport.call(call).await
    }

    /// All intents of a customer made at or after an instant, to find an attempt in doubt by its metadata. Ask from a little
    /// before the attempt: Stripe's clock is not ours.
    ///
    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`.
    pub async fn find_payment_intents(
        &self,
        customer: &str,
        created_since: Timestamp,
    ) -> Result<PaymentIntentSearch, GatewayError> {
        let mut intents: Vec<PaymentIntent> = Vec::new();
        for _ in 0..MAX_SEARCH_PAGES {
            let mut request = ListPaymentIntent::new()
                .customer(customer)
                .created(RangeQueryTs::gte(created_since.as_second()))
                .limit(PAGE_SIZE);
            if let Some(last) = intents.last() {
                request = request.starting_after(&last.id);
            }
            let call = Call::get(&request);
            let page: Page<PaymentIntent> = self.transport.call(call).await?;
            let exhausted = page.data.is_empty() || !page.has_more;
            intents.extend(page.data);
            if exhausted {
                return Ok(PaymentIntentSearch { intents, complete: true });
            }
        }
        Ok(PaymentIntentSearch { intents, complete: false })
    }

    /// Gives money back. `pending` is the usual first status; the bank may still send it back.
    ///
    /// # Errors
    /// See [`GatewayError`]; `Refused` (400) when more would be given back than is left.
    pub async fn refund(&self, key: &IdempotencyKey, refund: &NewRefund) -> Result<Refund, GatewayError> {
        let call = Call::post(key, &refund.request());
        self.transport.call(call).await
    }

    /// A refund as it stands now.
    ///
    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`.
    pub async fn refund_status(&self, id: &str) -> Result<Refund, GatewayError> {
        let call = Call::get(&RetrieveRefund::new(path_id("refund", id)?));
        self.transport.call(call).await
    }

    /// All refunds of a payment, the newest first.
    ///
    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`. `Refused` where there are more than a thousand: then what is absent from those
    /// that were read would prove nothing.
    pub async fn refunds_of(&self, payment_intent: &str) -> Result<Vec<Refund>, GatewayError> {
        let mut refunds: Vec<Refund> = Vec::new();
        for _ in 0..MAX_SEARCH_PAGES {
            let mut request = ListRefund::new().payment_intent(payment_intent).limit(PAGE_SIZE);
            if let Some(last) = refunds.last() {
                request = request.starting_after(&last.id);
            }
            let page: Page<Refund> = self.transport.call(Call::get(&request)).await?;
            let exhausted = page.data.is_empty() || !page.has_more;
            refunds.extend(page.data);
            if exhausted {
                return Ok(refunds);
            }
        }
        Err(GatewayError::bad_argument("payment_intent", "it has more refunds than can be looked through"))
    }

    /// A charge as it stands now.
    ///
    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`.
    pub async fn charge(&self, id: &str) -> Result<Charge, GatewayError> {
        let call = Call::get(&RetrieveCharge::new(path_id("charge", id)?));
        self.transport.call(call).await
    }

    /// A dispute as it stands now.
    ///
    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`.
    pub async fn dispute(&self, id: &str) -> Result<Dispute, GatewayError> {
        let call = Call::get(&RetrieveDispute::new(path_id("dispute", id)?));
        self.transport.call(call).await
    }

    /// A card saved with a customer.
    ///
    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`.
    pub async fn payment_method(&self, customer: &str, id: &str) -> Result<PaymentMethod, GatewayError> {
        let request =
            RetrievePaymentMethodCustomer::new(path_id("customer", customer)?, path_id("payment_method", id)?);
        let call = Call::get(&request);
        self.transport.call(call).await
    }

    /// All cards saved with a customer, the newest first. `Refused` (404, or 400 with `resource_missing`) when the customer
    /// was deleted.
    ///
    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`. `Refused` with 400 when there are more than five hundred.
    pub async fn cards(&self, customer: &str) -> Result<Vec<PaymentMethod>, GatewayError> {
        let customer = path_id("customer", customer)?;
        let mut cards: Vec<PaymentMethod> = Vec::new();
        for _ in 0..MAX_CARD_PAGES {
            let mut request =
                ListPaymentMethodsCustomer::new(customer).type_(ListPaymentMethodsCustomerType::Card).limit(PAGE_SIZE);
            if let Some(last) = cards.last() {
                request = request.starting_after(&last.id);
            }
            let call = Call::get(&request);
            let page: Page<PaymentMethod> = self.transport.call(call).await?;
            let exhausted = page.data.is_empty() || !page.has_more;
            cards.extend(page.data);
            if exhausted {
                return Ok(cards);
            }
        }
        Err(GatewayError::bad_argument("customer", "more cards than any customer has"))
    }

    /// Takes a card away from its customer for good. `Refused` (400) when it was detached before.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn detach_card(&self, key: &IdempotencyKey, id: &str) -> Result<PaymentMethod, GatewayError> {
        let call = Call::post(key, &Detachment(path_id("payment_method", id)?));
        self.transport.call(call).await
    }

    /// One page of the events from an instant on and before another one, newest first; `after` is the `next` of the page
    /// before. Stripe keeps 30 days.
    ///
    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`. `Refused` with more than 20 types.
    pub async fn events(
        &self,
        of: Range<Timestamp>,
        after: Option<&str>,
        types: &[&str],
    ) -> Result<EventPage, GatewayError> {
        if types.len() > MAX_EVENT_TYPES {
            return Err(GatewayError::bad_argument("types", "more than 20 types"));
        }
        let (from, until) = (Some(of.start.as_second()), Some(of.end.as_second()));
        let created = RangeQueryTs::Bounds(RangeBoundsTs { gte: from, lt: until, ..RangeBoundsTs::default() });
        let mut request = ListEvent::new().created(created).limit(PAGE_SIZE);
        if !types.is_empty() {
            request = request.types(types.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>());
        }
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        let call = Call::get(&request);
        let page: RawPage = self.transport.call(call).await?;
        Ok(EventPage::from(page))
    }
}
