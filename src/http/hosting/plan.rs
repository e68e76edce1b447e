//! `POST /v1/hosting/{id}/change`: a customer makes their account another service, for the days that are left of its period.
//!
//! The account must be active and stay so; the other service must be of the same type, pool and billing cycle. What costs
//! more is an order of its own, paid from the credit and then on a page; what costs less is credited once it is made. Either
//! way a job asks the panel, and only its answer makes the change.

mod agreement;
mod terms;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use berth_jobs::ids::{AccountId, OrderId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::super::{
    auth::Authenticated,
    checkout::{contact_of, page},
    problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody},
    segments::Segments,
};
use crate::{
    app::App,
    domain::{order::OrderPhase, proration::Settlement},
};
use agreement::{Agreed, agree};
use terms::Terms;

/// How often something else may change what a change leans on before its customer is told.
const TRIES: u32 = 5;

/// What an account is to become.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePlan {
    /// The catalogue's id.
    #[schema(max_length = 200, example = "vps-monthly")]
    service_id: String,
    /// The options chosen. Without it, those of the account that the other service has too.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    configuration: Option<Map<String, Value>>,
    /// The add-ons. Without it, those of the account that the other service has too.
    #[serde(default)]
    #[schema(max_items = 50)]
    addon_ids: Option<Vec<String>>,
}

/// Whether it is only to be shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChangeQuery {
    /// Only show what it would cost: `?preview`. Nothing is changed.
    #[param(inline)]
    preview: Option<Preview>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
enum Preview {
    #[serde(rename = "", alias = "true")]
    Yes,
    #[serde(rename = "false")]
    No,
}

/// A change of what an account is, and what it costs. Amounts are decimal texts in `currency`.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanChangeJson {
    /// preview; `to_pay`, at `checkout_url`; or changing: the account's status tells when it is done, and so does a mail.
    status: &'static str,
    #[schema(value_type = String)]
    hosting_account_id: AccountId,
    /// What it is.
    from_service_id: String,
    /// What it is to be.
    service_id: String,
    service_name: String,
    plan_name: String,
    /// Every option, as chosen or as taken when nothing was said.
    #[schema(value_type = Object)]
    configuration: Value,
    /// Each with id, name and price.
    #[schema(value_type = Vec<Object>)]
    addons: Value,
    #[schema(example = "USD")]
    currency: &'static str,
    /// The end of what is paid for; a change does not move it.
    #[schema(value_type = String, format = DateTime)]
    period_ends_at: Timestamp,
    /// Whole days left; the day that has begun is used.
    days_left: u32,
    /// What they were worth: never more than was paid for them.
    credit: String,
    /// What they cost from now on.
    cost: String,
    /// pay, credit or even.
    settlement: &'static str,
    /// The difference, tax included: to be paid before the change, or credited once it is made. Credit is not paid out.
    amount: String,
    /// How much of it is paid from the credit.
    from_credit: String,
    /// What is left to be paid on a page.
    due: String,
    /// What each renewal costs from then on, by today's prices and taxes.
    renewal: RenewalCost,
    /// What pays for it, where something is to be paid.
    #[schema(value_type = Option<String>)]
    order_id: Option<OrderId>,
    /// Send the customer here to pay.
    #[schema(format = "uri")]
    checkout_url: Option<String>,
    /// Until when it can be paid.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// What a renewal costs.
#[derive(Debug, Serialize, ToSchema)]
struct RenewalCost {
    subtotal: String,
    tax: String,
    total: String,
}

impl PlanChangeJson {
    fn of(terms: &Terms, status: &'static str) -> Self {
        let proration = &terms.proration;
        let (settlement, amount) = match proration.settlement {
            Settlement::Even => ("even", terms.zero()),
            Settlement::Pay(amount) => ("pay", amount),
            Settlement::Credit(amount) => ("credit", amount),
        };
        let to = &terms.to;
        Self {
            status,
            hosting_account_id: terms.account.state.id,
            from_service_id: terms.account.service_id.clone(),
            service_id: to.service_id.clone(),
            service_name: to.service_name.clone(),
            plan_name: to.plan_name.clone(),
            configuration: to.configuration.clone(),
            addons: to.addons.clone(),
            currency: amount.currency().code(),
            period_ends_at: proration.rest.until,
            days_left: proration.days_left,
            credit: proration.credit.amount_text(),
            cost: proration.cost.amount_text(),
            settlement,
            amount: amount.amount_text(),
            from_credit: terms.from_credit.amount_text(),
            due: terms.due.amount_text(),
            renewal: RenewalCost {
                subtotal: terms.recurring.net.amount_text(),
                tax: terms.recurring.tax.amount_text(),
                total: terms.recurring.total.amount_text(),
            },
            order_id: None,
            checkout_url: None,
            expires_at: None,
        }
    }
}

/// Makes your account another service, or shows what that costs.
///
/// The days left of the period are counted: what they were worth is set off against what they cost from now on. A difference
/// to pay is paid from your credit first, then at `checkout_url`; asked again, it is the same page. A difference in your favour
/// is credited and used by the next renewal. An open renewal is called off when the change begins, and issued anew.
#[utoipa::path(post, path = "/v1/hosting/{id}/change", tag = "hosting", operation_id = "change_hosting",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`"), ChangeQuery),
    request_body = ChangePlan,
    responses(
        (status = 200, description = "With `preview`: what it would cost.", body = PlanChangeJson),
        (status = 201, description = "It is to be paid, or under way.", body = PlanChangeJson),
        (status = 404, description = "You have no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`account-not-changeable`, `account-busy`, `account-ended`, `change-under-way`, \
                                      `renewal-being-charged`, `period-over` or `order-being-paid`: not now; `detail` says \
                                      what to do first.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 422, description = "`change-not-offered`: another type, pool or billing cycle. `nothing-to-change`. \
                                      `total-below-minimum`: the difference is too small to be charged. \
                                      `address-required`, `no-email`, or what is the matter with the service, its options \
                                      or add-ons.",
            body = ProblemJson, content_type = "application/problem+json"),
        RefusesBody,
        Refuses,
    ),
)]
pub async fn change(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<AccountId>,
    query: Result<Query<ChangeQuery>, QueryRejection>,
    ApiJson(request): ApiJson<ChangePlan>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_request(error.body_text()))?;
    let preview = matches!(query.preview, Some(Preview::Yes));
    let contact = contact_of(customer)?;
    for _ in 0..TRIES {
        let terms = terms::read(&app, &contact, id, &request).await?;
        if preview {
            return Ok(Json(PlanChangeJson::of(&terms, "preview")).into_response());
        }
        if let Some(agreed) = agree(&app, &contact, &terms).await? {
            return Ok((StatusCode::CREATED, Json(answer(&app, &terms, agreed).await?)).into_response());
        }
    }
    Err(Problem::conflict("changed-meanwhile", "The account has just been changed: look at it, then decide anew."))
}

async fn answer(app: &App, terms: &Terms, agreed: Agreed) -> Result<PlanChangeJson, Problem> {
    let changing = PlanChangeJson::of(terms, "changing");
    let Agreed::Order(order) = agreed else { return Ok(changing) };
    let (from_credit, due) = (order.credit.amount_text(), order.due().amount_text());
    let (order_id, expires_at) = (Some(order.state.id), Some(order.expires_at));
    let checkout_url = match order.state.phase {
        OrderPhase::Pending => page::open(app, &order).await?,
        OrderPhase::AwaitingPayment
        | OrderPhase::Held
        | OrderPhase::Processing
        | OrderPhase::Completed
        | OrderPhase::Failed
        | OrderPhase::Cancelled
        | OrderPhase::Rejected
        | OrderPhase::Withdrawn => None,
    };
    let status = if checkout_url.is_some() { "to_pay" } else { "changing" };
    Ok(PlanChangeJson { status, from_credit, due, order_id, expires_at, checkout_url, ..changing })
}
