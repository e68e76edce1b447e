//! The order as it is agreed: a snapshot of prices, terms and who buys, one item a unit.

use berth_jobs::ids::{OrderId, OrderItemId};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{super::basket::Basket, agreement::Asked};
use crate::{
    domain::{
        catalogue::RenewalPrice,
        invoice::Buyer,
        pricing::{QuotedLine, QuotedUnit},
    },
    effects::{CustomerContact, ItemTerms, NewOrder, NewOrderItem, OrderTerms},
};

/// How long an order can be paid. Stripe's limit is 24 hours from when it hears of the session.
const PAYABLE: SignedDuration = SignedDuration::from_mins(24 * 60 - 5);
/// How long an order can be paid whose coupon is for few: what it holds is soon free again. Stripe's shortest is half an
/// hour; the rest is for asking again when Stripe is away.
const PAYABLE_WHEN_SCARCE: SignedDuration = SignedDuration::from_mins(45);

/// The order that the basket becomes.
pub(super) fn new_order(now: Timestamp, asked: &Asked, cart_version: Option<i32>, basket: &Basket) -> NewOrder {
    // As the database keeps it, so that an answer reads the same before and after.
    let now = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
    let quote = &basket.quote;
    let buyer = buyer(asked, basket);
    let items = quote.units.iter().filter_map(|unit| {
        let line = quote.lines.get(unit.line)?;
        let domain = basket.wanted(unit.line).and_then(|line| line.domain.clone());
        Some(item(unit, line, domain))
    });
    let is_scarce = basket.coupon.as_ref().is_some_and(|applied| applied.coupon.terms.max_uses.is_some());
    let payable = if is_scarce { PAYABLE_WHEN_SCARCE } else { PAYABLE };
    let idempotency = asked.idempotency();
    NewOrder {
        id: OrderId::new(),
        customer: CustomerContact { name: buyer.name.clone(), ..asked.contact.clone() },
        subtotal: quote.subtotal,
        discount: quote.discount,
        tax: quote.tax,
        total: quote.total,
        created_at: now,
        expires_at: now.checked_add(payable).unwrap_or(now),
        terms: OrderTerms {
            coupon: basket.coupon.as_ref().map(|applied| (applied.coupon.id, applied.coupon.code.clone())),
            cart_version,
            customer_snapshot: Some(json!(buyer)),
            tax_note: quote.tax_note.map(str::to_owned),
            client_ip: asked.client_ip,
            request_hash: idempotency.is_none().then_some(asked.request_hash),
            ..OrderTerms::default()
        },
        idempotency,
        items: items.collect(),
    }
}

/// Who buys: the profile, reached at the token's address.
fn buyer(asked: &Asked, basket: &Basket) -> Buyer {
    let known = basket.profile.as_ref().map(|profile| profile.buyer()).unwrap_or_default();
    Buyer { email: asked.contact.email.clone(), name: known.name.or_else(|| asked.contact.name.clone()), ..known }
}

fn item(unit: &QuotedUnit, line: &QuotedLine, domain: Option<String>) -> NewOrderItem {
    let service = &line.service;
    NewOrderItem {
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
        terms: ItemTerms {
            setup_fee: unit.setup_fee.amount(),
            tax_rate: line.tax_rate,
            tax_category: Some(service.tax_category().to_owned()),
            configuration: json!(line.configuration),
            addons: addons(line),
            domain,
            trial_days: line.trial_days,
            renewal_price: match service.renewal_price() {
                RenewalPrice::Locked => Some(line.unit_price.amount()),
                RenewalPrice::Catalogue => None,
            },
        },
    }
}

fn addons(line: &QuotedLine) -> Value {
    let addon = |addon: &crate::domain::pricing::QuotedAddon| json!({ "id": addon.id, "name": addon.name, "price": addon.price.amount_text() });
    line.addons.iter().map(addon).collect()
}
