//! What Stripe is asked for an order: its customer, and the session of the order's page.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{
    super::{orders::of_store, problem::Problem},
    RETRY_AFTER,
    page::{internal, kept, of_stripe},
};
use crate::{
    app::App,
    effects::{CustomerContact, Effects, Fact},
    error::chain,
    gateways::stripe::{
        Amount, CheckoutLine, CheckoutSession, CheckoutStatus, Doubt, GatewayError, IdempotencyKey, Metadata,
        NewCheckoutSession, NewCustomer, Purpose, Stripe,
    },
    store::orders::Order,
};

/// What Stripe calls a key that was used with other parameters.
const OTHER_PARAMETERS: &str = "idempotency_error";
/// What Stripe remembers of a key for a day, so that asking again is of no use.
const REMEMBERED_FAILURE: u16 = 500;
/// How long a page stays open on which a renewal is paid; Stripe's limit is a day.
const RENEWAL_PAYABLE: SignedDuration = SignedDuration::from_hours(23);
const VERSION: &str = "session_version";

/// The session of the order's page, and the version that it is of. Its key is the order's and the version's.
///
/// A key that Stripe has answered with a failure, or took for other parameters (as when the address to return to was
/// changed in between), may have opened a page all the same: it is looked for. Where there is none, the next version has
/// a key of its own.
pub(super) async fn session(app: &App, stripe: &Stripe, order: &Order) -> Result<(CheckoutSession, i32), Problem> {
    let order_id = order.state.id;
    let version = order.session_version;
    let customer = customer(app, stripe, &order.customer).await.map_err(|_| kept(order_id))?;
    let purpose = purpose(app, order).await?;
    let new = session_for(app, order, metadata(purpose, version), customer)?;
    match stripe.create_checkout_session(&key_of(order, version)?, &new).await {
        Ok(session) => return Ok((session, version)),
        Err(error) if is_spent(&error) => tracing::warn!(%order_id, error = chain(&error), "a key of a page is spent"),
        Err(error) => return Err(of_stripe(order_id, &error)),
    }
    if let Some(session) = unheard(stripe, order, &new).await? {
        return Ok((session, version));
    }
    app.committer.write(Effects::none().next_session(order_id, version)).await.map_err(|_| kept(order_id))?;
    let next = version.saturating_add(1);
    let new = NewCheckoutSession { metadata: metadata(purpose, next), ..new };
    let session = stripe.create_checkout_session(&key_of(order, next)?, &new).await;
    Ok((session.map_err(|error| of_stripe(order_id, &error))?, next))
}

/// Whether Stripe will answer nothing else to this key.
fn is_spent(error: &GatewayError) -> bool {
    match error {
        GatewayError::Refused { code, .. } => code.as_deref() == Some(OTHER_PARAMETERS),
        GatewayError::InDoubt { doubt: Doubt::ServerError { status }, .. } => *status == REMEMBERED_FAILURE,
        GatewayError::InDoubt { .. }
        | GatewayError::Declined { .. }
        | GatewayError::RateLimited { .. }
        | GatewayError::Transient { .. } => false,
    }
}

/// The page of this version that was opened without our hearing of it.
async fn unheard(stripe: &Stripe, order: &Order, new: &NewCheckoutSession) -> Result<Option<CheckoutSession>, Problem> {
    let sessions = stripe.newest_sessions(&new.customer).await.map_err(|error| of_stripe(order.state.id, &error))?;
    let is_it = |session: &CheckoutSession| {
        session.status == Some(CheckoutStatus::Open)
            && Purpose::of(&session.metadata).is_some_and(|purpose| purpose.order == order.state.id)
            && session.metadata.get(VERSION) == new.metadata.get(VERSION)
    };
    Ok(sessions.into_iter().find(is_it))
}

fn key_of(order: &Order, version: i32) -> Result<IdempotencyKey, Problem> {
    IdempotencyKey::new(&format!("berth:checkout:{}:{version}", order.state.id)).map_err(|error| internal(&error))
}

/// What is paid there, so that it can be told from Stripe alone.
async fn purpose(app: &App, order: &Order) -> Result<Purpose, Problem> {
    let id = order.state.id;
    if !order.is_renewal {
        return Ok(Purpose { order: id, period: None });
    }
    let renewal = app.store.renewal(id).await.map_err(of_store)?;
    Ok(Purpose { order: id, period: Some((renewal.account_id, renewal.period_start)) })
}

fn metadata(purpose: Purpose, version: i32) -> Metadata {
    let mut metadata = purpose.metadata();
    metadata.insert(VERSION.to_owned(), version.to_string());
    metadata
}

fn session_for(app: &App, order: &Order, metadata: Metadata, customer: String) -> Result<NewCheckoutSession, Problem> {
    Ok(NewCheckoutSession {
        customer,
        lines: if order.credit.is_zero() && !order.is_renewal { lines_of(order)? } else { line_of_rest(order)? },
        client_reference_id: order.state.id.to_string(),
        metadata,
        success_url: app.config.success_url().unwrap_or_else(|| app.shop.url.clone()),
        cancel_url: app.config.cancel_url().unwrap_or_else(|| app.shop.url.clone()),
        expires_at: if order.is_renewal { renewal_closes_at(app.clock.now()) } else { order.expires_at },
    })
}

/// A renewal can be paid for longer than any page is open. What is asked under one key must be the same when it is asked
/// again soon after, so the hour counts and not the second.
fn renewal_closes_at(now: Timestamp) -> Timestamp {
    let hour = now.as_second() - now.as_second().rem_euclid(3600);
    Timestamp::from_second(hour).unwrap_or(now) + RENEWAL_PAYABLE
}

/// What is left to be paid, as one line: Stripe takes no negative ones, such as credit would be.
fn line_of_rest(order: &Order) -> Result<Vec<CheckoutLine>, Problem> {
    let due = order.due();
    let minor = due.to_minor().map_err(|error| internal(&error))?;
    let name = order.items.first().map(|item| item.name.clone()).unwrap_or_default();
    let description = (!order.credit.is_zero())
        .then(|| format!("{} less {} of credit", order.total.amount_text(), order.credit.amount_text()));
    Ok(vec![CheckoutLine { name, description, unit_price: Amount::new(minor, due.currency().code()), quantity: 1 }])
}

fn lines_of(order: &Order) -> Result<Vec<CheckoutLine>, Problem> {
    let mut lines: Vec<CheckoutLine> = Vec::new();
    for item in order.items.iter().filter(|item| !item.total.is_zero()) {
        let minor = item.total.to_minor().map_err(|error| internal(&error))?;
        let unit_price = Amount::new(minor, item.total.currency().code());
        match lines.iter_mut().find(|line| line.name == item.name && line.unit_price == unit_price) {
            Some(line) => line.quantity += 1,
            None => lines.push(CheckoutLine { name: item.name.clone(), description: None, unit_price, quantity: 1 }),
        }
    }
    Ok(lines)
}

/// Stripe's id of a customer, who is made there where they are new.
pub(in crate::http) async fn customer(
    app: &App,
    stripe: &Stripe,
    contact: &CustomerContact,
) -> Result<String, Problem> {
    let away = |why: &dyn std::error::Error, what: &str| {
        tracing::error!(customer = %contact.id, error = chain(why), "{what}");
        Problem::unavailable(RETRY_AFTER)
    };
    if let Some(known) = app.store.stripe_customer_id(contact.id).await.map_err(of_store)? {
        return Ok(known);
    }
    // The address is part of the key: under one key Stripe takes one set of parameters only.
    let parameters = Sha256::digest(format!("{}\n{}", contact.email, contact.name.as_deref().unwrap_or_default()));
    let key = IdempotencyKey::new(&format!("berth:customer:{}:{}", contact.id, hex::encode(&parameters[..8])))
        .map_err(|error| internal(&error))?;
    let new = NewCustomer {
        email: contact.email.clone(),
        name: contact.name.clone(),
        metadata: Metadata::from([("customer_id".to_owned(), contact.id.to_string())]),
    };
    let made = stripe.ensure_customer(&key, &new).await;
    let made = made.map_err(|error| away(&error, "Stripe has not made a customer"))?;
    let known = Fact::CustomerKnown { customer_id: contact.id, stripe_customer_id: made.id.clone() };
    if let Err(error) = app.committer.write(known.into()).await {
        return Err(away(&error, "Stripe's id of a customer could not be stored"));
    }
    // Somebody else may have been first: one customer has one id.
    let stored = app.store.stripe_customer_id(contact.id).await.map_err(of_store)?;
    Ok(stored.unwrap_or(made.id))
}
