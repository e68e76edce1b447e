//! Purchases with all their papers, committed as routes and handlers do.

use berth::{
    app::App,
    domain::{
        money::{Currency, Money},
        order::OrderEvent,
    },
    effects::{
        CouponAmount, CouponChange, CouponReservation, CouponTerms, CouponUse, Effects, NewAccount, NewOrder,
        NewPayment,
    },
    queue::committer::{CommitError, Why},
};
use berth_jobs::ids::{AccountId, CouponId, OrderId, PaymentId};
use serde_json::json;

use super::{Stack, shop};

pub(crate) fn usd(text: &str) -> Money {
    Money::parse(text, Currency::Usd).unwrap()
}

/// Ten per cent for everybody, for ever.
pub(crate) fn ten_per_cent() -> CouponTerms {
    CouponTerms {
        amount: CouponAmount::Percentage("10".parse().unwrap()),
        starts_at: None,
        ends_at: None,
        max_uses: None,
        max_uses_per_customer: None,
        minimum_spend: Vec::new(),
        services: Vec::new(),
        cycles: None,
        active: true,
    }
}

pub(crate) async fn coupon(app: &App, code: &str, terms: CouponTerms) -> CouponId {
    let id = CouponId::new();
    let create = CouponChange::Create { id, code: code.to_owned(), terms, by: "staff".to_owned() };
    app.committer.write(Effects::none().coupon(create)).await.unwrap();
    id
}

/// An order as the route will make one: with who bought, and by which coupon.
pub(crate) fn order(app: &App, coupon: Option<CouponId>) -> NewOrder {
    let mut order = shop::new_order(app, &[("shared-monthly", 1)]);
    order.terms.customer_snapshot = Some(json!({ "email": order.customer.email, "country": "DE" }));
    order.terms.coupon = coupon.map(|id| (id, "TEN".to_owned()));
    order
}

/// What the route commits for an order.
pub(crate) fn agreeing(order: NewOrder) -> Effects {
    let reservation = order.terms.coupon.as_ref().map(|(coupon_id, _)| CouponReservation {
        coupon_id: *coupon_id,
        order_id: order.id,
        customer_id: order.customer.id,
        amount: order.discount,
    });
    let effects = Effects::new_order(order);
    reservation.into_iter().fold(effects, Effects::reserve_coupon)
}

/// What the handler commits when an order is paid.
pub(crate) async fn paying(app: &App, id: OrderId) -> Effects {
    let order = app.store.order(id).await.unwrap();
    let now = app.clock.now();
    let mut effects = Effects::from(order.state.apply(OrderEvent::Paid).unwrap())
        .payment(NewPayment {
            id: PaymentId::new(),
            order_id: id,
            amount: order.total,
            stripe_session_id: Some(format!("cs_{id}")),
            stripe_payment_intent_id: Some(format!("pi_{id}")),
            created_at: now,
        })
        .settle_coupon(id, CouponUse::Commit);
    if let Some(invoice) = order.invoice(&app.seller, &app.catalogue, now).unwrap() {
        effects = effects.invoice(invoice);
    }
    for item in &order.items {
        effects = effects.account(NewAccount { id: AccountId::new(), order_item_id: item.id, created_at: now });
    }
    if let Some(version) = order.cart_version {
        effects = effects.clear_cart_at(order.customer.id, version);
    }
    effects
}

/// What the handler commits when an order's page has expired.
pub(crate) async fn expiring(app: &App, id: OrderId) -> Effects {
    let order = app.store.order(id).await.unwrap();
    Effects::from(order.state.apply(OrderEvent::Expired).unwrap()).settle_coupon(id, CouponUse::Release)
}

/// Why a write was refused.
pub(crate) fn why(result: Result<(), CommitError>) -> Why {
    match result {
        Err(CommitError::Refused(refusal)) => refusal.why,
        other => panic!("not refused: {other:?}"),
    }
}

/// The rules of the audit that are broken, but for mails: these purchases write none.
pub(crate) async fn broken_rules(pool: &sqlx::PgPool) -> Vec<(&'static str, Vec<String>)> {
    let findings = berth::store::Store::on(pool.clone()).audit().await.unwrap();
    let broken = findings.into_iter().filter(|finding| !finding.rows.is_empty() && !finding.rule.contains("mail"));
    broken.map(|finding| (finding.rule, finding.rows)).collect()
}

impl Stack {
    pub(crate) async fn broken_rules(&self) -> Vec<(&'static str, Vec<String>)> {
        broken_rules(&self.pool).await
    }
}
