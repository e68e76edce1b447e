//! `/v1/payment-methods`: the cards that a customer has saved, which of them is charged, and a page to save another one on.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use berth_jobs::ids::CustomerId;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{Authenticated, Customer},
    checkout::at_stripe,
    orders::of_store,
    problem::{Problem, ProblemJson, Refuses},
    segments::Segments,
};
use crate::{
    app::App,
    effects::Effects,
    error::chain,
    gateways::stripe::{IdempotencyKey, Metadata, NewCardSession},
    queue::committer::CommitError,
    store::cards::SavedCard,
};

/// How soon to try again when Stripe is away.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How long a page to save a card on stays open.
const OPEN_FOR: SignedDuration = SignedDuration::from_hours(1);

/// A saved card.
#[derive(Debug, Serialize, ToSchema)]
pub struct CardJson {
    /// Stripe's id.
    #[schema(example = "pm_1Q0PsIJvEtkwdCNYMSaVuRz6")]
    id: String,
    /// visa, mastercard …
    #[schema(example = "visa")]
    brand: Option<String>,
    /// The last four digits.
    #[schema(example = "4242")]
    last4: Option<String>,
    /// 1 to 12.
    exp_month: Option<i16>,
    /// Four digits.
    exp_year: Option<i16>,
    /// Whether its last month is over.
    expired: bool,
    /// Whether it is the one that is charged for renewals.
    default: bool,
    /// When it was saved.
    #[schema(value_type = String, format = DateTime)]
    saved_at: Timestamp,
}

/// Your saved cards.
#[derive(Debug, Serialize, ToSchema)]
pub struct CardsJson {
    /// The one that is charged comes first.
    data: Vec<CardJson>,
}

/// A page on which a card is saved.
#[derive(Debug, Serialize, ToSchema)]
pub struct CardPageJson {
    /// Send the customer here.
    #[schema(format = "uri")]
    url: String,
    /// Until when it can be used.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// A card that was removed.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedCardJson {
    /// Which.
    id: String,
    /// What follows from it, if something does: hosting that is renewed by itself has no card left to be charged.
    warning: Option<String>,
    /// The cards that are left.
    data: Vec<CardJson>,
}

impl CardJson {
    fn of(card: SavedCard, now: Timestamp) -> Self {
        Self {
            id: card.id,
            brand: card.brand,
            last4: card.last4,
            exp_month: card.exp_month,
            exp_year: card.exp_year,
            expired: card.expires_at <= now,
            default: card.default_since.is_some(),
            saved_at: card.saved_at,
        }
    }
}

/// Shows your saved cards.
#[utoipa::path(get, path = "/v1/payment-methods", tag = "payment methods", operation_id = "list_cards",
    security(("bearer" = [])), responses((status = 200, description = "Your cards.", body = CardsJson), Refuses))]
pub async fn list(Authenticated(customer): Authenticated, State(app): State<App>) -> Result<Json<CardsJson>, Problem> {
    Ok(Json(CardsJson { data: cards(&app, customer.id).await? }))
}

async fn cards(app: &App, customer: CustomerId) -> Result<Vec<CardJson>, Problem> {
    let now = app.clock.now();
    let cards = app.store.cards_of(customer).await.map_err(of_store)?;
    Ok(cards.into_iter().map(|card| CardJson::of(card, now)).collect())
}

/// Opens a page on which a card is saved, and nothing is paid.
///
/// The card that is saved there is the one that is charged from then on, at once where something is due.
#[utoipa::path(post, path = "/v1/payment-methods", tag = "payment methods", operation_id = "save_card",
    security(("bearer" = [])),
    responses(
        (status = 201, description = "The page.", body = CardPageJson),
        (status = 409, description = "`nothing-bought`: a card is saved with your first purchase.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 410, description = "`customer-deleted`: you have deleted yourself.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "`no-email`: your token names no address.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn save(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
) -> Result<(StatusCode, Json<CardPageJson>), Problem> {
    let profile = app.store.profile(customer.id).await.map_err(of_store)?;
    let Some(profile) = profile else {
        let detail = "You have bought nothing here yet: the card that you pay with is saved by itself.";
        return Err(Problem::conflict("nothing-bought", detail));
    };
    if profile.deleted_at.is_some() {
        return Err(Problem::customer_deleted());
    }
    let page = open_page(&app, customer).await?;
    Ok((StatusCode::CREATED, Json(page)))
}

async fn open_page(app: &App, customer: Customer) -> Result<CardPageJson, Problem> {
    let stripe = app.stripe.as_ref().ok_or_else(|| Problem::unavailable(RETRY_AFTER))?;
    let (customer_id, contact) = (customer.id, customer.contact()?);
    let expires_at = app.clock.now() + OPEN_FOR;
    let back = format!("{}/payment-methods", app.shop.url);
    let new = NewCardSession {
        customer: at_stripe::customer(app, stripe, &contact).await?,
        currency: app.currency.code().to_owned(),
        metadata: Metadata::from([("customer_id".to_owned(), customer_id.to_string())]),
        success_url: back.clone(),
        cancel_url: back,
        expires_at,
    };
    // Two pages are two chances to save a card, and nothing is paid on either.
    let key = IdempotencyKey::of_row("cards", Uuid::now_v7()).map_err(|error| away(customer_id, &error))?;
    let session = stripe.create_card_session(&key, &new).await.map_err(|error| away(customer_id, &error))?;
    let url = session.url.ok_or_else(|| Problem::unavailable(RETRY_AFTER))?;
    Ok(CardPageJson { url, expires_at: session.expires_at.unwrap_or(expires_at) })
}

fn away(customer: CustomerId, error: &dyn std::error::Error) -> Problem {
    tracing::error!(%customer, error = chain(error), "Stripe has opened no page to save a card on");
    Problem::unavailable(RETRY_AFTER)
}

/// Removes a saved card. If it was charged, the one saved last is from then on.
///
/// The last card may go as well; `warning` says what that means for what is renewed by itself.
#[utoipa::path(delete, path = "/v1/payment-methods/{id}", tag = "payment methods", operation_id = "remove_card",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`pm_…`")),
    responses(
        (status = 200, description = "It is removed.", body = RemovedCardJson),
        (status = 404, description = "You have no such card.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn remove(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<String>,
) -> Result<Json<RemovedCardJson>, Problem> {
    change(&app, Effects::none().remove_card(customer.id, id.clone(), app.clock.now())).await?;
    let data = cards(&app, customer.id).await?;
    let renewed = app.store.renewed_by_themselves(customer.id).await.map_err(of_store)?;
    let warning = (data.is_empty() && renewed > 0).then(|| {
        format!(
            "No card is left, and {renewed} of your hosting accounts renew by themselves: save another card, or pay each \
             invoice by its page."
        )
    });
    Ok(Json(RemovedCardJson { id, warning, data }))
}

/// Has a saved card charged from now on, at once where something is due.
#[utoipa::path(put, path = "/v1/payment-methods/{id}/default", tag = "payment methods", operation_id = "choose_card",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`pm_…`")),
    responses(
        (status = 200, description = "Your cards.", body = CardsJson),
        (status = 404, description = "You have no such card.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn choose(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<String>,
) -> Result<Json<CardsJson>, Problem> {
    change(&app, Effects::none().choose_card(customer.id, id, app.clock.now())).await?;
    Ok(Json(CardsJson { data: cards(&app, customer.id).await? }))
}

async fn change(app: &App, effects: Effects) -> Result<(), Problem> {
    match app.committer.write(effects).await {
        Ok(()) => Ok(()),
        Err(CommitError::Refused(_)) => Err(Problem::not_found()),
        Err(error) => {
            tracing::error!(error = chain(&error), "a card could not be changed");
            Err(Problem::database_away())
        }
    }
}
