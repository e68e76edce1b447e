//! A page whose opening Berth has not heard of, because Stripe's answer was lost: it is among its customer's newest, and
//! names the order.

use super::session;
use crate::{
    app::Ctx,
    error::JobError,
    gateways::stripe::{CheckoutPaymentStatus, CheckoutSession, CheckoutStatus},
    store::orders::Order,
};

/// The order's page: one that was paid if there is, else one that can be, else the latest. `None` where none was opened.
pub(super) async fn page(ctx: &Ctx, order: &Order) -> Result<Option<CheckoutSession>, JobError> {
    // A page is opened for a customer whom both sides know.
    let Some(customer) = ctx.store.stripe_customer_id(order.customer.id).await? else { return Ok(None) };
    let sessions = ctx.stripe()?.newest_sessions(&customer).await?;
    let of_order = sessions.into_iter().filter(|session| session::order_of(session) == Some(order.state.id));
    Ok(of_order.max_by_key(|session| {
        let is_paid = session.payment_status == Some(CheckoutPaymentStatus::Paid);
        (is_paid, session.status == Some(CheckoutStatus::Open), session::version_of(order, session))
    }))
}
