//! `POST /v1/hosting/{id}/renew`: where the account's renewal is paid. Who asks before it was invoiced has it invoiced now.

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
use crate::{
    app::App,
    domain::{account::AccountPhase, period},
    effects::Guard,
    error::chain,
    issuing::{Issuer, Links, Renewable},
    queue::committer::CommitError,
    store::{agenda::AgendaEntry, renewals::OpenRenewal},
};

/// How often something else may change the account before whoever asks is told to ask again.
const MOST_TRIES: u32 = 4;

/// A renewal, and where it is paid.
#[derive(Debug, Serialize, ToSchema)]
pub struct RenewalJson {
    /// The renewal's order.
    #[schema(value_type = String, example = "ord_01k9z3m6sne5y8r7q2w4x6t8va")]
    order_id: OrderId,
    /// Send the customer here; null where the credit pays all.
    #[schema(format = "uri")]
    checkout_url: Option<String>,
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
/// A renewal that was not invoiced yet is invoiced by it: one period beyond the running one can be paid for ahead. Asking
/// again answers the same page while it is open.
#[utoipa::path(post, path = "/v1/hosting/{id}/renew", tag = "hosting", operation_id = "renew_hosting",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`")),
    responses(
        (status = 200, description = "The renewal, and where it is paid.", body = RenewalJson),
        (status = 404, description = "You have no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`nothing-to-renew`: the account ends, or is paid for ahead; `detail` says so. \
                                      `changed-meanwhile`: ask again. `renewal-being-charged`: its card is being charged \
                                      just now. `renewal-paid`: its payment has just come.",
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
    let renewal = open_renewal(&app, id).await?;
    shown(&app, &renewal).await.map(Json)
}

/// The account's renewal that can be paid: the one that was issued, or one that is issued now.
async fn open_renewal(app: &App, account: AccountId) -> Result<OpenRenewal, Problem> {
    for _ in 0..MOST_TRIES {
        let open = app.store.unsettled_renewals(&[account]).await.map_err(of_store)?;
        if let Some(renewal) = open.into_iter().find(|renewal| !renewal.state.called_off) {
            return Ok(renewal);
        }
        let entry = app.store.agenda_entry(account).await.map_err(of_store)?;
        let entry = entry.ok_or_else(|| {
            Problem::conflict("nothing-to-renew", "The account is not active yet: wait for its welcome.")
        })?;
        if let Some(why) = not_now(&entry, app.clock.now()) {
            return Err(Problem::conflict("nothing-to-renew", why));
        }
        issue(app, &entry).await?;
    }
    Err(Problem::conflict("changed-meanwhile", "The account is being changed by somebody else: ask again."))
}

/// Why the next period cannot be paid for yet, or at all.
fn not_now(entry: &AgendaEntry, now: Timestamp) -> Option<&'static str> {
    let facts = &entry.facts;
    if facts.standing.ending.is_some() || facts.standing.cancel_at.is_some() {
        return Some("The account is to end. Take its cancellation back before you renew it.");
    }
    if facts.frozen || facts.standing.held_by_more() {
        return Some("The account is held by more than a payment: write to support.");
    }
    let lives = matches!(facts.phase, AccountPhase::Active | AccountPhase::Grace | AccountPhase::Suspended);
    if !lives {
        return Some("The account is being changed, or has ended. Look at it again in a minute.");
    }
    let furthest = period::after_cycles(now, facts.cycle, 1).unwrap_or(Timestamp::MAX);
    (facts.due_at > furthest)
        .then_some("One period beyond the running one is paid for already: renew it when that has begun.")
}

/// Issues the renewal of the next period; nothing when somebody else was faster.
async fn issue(app: &App, entry: &AgendaEntry) -> Result<(), Problem> {
    let account = entry.state.id;
    let (ids, customers) = ([account], [entry.customer.id]);
    let (mut terms, balances) =
        tokio::try_join!(app.store.renewal_terms(&ids), app.store.credit_of(&customers)).map_err(of_store)?;
    let terms = terms.remove(&account).ok_or_else(Problem::not_found)?;
    let coupon = match &terms.coupon {
        Some((id, _)) => Some(app.store.coupon(*id).await.and_then(|stored| stored.coupon()).map_err(of_store)?),
        None => None,
    };
    let balance = balances.into_iter().map(|(_, balance)| balance).find(|it| it.currency() == terms.currency);
    let issuer = Issuer {
        catalogue: &app.catalogue,
        tax: &app.tax,
        seller: &app.seller,
        links: Links {
            shop_url: &app.shop.url,
            public_url: app.config.http.public_url.as_str(),
            keys: app.secrets.as_ref(),
        },
        now: app.clock.now(),
    };
    let what = Renewable { account: entry, terms: &terms, coupon: coupon.as_ref(), balance, charged_at: None };
    let issued = issuer.issue(what).map_err(|error| {
        let request = uuid::Uuid::now_v7().to_string();
        tracing::error!(%account, error = chain(&error), request, "a renewal cannot be issued");
        Problem::internal(request)
    })?;
    match app.committer.write(issued.effects.guard(Guard::Account(account, entry.state.version))).await {
        Ok(()) | Err(CommitError::Refused(_)) => Ok(()),
        Err(error) => {
            tracing::error!(%account, error = chain(&error), "a renewal could not be issued");
            Err(Problem::database_away())
        }
    }
}

async fn shown(app: &App, renewal: &OpenRenewal) -> Result<RenewalJson, Problem> {
    let order_id = renewal.state.order_id;
    let order = app.store.order(order_id).await.map_err(of_store)?;
    let (checkout_url, expires_at) = match renewal_page::of(app, order_id).await? {
        RenewalPage::Open { url, expires_at } => (Some(url), expires_at),
        RenewalPage::Paid if order.due().is_zero() => (None, None),
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
