//! The order that stands for a cart already. A cart has one that can be paid: asked for again unchanged it is that one;
//! otherwise its page is closed at Stripe, and it is withdrawn in the commit that makes the next.

use berth_jobs::{
    checkout::{ExpireCheckout, SyncCheckout},
    ids::OrderId,
};
use jiff::Timestamp;

use super::{
    super::{orders::of_store, problem::Problem},
    page::{self, Closed},
};
use crate::{
    app::App,
    domain::order::{OrderEvent, OrderMove, OrderPhase},
    effects::{CouponUse, Effects, Fact, NewOrder, SessionNews, SessionState},
    error::chain,
    store::orders::Order,
};

/// What stands for the cart before the order that is asked for now.
pub(in crate::http) enum Standing {
    /// Nothing that is in its way.
    Nothing,
    /// What is asked for now.
    Same(Box<Order>),
    /// An order of the cart as it is by now: what was read of it is old.
    Newer,
    /// Another order, which can no longer be paid.
    Withdrawn(Withdrawal),
}

/// An order whose pages are closed, to be withdrawn.
pub(in crate::http) struct Withdrawal {
    step: OrderMove,
    has_coupon: bool,
    /// Which of its pages is the present one.
    session_version: i32,
    /// No page of it was known: one may be about to be opened.
    may_open: bool,
    closed: Vec<SessionNews>,
}

impl Withdrawal {
    /// The order, if a page of it may be about to be opened.
    pub(in crate::http) fn may_open(&self) -> Option<OrderId> {
        self.may_open.then(|| self.step.id())
    }

    /// What is true when no other order is made after all: the page of this one is closed, and it needs another. `None`
    /// when none was closed.
    pub(in crate::http) fn without_page(&self) -> Option<Effects> {
        let kept = Effects::none().next_session(self.step.id(), self.session_version);
        (!self.closed.is_empty()).then(|| self.closed.iter().cloned().map(Fact::Session).fold(kept, Effects::fact))
    }

    /// Withdraws the order in the commit that makes another.
    pub(in crate::http) fn onto(self, effects: Effects) -> Effects {
        let id = self.step.id();
        let mut effects = effects.move_order(self.step);
        if self.may_open {
            effects = effects.enqueue(ExpireCheckout { order_id: id });
        }
        if self.has_coupon {
            effects = effects.settle_coupon(id, CouponUse::Release);
        }
        self.closed.into_iter().map(Fact::Session).fold(effects, Effects::fact)
    }
}

/// What stands for the cart at this version.
pub(in crate::http) async fn of_cart(app: &App, version: i32, new: &NewOrder) -> Result<Standing, Problem> {
    let known = app.store.order_of_cart(new.customer.id, version).await.map_err(of_store)?;
    let Some(id) = known else { return Ok(Standing::Nothing) };
    let order = app.store.order(id).await.map_err(of_store)?;
    match order.state.phase {
        OrderPhase::Pending if is_same(&order, new) => Ok(Standing::Same(Box::new(order))),
        OrderPhase::Pending if order.cart_version > Some(version) => Ok(Standing::Newer),
        OrderPhase::Pending => withdraw(app, &order).await,
        OrderPhase::AwaitingPayment | OrderPhase::Held => Ok(Standing::Same(Box::new(order))),
        // It has moved since it was looked for; so has the cart, if it was paid.
        OrderPhase::Processing
        | OrderPhase::Completed
        | OrderPhase::Failed
        | OrderPhase::Cancelled
        | OrderPhase::Rejected
        | OrderPhase::Withdrawn => Ok(Standing::Nothing),
    }
}

/// Whether nothing has changed: neither the cart nor a price, nor who buys.
fn is_same(order: &Order, new: &NewOrder) -> bool {
    let same_units = order.items.len() == new.items.len()
        && order.items.iter().zip(&new.items).all(|(old, new)| {
            (&old.service_id, &old.name, &old.terms) == (&new.service_id, &new.name, &new.terms)
                && (old.price, old.discount, old.tax, old.total) == (new.price, new.discount, new.tax, new.total)
        });
    let terms = &new.terms;
    same_units
        && order.total == new.total
        && (order.cart_version, &order.coupon) == (terms.cart_version, &terms.coupon)
        && (&order.customer_snapshot, &order.tax_note) == (&terms.customer_snapshot, &terms.tax_note)
        && page::can_be_paid(order, new.created_at)
}

/// Closes the order's pages at Stripe, before another one opens. Who has paid on one meanwhile has paid.
pub(in crate::http) async fn withdraw(app: &App, order: &Order) -> Result<Standing, Problem> {
    let Some(step) = order.state.apply(OrderEvent::Replaced) else { return Ok(Standing::Nothing) };
    let mut closed = Vec::new();
    for (session_id, version) in open_pages(app, order).await? {
        match page::close(app, order.state.id, &session_id).await? {
            Closed::Unpaid => closed.push(news(order.state.id, session_id, version, app.clock.now())),
            Closed::Paid => return Err(being_paid(app, order.state.id).await),
        }
    }
    let (has_coupon, may_open) = (order.coupon.is_some(), order.stripe_session_id.is_none());
    let session_version = order.session_version;
    Ok(Standing::Withdrawn(Withdrawal { step, has_coupon, session_version, may_open, closed }))
}

/// Keeps an order whose page was closed for another one that was not made: whoever asks for it again gets another page.
pub(in crate::http) async fn keep_without_page(app: &App, kept: Effects) {
    if let Err(error) = app.committer.write(kept).await {
        // It has been withdrawn by somebody else, or Stripe's event about the page ends it.
        tracing::debug!(error = chain(&error), "an order keeps a page that is closed");
    }
}

/// Closes the page of an order that was opened while the order was withdrawn, before another one opens. Should that fail,
/// the job does it; and what is paid on it goes back.
pub(in crate::http) async fn close_late(app: &App, order: OrderId) {
    let Ok(pages) = app.store.sessions_of(order).await else { return };
    for page in pages.iter().filter(|page| page.state == SessionState::Open) {
        if let Err(problem) = page::close(app, order, &page.id).await {
            tracing::warn!(%order, page = page.id, problem = problem.detail(), "a page is left to be closed by its job");
        }
    }
}

/// The pages that the order may be paid on, each with its version.
async fn open_pages(app: &App, order: &Order) -> Result<Vec<(String, i32)>, Problem> {
    let known = app.store.sessions_of(order.state.id).await.map_err(of_store)?;
    // Before pages had rows of their own, an order only named its own.
    let unlisted = order.stripe_session_id.iter().filter(|id| known.iter().all(|session| session.id != **id));
    let unlisted = unlisted.map(|id| (id.clone(), order.session_version)).collect::<Vec<_>>();
    let open = known.into_iter().filter(|session| session.state == SessionState::Open);
    Ok(open.map(|session| (session.id, session.version)).chain(unlisted).collect())
}

fn news(order_id: OrderId, session_id: String, version: i32, at: Timestamp) -> SessionNews {
    SessionNews { session_id, order_id, version, state: SessionState::Expired, url: None, expires_at: None, at }
}

/// The same goods have been paid just now: no second page is opened for them, and the order is looked at at once.
async fn being_paid(app: &App, order: OrderId) -> Problem {
    if let Err(error) = app.committer.write(Effects::none().enqueue(SyncCheckout { order_id: order })).await {
        // Its event comes all the same.
        tracing::warn!(%order, error = chain(&error), "a paid order could not be looked at at once");
    }
    let detail =
        "The earlier order of this cart has just been paid: look at it, and at the cart, before you buy again.";
    Problem::conflict("order-being-paid", detail).with("order_id", order.to_string())
}
