//! `POST /v1/checkout`: what is asked for becomes an order at our prices, and a page to pay it on.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use berth_jobs::ids::{OrderId, OrderItemId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{
    auth::{Authenticated, Customer},
    orders::of_store,
    problem::{ApiJson, Problem},
};
use crate::{
    app::App,
    domain::pricing::{self, LineRequest, PricingRequest, Quote},
    effects::{CustomerContact, Effects, Fact, Idempotency, ItemTerms, NewOrder, NewOrderItem, OrderTerms},
    error::chain,
    gateways::stripe::{
        Amount, CheckoutLine, GatewayError, IdempotencyKey, Metadata, NewCheckoutSession, NewCustomer, Stripe,
    },
    queue::committer::CommitError,
    store::orders::Order,
};

/// How long an order can be paid. Stripe's limit is 24 hours from when it hears of the session.
const PAYABLE: SignedDuration = SignedDuration::from_mins(24 * 60 - 5);
/// The longest key of a caller's own.
const LONGEST_KEY: usize = 255;
/// How soon to try again when Stripe or the database is away.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What to buy.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckoutRequest {
    /// One line a service.
    items: Vec<CheckoutItem>,
}

/// One line of a checkout.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CheckoutItem {
    /// The catalogue's id.
    #[schema(example = "shared-monthly")]
    service_id: String,
    /// How many accounts; 1 when not given.
    #[serde(default = "one")]
    quantity: u32,
}

const fn one() -> u32 {
    1
}

/// Where to pay, and until when.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckoutAnswer {
    #[schema(value_type = String, example = "ord_01k9z3m6sne5y8r7q2w4x6t8va")]
    order_id: OrderId,
    /// Send the customer here.
    checkout_url: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Makes an order at our own prices and opens a page to pay it on.
#[utoipa::path(post, path = "/v1/checkout", tag = "checkout", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Asking again under it answers the same order.")),
    request_body = CheckoutRequest,
    responses(
        (status = 201, description = "The order, to be paid.", body = CheckoutAnswer),
        (status = 401, description = "Sign in."),
        (status = 422, description = "It cannot be sold as asked, or the key was used for something else."),
        (status = 503, description = "The payment page could not be opened; ask again."),
    ),
)]
pub async fn create(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    headers: HeaderMap,
    ApiJson(request): ApiJson<CheckoutRequest>,
) -> Result<Response, Problem> {
    let contact = contact_of(customer)?;
    let idempotency = idempotency_of(&headers, &request)?;
    let (order, replayed) = agree(&app, contact, &request, idempotency).await?;
    let answer = open_page(&app, &order).await?;
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    if replayed {
        response.headers_mut().insert("idempotent-replayed", axum::http::HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn contact_of(customer: Customer) -> Result<CustomerContact, Problem> {
    let detail = "Your token names no e-mail address, and the confirmation has to go somewhere.";
    let email = customer.email.ok_or_else(|| Problem::unprocessable("no-email", detail))?;
    Ok(CustomerContact { id: customer.id, email, name: customer.name })
}

fn idempotency_of(headers: &HeaderMap, request: &CheckoutRequest) -> Result<Option<Idempotency>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key
        .to_str()
        .ok()
        .filter(|key| !key.is_empty() && key.len() <= LONGEST_KEY)
        .ok_or_else(|| Problem::invalid_request("Idempotency-Key: 1 to 255 visible ASCII characters"))?;
    let body = serde_json::to_vec(request).map_err(|error| Problem::invalid_body(error.to_string()))?;
    Ok(Some(Idempotency { key: key.to_owned(), request_hash: Sha256::digest(&body).into() }))
}

/// The order that was agreed, now or under the same key before.
async fn agree(
    app: &App,
    contact: CustomerContact,
    request: &CheckoutRequest,
    idempotency: Option<Idempotency>,
) -> Result<(Order, bool), Problem> {
    let customer = contact.id;
    if let Some(known) = under_key(app, &contact, idempotency.as_ref()).await? {
        return Ok((known, true));
    }
    let lines: Vec<LineRequest> =
        request.items.iter().map(|item| LineRequest::new(&item.service_id, item.quantity)).collect();
    let asked = PricingRequest { tax: app.tax.treatment(None), ..PricingRequest::plain(app.currency, lines) };
    let quote = pricing::quote(&app.catalogue, &asked)
        .map_err(|error| Problem::unprocessable("cannot-be-sold", chain(&error)))?;
    let key = idempotency.clone();
    let order = new_order(app.clock.now(), contact.clone(), &quote, idempotency);
    let id = order.id;
    match app.committer.write(Effects::new_order(order)).await {
        Ok(()) => Ok((app.store.order(id).await.map_err(of_store)?, false)),
        Err(CommitError::Refused(_)) => match under_key(app, &contact, key.as_ref()).await? {
            Some(known) => Ok((known, true)),
            None => Err(Problem::unavailable(RETRY_AFTER)),
        },
        Err(error) => {
            tracing::error!(%customer, error = chain(&error), "an order could not be stored");
            Err(Problem::unavailable(RETRY_AFTER))
        }
    }
}

async fn under_key(
    app: &App,
    contact: &CustomerContact,
    idempotency: Option<&Idempotency>,
) -> Result<Option<Order>, Problem> {
    let Some(idempotency) = idempotency else { return Ok(None) };
    let known = app.store.order_under_key(contact.id, &idempotency.key).await.map_err(of_store)?;
    let Some((id, request_hash)) = known else { return Ok(None) };
    if request_hash != idempotency.request_hash {
        let detail = "This Idempotency-Key was used for another checkout; take a new one.";
        return Err(Problem::unprocessable("idempotency-key-reused", detail));
    }
    Ok(Some(app.store.order(id).await.map_err(of_store)?))
}

fn new_order(now: Timestamp, customer: CustomerContact, quote: &Quote, idempotency: Option<Idempotency>) -> NewOrder {
    let items = quote.units.iter().filter_map(|unit| {
        let service = &quote.lines.get(unit.line)?.service;
        Some(NewOrderItem {
            id: OrderItemId::new(),
            service_id: service.id().to_string(),
            name: service.name().to_owned(),
            service_type: service.service_type().as_str(),
            plan_name: service.plan_name().to_owned(),
            billing_cycle: service.billing_cycle(),
            package: service.package().to_owned(),
            pool: service.pool().to_owned(),
            price: unit.price,
            discount: unit.discount,
            tax: unit.tax,
            total: unit.total,
            terms: ItemTerms::default(),
        })
    });
    NewOrder {
        id: OrderId::new(),
        customer,
        subtotal: quote.subtotal,
        discount: quote.discount,
        tax: quote.tax,
        total: quote.total,
        created_at: now,
        expires_at: now.checked_add(PAYABLE).unwrap_or(now),
        idempotency,
        terms: OrderTerms::default(),
        items: items.collect(),
    }
}

/// Opens the page at Stripe, or finds the one that was opened before. The keys come from rows, so that a request whose
/// answer was lost opens nothing twice.
async fn open_page(app: &App, order: &Order) -> Result<CheckoutAnswer, Problem> {
    let order_id = order.state.id;
    if let Some(url) = &order.checkout_url {
        return Ok(CheckoutAnswer { order_id, checkout_url: url.clone(), expires_at: order.expires_at });
    }
    let stripe = app.stripe.as_ref().ok_or_else(|| Problem::unavailable(RETRY_AFTER))?;
    let customer = stripe_customer(app, stripe, &order.customer).await?;
    let key = key_of("checkout", order_id.0)?;
    let session = stripe
        .create_checkout_session(&key, &session_for(app, order, customer)?)
        .await
        .map_err(|error| of_stripe(&error))?;
    let Some(url) = session.url.clone() else {
        tracing::error!(%order_id, session = session.id, "Stripe opened a session without a page");
        return Err(Problem::unavailable(RETRY_AFTER));
    };
    let opened = Fact::SessionOpened { order_id, session_id: session.id, url: Some(url.clone()) };
    if let Err(error) = app.committer.write(opened.into()).await {
        // The session carries the order's id: its events find the order all the same.
        tracing::warn!(%order_id, error = chain(&error), "the session of an order could not be stored");
        return Err(Problem::unavailable(RETRY_AFTER));
    }
    Ok(CheckoutAnswer { order_id, checkout_url: url, expires_at: order.expires_at })
}

async fn stripe_customer(app: &App, stripe: &Stripe, contact: &CustomerContact) -> Result<String, Problem> {
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
    let made = stripe.ensure_customer(&key, &new).await.map_err(|error| of_stripe(&error))?;
    let known = Fact::CustomerKnown { customer_id: contact.id, stripe_customer_id: made.id.clone() };
    if let Err(error) = app.committer.write(known.into()).await {
        tracing::warn!(customer = %contact.id, error = chain(&error), "Stripe's id of a customer could not be stored");
        return Err(Problem::unavailable(RETRY_AFTER));
    }
    // Somebody else may have been first: one customer has one id.
    let stored = app.store.stripe_customer_id(contact.id).await.map_err(of_store)?;
    Ok(stored.unwrap_or(made.id))
}

fn session_for(app: &App, order: &Order, customer: String) -> Result<NewCheckoutSession, Problem> {
    let mut lines: Vec<CheckoutLine> = Vec::new();
    for item in &order.items {
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
        metadata: Metadata::from([("order_id".to_owned(), order.state.id.to_string())]),
        success_url: app.config.success_url().unwrap_or_else(|| app.shop.url.clone()),
        cancel_url: app.config.cancel_url().unwrap_or_else(|| app.shop.url.clone()),
        expires_at: order.expires_at,
    })
}

fn key_of(purpose: &str, id: uuid::Uuid) -> Result<IdempotencyKey, Problem> {
    IdempotencyKey::of_row(purpose, id).map_err(|error| internal(&error))
}

fn of_stripe(error: &GatewayError) -> Problem {
    tracing::error!(error = chain(error), "Stripe did not open a payment page");
    Problem::unavailable(RETRY_AFTER)
}

fn internal(error: &dyn std::error::Error) -> Problem {
    let id = uuid::Uuid::now_v7().to_string();
    tracing::error!(error = chain(error), id, "a request failed by a fault of ours");
    Problem::internal(id)
}
