//! `GET/POST /v1/customers/{customer_id}/credit` and `…/take-back`: staff looks at a customer's credit with all that moved it,
//! grants some out of goodwill, and takes back what was granted and is not used.

mod by_hand;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
    response::Response,
};
use berth_jobs::ids::{AccountId, CreditEntryId, CustomerId, OrderId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    auth::{AuthenticatedStaff, Customer},
    checkout::{created, key_of},
    orders::of_store,
    paging::{Listed, PageQuery},
    problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody, RefusesStaff},
    segments::Segments,
};
use crate::{
    app::App,
    store::{
        credit::{CreditBalance, CreditEntry},
        customers::Profile,
    },
};
pub use by_hand::{GrantRequest, TakeBackRequest};

/// Which movements to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CreditQuery {
    /// How many movements: 1 to 100, 20 when not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The id of the last one of the page before.
    #[param(value_type = Option<String>, pattern = "^cre_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    starting_after: Option<CreditEntryId>,
}

/// A customer's credit, and how it came to be.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditJson {
    #[schema(value_type = String, format = Uuid)]
    user_id: CustomerId,
    /// One a currency in which there ever was any.
    balances: Vec<CreditBalanceJson>,
    /// What moved it. The amounts of a currency sum to its balance.
    entries: Listed<CreditEntryJson>,
}

/// What there is of credit in one currency.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditBalanceJson {
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    #[schema(example = "12.00")]
    balance: String,
    /// What of it was granted and is not used: it is used before the rest, and can be taken back.
    #[schema(example = "5.00")]
    goodwill: String,
}

/// A movement of credit. Nothing of it ever changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditEntryJson {
    #[schema(value_type = String, example = "cre_01k9z3m6sne5y8r7q2w4x6t8va")]
    id: CreditEntryId,
    /// Below zero where it was used or taken back.
    #[schema(example = "-4.99", pattern = r"^-?[0-9]+(\.[0-9]+)?$")]
    amount: String,
    /// How much of the amount is goodwill, with its sign.
    #[schema(example = "-4.99", pattern = r"^-?[0-9]+(\.[0-9]+)?$")]
    goodwill: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    /// used (an order took it), restored (that order was called off), proration (a smaller package, or days that were left),
    /// overpayment (money that came too late for what it was for), granted or `taken_back`.
    #[schema(example = "used")]
    kind: String,
    /// The order that it was used for, or came from.
    #[schema(value_type = Option<String>, example = "ord_01k9z3m6sne5y8r7q2w4x6t8va")]
    order_id: Option<OrderId>,
    /// The number of that order's invoice.
    #[schema(example = "INV-000042")]
    invoice_number: Option<String>,
    /// Of what was restored: the number of the credit note that took the invoice back.
    #[schema(example = "CN-000042")]
    credit_note_number: Option<String>,
    #[schema(value_type = Option<String>, example = "acc_01k9z3m6sne5y8r7q2w4x6t8va")]
    account_id: Option<AccountId>,
    /// The member of staff who granted it or took it back; null for what Berth did.
    actor: Option<String>,
    /// Why they did.
    reason: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// What staff did, and what there is now.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditMovedJson {
    #[serde(flatten)]
    entry: CreditEntryJson,
    /// What the customer has of this currency now.
    now: CreditBalanceJson,
}

/// Shows a customer's credit: how much there is, and what moved it, by whom and why. Staff only.
#[utoipa::path(get, path = "/v1/customers/{customer_id}/credit", tag = "staff", operation_id = "show_credit",
    security(("bearer" = [])),
    params(("customer_id" = String, Path, description = "The customer's `user_id`."), CreditQuery),
    responses(
        (status = 200, description = "The credit.", body = CreditJson),
        (status = 400, description = "A parameter is not what this takes.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such customer.", body = ProblemJson,
            content_type = "application/problem+json"),
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn show(
    AuthenticatedStaff(_staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments(customer): Segments<String>,
    query: Result<Query<CreditQuery>, QueryRejection>,
) -> Result<Json<CreditJson>, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_request(error.body_text()))?;
    let paging = PageQuery::of_limit(query.limit)?;
    let user_id = customer_of(&app, &customer).await?.id;
    let balances = app.store.credit_balances(user_id).await.map_err(of_store)?;
    let entries = app.store.credit_entries(user_id, query.starting_after, paging.fetch()).await.map_err(of_store)?;
    Ok(Json(CreditJson {
        user_id,
        balances: balances.into_iter().map(CreditBalanceJson::from).collect(),
        entries: paging.page(entries.into_iter().map(CreditEntryJson::from).collect()),
    }))
}

/// Gives a customer credit, out of goodwill. Staff only.
///
/// The next renewals and changes of plan are paid from it, before anything else; invoices that are open already are not. It is
/// never paid out. Written down with its reason.
#[utoipa::path(post, path = "/v1/customers/{customer_id}/credit", tag = "staff", operation_id = "grant_credit",
    security(("bearer" = [])),
    params(
        ("customer_id" = String, Path, description = "The customer's `user_id`."),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[ -~]+$",
            description = "Asking again under it answers the same movement, with the header `Idempotent-Replayed: true`."),
    ),
    request_body = GrantRequest,
    responses(
        (status = 201, description = "What was granted, and what there is now.", body = CreditMovedJson),
        (status = 404, description = "There is no such customer.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`changed-meanwhile`: ask again.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "`credit-amount-invalid`; `idempotency-key-reused`.", body = ProblemJson,
            content_type = "application/problem+json"),
        RefusesBody,
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn grant(
    AuthenticatedStaff(staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments(customer): Segments<String>,
    headers: HeaderMap,
    ApiJson(request): ApiJson<GrantRequest>,
) -> Result<Response, Problem> {
    let profile = customer_of(&app, &customer).await?;
    if profile.deleted_at.is_some() {
        return Err(Problem::not_found());
    }
    let asked = by_hand::Asked::to_grant(profile.id, request, key_of(&headers)?)?;
    answer(&app, &staff, &asked).await
}

/// Takes back what was granted by mistake: all of it that is not used, or a part. Staff only.
///
/// What an order has used is spent, and what a customer has paid is theirs: neither is taken. Written down with its reason.
#[utoipa::path(post, path = "/v1/customers/{customer_id}/credit/take-back", tag = "staff",
    operation_id = "take_credit_back", security(("bearer" = [])),
    params(
        ("customer_id" = String, Path, description = "The customer's `user_id`."),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[ -~]+$",
            description = "Asking again under it answers the same movement, with the header `Idempotent-Replayed: true`."),
    ),
    request_body = TakeBackRequest,
    responses(
        (status = 201, description = "What was taken back, and what there is now.", body = CreditMovedJson),
        (status = 404, description = "There is no such customer.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`credit-not-granted`: nothing that was granted is left. `changed-meanwhile`: ask again.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 422, description = "`credit-above-goodwill`: so much that was granted is not left; the member `goodwill` \
                                      says how much is. `credit-amount-invalid`; `idempotency-key-reused`.",
            body = ProblemJson, content_type = "application/problem+json"),
        RefusesBody,
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn take_back(
    AuthenticatedStaff(staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments(customer): Segments<String>,
    headers: HeaderMap,
    ApiJson(request): ApiJson<TakeBackRequest>,
) -> Result<Response, Problem> {
    let customer = customer_of(&app, &customer).await?.id;
    let asked = by_hand::Asked::to_take_back(customer, request, key_of(&headers)?)?;
    answer(&app, &staff, &asked).await
}

/// Who a customer is, also one who was deleted: their money rows stay.
async fn customer_of(app: &App, id: &str) -> Result<Profile, Problem> {
    let id = Uuid::try_parse(id).map(CustomerId).map_err(|_| Problem::not_found())?;
    app.store.profile(id).await.map_err(of_store)?.ok_or_else(Problem::not_found)
}

async fn answer(app: &App, staff: &Customer, asked: &by_hand::Asked) -> Result<Response, Problem> {
    let (entry, replayed) = by_hand::moved(app, staff, asked).await?;
    let now = by_hand::balance(app, asked).await?;
    let answer = CreditMovedJson { entry: entry.into(), now: now.into() };
    Ok(created(answer, replayed))
}

impl From<CreditBalance> for CreditBalanceJson {
    fn from(of: CreditBalance) -> Self {
        Self {
            currency: of.balance.currency().code(),
            balance: of.balance.amount_text(),
            goodwill: of.goodwill.amount_text(),
        }
    }
}

impl From<CreditEntry> for CreditEntryJson {
    fn from(entry: CreditEntry) -> Self {
        let signed =
            |text: String, is_nothing: bool| if entry.takes && !is_nothing { format!("-{text}") } else { text };
        Self {
            id: entry.id,
            amount: signed(entry.amount.amount_text(), entry.amount.is_zero()),
            goodwill: signed(entry.goodwill.amount_text(), entry.goodwill.is_zero()),
            currency: entry.amount.currency().code(),
            kind: entry.kind,
            order_id: entry.order_id,
            invoice_number: entry.invoice,
            credit_note_number: entry.credit_note,
            account_id: entry.account_id,
            actor: entry.actor,
            reason: entry.reason,
            at: entry.at,
        }
    }
}
