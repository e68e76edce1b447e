//! A cart as it is shown.

use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use berth_jobs::ids::{CartItemId, CustomerId};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoResponses, ToSchema};

use super::super::{
    basket::{self, Basket, BasketLine, Trouble, Wanted, name_of, price_override},
    if_match::tag,
    problem::{Problem, ProblemJson, TYPE_BASE},
};
use crate::{
    app::App,
    store::carts::{Cart, StoredLine},
};

/// A cart, priced now.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartJson {
    #[schema(value_type = String, format = Uuid)]
    user_id: CustomerId,
    /// Raised by every write; also the `ETag`.
    #[schema(minimum = 0)]
    version: i32,
    /// The currency of all amounts, ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    /// The newest first.
    items: Vec<CartItemJson>,
    /// The sum of what can be sold, before discount and tax. Where prices include tax, it is told without it.
    #[schema(example = "24.98")]
    subtotal: String,
    discount: String,
    tax: String,
    /// What is to be paid: subtotal − discount + tax.
    total: String,
    /// What the invoice will say of the tax, such as that the buyer owes it.
    tax_note: Option<&'static str>,
    coupon: Option<CartCouponJson>,
    /// Everything for which a checkout is refused.
    problems: Vec<CartProblemJson>,
}

/// One item of a cart.
#[derive(Debug, Serialize, ToSchema)]
struct CartItemJson {
    #[schema(value_type = String, example = "cit_01k9z3m6sne5y8r7q2w4x6t8va")]
    id: CartItemId,
    #[schema(example = "shared-monthly")]
    service_id: String,
    /// What the customer reads; the service's id where it is sold no more.
    #[schema(example = "Shared Hosting - Monthly")]
    name: String,
    #[schema(minimum = 1, maximum = 100)]
    quantity: u32,
    /// The price of one account for one cycle, options and add-ons included; null where it cannot be sold.
    unit_price: Option<String>,
    /// What one account costs once.
    setup_fee: Option<String>,
    /// What the item costs now, before discount and tax.
    line_total: Option<String>,
    /// How long the first period costs nothing but the set-up fee; 0 where it is no trial.
    trial_days: u32,
    addon_ids: Vec<String>,
    /// Every option of the service, as chosen or as taken when nothing was said.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    configuration: Value,
    /// The domain of the site; null where it lives beneath the shop's own.
    domain: Option<String>,
    /// The price of one account that staff has given, while it holds.
    price_override: Option<String>,
    /// Until when.
    #[schema(value_type = Option<String>, format = DateTime)]
    price_override_until: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    added_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Why it cannot be bought as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<CartProblemJson>,
}

/// The coupon that a cart is priced with.
#[derive(Debug, Serialize, ToSchema)]
struct CartCouponJson {
    #[schema(example = "WELCOME10")]
    code: String,
    /// What it takes off; nothing where it has stopped to hold, which is then a problem.
    discount: String,
}

/// Why a cart cannot be bought as it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct CartProblemJson {
    /// For programs.
    #[serde(rename = "type")]
    #[schema(format = "uri", example = "https://berth.dev/problems/coupon-expired")]
    kind: String,
    /// For people.
    #[schema(example = "Coupon has expired")]
    detail: String,
    /// The item, where it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    item: Option<CartItemId>,
}

/// What every write to a cart can answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it only describes what the routes answer")]
pub(super) enum CartAnswers {
    /// The cart after it, priced anew.
    #[response(status = 200, headers(("ETag" = String, description = "The version, for `If-Match`.")))]
    Written(CartJson),
    /// A header, the body or a parameter is not what the route takes.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemJson),
    /// customer-deleted: this customer has been deleted, and buys nothing any more.
    #[response(status = 410, content_type = "application/problem+json")]
    Deleted(ProblemJson),
    /// cart-changed: it is not at the version of `If-Match`. Read it again.
    #[response(status = 412, content_type = "application/problem+json")]
    Changed(ProblemJson),
}

/// The cart as it is priced now, with its version as `ETag`.
pub(super) async fn answer(app: &App, cart: &Cart) -> Result<Response, Problem> {
    let wanted = Wanted {
        currency: cart.currency,
        lines: cart.lines.iter().map(|stored| stored.line.clone()).collect(),
        coupon: cart.coupon_code.clone(),
    };
    let basket = basket::price(app, cart.customer_id, &wanted).await?;
    let json = CartJson::of(app, cart, &basket);
    Ok(([(header::ETAG, tag(cart.version))], Json(json)).into_response())
}

impl CartJson {
    fn of(app: &App, cart: &Cart, basket: &Basket) -> Self {
        let quote = &basket.quote;
        let items = cart.lines.iter().zip(&basket.lines);
        Self {
            user_id: cart.customer_id,
            version: cart.version,
            currency: cart.currency.code(),
            items: items.map(|(stored, line)| CartItemJson::of(app, stored, line, basket)).collect(),
            subtotal: quote.subtotal.amount_text(),
            discount: quote.discount.amount_text(),
            tax: quote.tax.amount_text(),
            total: quote.total.amount_text(),
            tax_note: quote.tax_note,
            coupon: cart
                .coupon_code
                .clone()
                .map(|code| CartCouponJson { code, discount: quote.discount.amount_text() }),
            problems: basket.troubles.iter().map(CartProblemJson::of).collect(),
        }
    }
}

impl CartItemJson {
    fn of(app: &App, stored: &StoredLine, wanted: &BasketLine, basket: &Basket) -> Self {
        let line = &stored.line;
        let priced = basket.priced(wanted);
        let given = price_override(line, app.clock.now());
        let trouble = basket.troubles.iter().find(|trouble| trouble.item == Some(line.id));
        Self {
            id: line.id,
            service_id: line.service_id.clone(),
            name: name_of(&app.catalogue, &line.service_id),
            quantity: line.quantity,
            unit_price: priced.map(|priced| priced.unit_price.amount_text()),
            setup_fee: priced.map(|priced| priced.setup_fee.amount_text()),
            line_total: priced.map(|priced| priced.line_total.amount_text()),
            trial_days: priced.map_or(0, |priced| priced.trial_days),
            addon_ids: line.addon_ids.clone(),
            configuration: line.configuration.clone(),
            domain: line.domain.clone(),
            price_override: given.map(|price| price.amount_text()),
            price_override_until: given.and(line.price_override.as_ref()).map(|given| given.until),
            added_at: stored.added_at,
            updated_at: stored.updated_at,
            problem: trouble.map(CartProblemJson::of),
        }
    }
}

impl CartProblemJson {
    fn of(trouble: &Trouble) -> Self {
        Self { kind: format!("{TYPE_BASE}{}", trouble.slug), detail: trouble.detail.clone(), item: trouble.item }
    }
}
