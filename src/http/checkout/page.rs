//! The page at Stripe that an order is paid on: opened once a version of it, and closed when it is not to be paid.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use berth_jobs::ids::OrderId;
use uuid::Uuid;

use super::{
    super::{orders::of_store, problem::Problem},
    RETRY_AFTER,
};
use crate::{
    app::App,
    domain::order::OrderPhase,
    effects::{CustomerContact, Effects, Fact, SessionNews, SessionState},
    error::chain,
    failpoint,
    gateways::stripe::{
        Amount, CheckoutLine, CheckoutSession, CheckoutStatus, GatewayError, IdempotencyKey, Metadata,
        NewCheckoutSession, NewCustomer, Stripe,
    },
    queue::committer::CommitError,
    store::orders::Order,
};

/// Stripe opens no page that closes sooner than half an hour from then, by its clock.
const SHORTEST_STAY: SignedDuration = SignedDuration::from_mins(32);
/// What Stripe calls a key that was used with other parameters.
const OTHER_PARAMETERS: &str = "idempotency_error";

/// How a page ended.
pub(super) enum Closed {
    /// Nobody can pay on it any more.
    Unpaid,
    /// Somebody has.
    Paid,
}

/// Whether there is time to pay the order: on its page, or on one that is still to be opened.
pub(super) fn can_be_paid(order: &Order, now: Timestamp) -> bool {
    let left = order.expires_at.duration_since(now);
    if order.checkout_url.is_some() { left.is_positive() } else { left > SHORTEST_STAY }
}

/// Opens the page of a pending order, or finds the one that was opened before. `None` when the order needs none any more.
///
/// The page is stored before its address is told, and the order read again after that: whoever withdraws the order
/// meanwhile sees the page, or this sees that it is withdrawn.
pub(super) async fn open(app: &App, order: &Order) -> Result<Option<String>, Problem> {
    if let Some(url) = &order.checkout_url {
        return Ok(Some(url.clone()));
    }
    let order_id = order.state.id;
    let stripe = app.stripe.as_ref().ok_or_else(|| kept(order_id))?;
    let customer = stripe_customer(app, stripe, order).await?;
    let (session, version) = opened(app, stripe, order, customer).await?;
    failpoint::hit("checkout.opened");
    let Some(url) = session.url.clone() else {
        tracing::error!(%order_id, session = session.id, "Stripe opened a session without a page");
        return Err(kept(order_id));
    };
    let news = SessionNews {
        session_id: session.id.clone(),
        order_id,
        version,
        state: SessionState::Open,
        url: Some(url.clone()),
        expires_at: session.expires_at.or(Some(order.expires_at)),
        at: app.clock.now(),
    };
    if let Err(error) = app.committer.write(Fact::Session(news).into()).await {
        // The session carries the order's id: its events find the order all the same.
        tracing::warn!(%order_id, error = chain(&error), "the session of an order could not be stored");
        return Err(kept(order_id));
    }
    failpoint::hit("checkout.stored");
    settled(app, order_id, &session.id, url).await
}

/// The address to tell, now that the page is stored.
async fn settled(app: &App, order_id: OrderId, session: &str, url: String) -> Result<Option<String>, Problem> {
    let order = app.store.order(order_id).await.map_err(|_| kept(order_id))?;
    let is_its_page = order.stripe_session_id.as_deref() == Some(session);
    match order.state.phase {
        OrderPhase::Pending if is_its_page => Ok(Some(url)),
        OrderPhase::AwaitingPayment | OrderPhase::Held | OrderPhase::Processing | OrderPhase::Completed => Ok(None),
        OrderPhase::Pending => {
            // Stripe forgot its key and opened two: the first one stands.
            close(app, order_id, session).await?;
            order.checkout_url.map(Some).ok_or_else(|| kept(order_id))
        }
        OrderPhase::Failed | OrderPhase::Cancelled | OrderPhase::Rejected | OrderPhase::Withdrawn => {
            close(app, order_id, session).await?;
            let detail = "A newer checkout of this cart has taken the place of this one: go on with that.";
            Err(Problem::conflict("checkout-replaced", detail).with("order_id", order_id.to_string()))
        }
    }
}

/// The session of the order's version. A key that was used with other parameters, as when the address to return to was
/// changed in between, may have opened a page; nobody was told of it. The next version has a key of its own.
async fn opened(
    app: &App,
    stripe: &Stripe,
    order: &Order,
    customer: String,
) -> Result<(CheckoutSession, i32), Problem> {
    let version = order.session_version;
    let new = session_for(app, order, version, customer)?;
    match stripe.create_checkout_session(&key_of(order, version)?, &new).await {
        Ok(session) => return Ok((session, version)),
        Err(GatewayError::Refused { code: Some(code), .. }) if code == OTHER_PARAMETERS => {}
        Err(error) => return Err(of_stripe(order.state.id, &error)),
    }
    match app.committer.write(Effects::none().next_session(order.state.id, version)).await {
        Ok(()) => {}
        Err(CommitError::Refused(_) | CommitError::Unavailable(_) | CommitError::Failed(_) | CommitError::ClaimLost) => {
            return Err(kept(order.state.id));
        }
    }
    let next = version.saturating_add(1);
    let new = NewCheckoutSession { metadata: metadata(order, next), ..new };
    let session = stripe.create_checkout_session(&key_of(order, next)?, &new).await;
    Ok((session.map_err(|error| of_stripe(order.state.id, &error))?, next))
}

fn key_of(order: &Order, version: i32) -> Result<IdempotencyKey, Problem> {
    IdempotencyKey::new(&format!("berth:checkout:{}:{version}", order.state.id)).map_err(|error| internal(&error))
}

fn metadata(order: &Order, version: i32) -> Metadata {
    Metadata::from([
        ("order_id".to_owned(), order.state.id.to_string()),
        ("session_version".to_owned(), version.to_string()),
    ])
}

fn session_for(app: &App, order: &Order, version: i32, customer: String) -> Result<NewCheckoutSession, Problem> {
    let mut lines: Vec<CheckoutLine> = Vec::new();
    for item in order.items.iter().filter(|item| !item.total.is_zero()) {
        let minor = item.total.to_minor().map_err(|error| internal(&error))?;
        let unit_price = Amount::new(minor, item.total.currency().code());
        match lines.iter_mut().find(|line| line.name == item.name && line.unit_price == unit_price) {
            Some(line) => line.quantity += 1,
            None => lines.push(CheckoutLine { name: item.name.clone(), description: None, unit_price, quantity: 1 }),
        }
    }
    Ok(NewCheckoutSession {
        customer,
        lines,
        client_reference_id: order.state.id.to_string(),
        metadata: metadata(order, version),
        success_url: app.config.success_url().unwrap_or_else(|| app.shop.url.clone()),
        cancel_url: app.config.cancel_url().unwrap_or_else(|| app.shop.url.clone()),
        expires_at: order.expires_at,
    })
}

async fn stripe_customer(app: &App, stripe: &Stripe, order: &Order) -> Result<String, Problem> {
    let contact: &CustomerContact = &order.customer;
    let order_id = order.state.id;
    if let Some(known) = app.store.stripe_customer_id(contact.id).await.map_err(|_| kept(order_id))? {
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
    let made = stripe.ensure_customer(&key, &new).await.map_err(|error| of_stripe(order_id, &error))?;
    let known = Fact::CustomerKnown { customer_id: contact.id, stripe_customer_id: made.id.clone() };
    if let Err(error) = app.committer.write(known.into()).await {
        tracing::warn!(customer = %contact.id, error = chain(&error), "Stripe's id of a customer could not be stored");
        return Err(kept(order_id));
    }
    // Somebody else may have been first: one customer has one id.
    let stored = app.store.stripe_customer_id(contact.id).await.map_err(|_| kept(order_id))?;
    Ok(stored.unwrap_or(made.id))
}

/// Closes a page at Stripe. That it can no longer be closed is no failure: it has ended by itself, or was paid. Closing
/// twice is closing once, so each request has a key of its own, and no failure is remembered by Stripe.
pub(super) async fn close(app: &App, order: OrderId, session: &str) -> Result<Closed, Problem> {
    let stripe = app.stripe.as_ref().ok_or_else(|| kept(order))?;
    let key = IdempotencyKey::of_row("expire", Uuid::now_v7()).map_err(|error| internal(&error))?;
    if stripe.expire_checkout_session(&key, session).await.is_ok() {
        return Ok(Closed::Unpaid);
    }
    let found = stripe.checkout_session(session).await.map_err(|error| of_stripe(order, &error))?;
    match found.status {
        Some(CheckoutStatus::Expired) => Ok(Closed::Unpaid),
        Some(CheckoutStatus::Complete) => Ok(Closed::Paid),
        Some(CheckoutStatus::Open | CheckoutStatus::Unknown) | None => {
            tracing::error!(%order, session, "a page that is not to be paid cannot be closed");
            Err(kept(order))
        }
    }
}

/// The order exists, and what it needs of Stripe or the database cannot be had just now.
fn kept(order: OrderId) -> Problem {
    let detail = "The order is kept, but its payment page could not be opened or closed. Wait as long as `Retry-After` \
                  says, then send the same request again: it goes on with that order.";
    Problem::unavailable(RETRY_AFTER).with_detail(detail).with("order_id", order.to_string())
}

fn of_stripe(order: OrderId, error: &GatewayError) -> Problem {
    tracing::error!(%order, error = chain(error), "Stripe did not do what an order's page needs");
    kept(order)
}

pub(super) fn internal(error: &dyn std::error::Error) -> Problem {
    let id = Uuid::now_v7().to_string();
    tracing::error!(error = chain(error), id, "a request failed by a fault of ours");
    Problem::internal(id)
}
