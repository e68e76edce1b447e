//! `POST /v1/hosting/{id}/renew`: where the account's open renewal is paid.

use axum::{Json, extract::State};
use berth_jobs::ids::{AccountId, OrderId};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{
    auth::Authenticated,
    orders::{may_see, of_store},
    problem::{Problem, ProblemJson, Refuses},
    renewal_page::{self, RenewalPage},
    segments::Segments,
};
use crate::{app::App, store::renewals::Renewal};

/// A renewal, and where it is paid.
#[derive(Debug, Serialize, ToSchema)]
pub struct RenewalJson {
    /// The renewal's order.
    #[schema(value_type = String, example = "ord_01k9z3m6sne5y8r7q2w4x6t8va")]
    order_id: OrderId,
    /// Send the customer here.
    #[schema(format = "uri")]
    checkout_url: String,
    /// What is to be paid there: the total without what the credit pays.
    #[schema(example = "4.99")]
    amount_due: String,
    /// What the renewal costs.
    #[schema(example = "4.99")]
    total: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: String,
    /// The period that is paid for.
    #[schema(value_type = String, format = DateTime)]
    period_start: Timestamp,
    /// Until when the account is paid for by it.
    #[schema(value_type = String, format = DateTime)]
    period_end: Timestamp,
    /// Until when the page can be used; ask again for another one.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Opens, or finds, the page on which the account's renewal is paid.
///
/// The renewal must have been invoiced. Asking again answers the same page while it is open.
#[utoipa::path(post, path = "/v1/hosting/{id}/renew", tag = "hosting", operation_id = "renew_hosting",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`")),
    responses(
        (status = 200, description = "The renewal, and where it is paid.", body = RenewalJson),
        (status = 404, description = "You have no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`nothing-to-renew`: no renewal is open. `renewal-being-charged`: its card is being \
                                      charged just now. `renewal-paid`: its payment has just come.",
            body = ProblemJson, content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn renew(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<AccountId>,
) -> Result<Json<RenewalJson>, Problem> {
    let account = app.store.account(id).await.map_err(of_store)?;
    if !may_see(&customer, account.customer.id) {
        return Err(Problem::not_found());
    }
    let open = app.store.open_renewals(id).await.map_err(of_store)?;
    let Some(renewal) = open.into_iter().find(|renewal| !renewal.state.called_off) else {
        let detail = "No renewal of this account is open: it is paid for, or is to end. It is invoiced some days before \
                      what is paid for ends.";
        return Err(Problem::conflict("nothing-to-renew", detail));
    };
    shown(&app, &renewal).await.map(Json)
}

async fn shown(app: &App, renewal: &Renewal) -> Result<RenewalJson, Problem> {
    let order_id = renewal.state.order_id;
    let (checkout_url, expires_at) = match renewal_page::of(app, order_id).await? {
        RenewalPage::Open { url, expires_at } => (url, expires_at),
        RenewalPage::Charging => {
            let detail = "The saved card is being charged for it just now. Look at the account again in some minutes.";
            return Err(Problem::conflict("renewal-being-charged", detail).with("order_id", order_id.to_string()));
        }
        RenewalPage::Paid => {
            let detail = "The renewal has just been paid. Look at the account again.";
            return Err(Problem::conflict("renewal-paid", detail).with("order_id", order_id.to_string()));
        }
        RenewalPage::CalledOff => {
            return Err(Problem::conflict("nothing-to-renew", "The renewal has just been called off."));
        }
    };
    let order = app.store.order(order_id).await.map_err(of_store)?;
    Ok(RenewalJson {
        order_id,
        checkout_url,
        amount_due: order.due().amount_text(),
        total: order.total.amount_text(),
        currency: order.total.currency().code().to_owned(),
        period_start: renewal.period_start,
        period_end: renewal.period_end,
        expires_at,
    })
}
