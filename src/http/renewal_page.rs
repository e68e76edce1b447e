//! The page on which an open renewal is paid: the one that was opened, or another one in its place. While its card is being
//! charged there is none, so that it is not paid twice.

use berth_jobs::{
    checkout::SyncCheckout,
    ids::OrderId,
    renewals::{ChargeRenewal, ResolveCharge},
};
use jiff::{SignedDuration, Timestamp};

use super::{
    checkout::page::{self, Closed},
    orders::of_store,
    problem::Problem,
};
use crate::{
    app::App,
    domain::{order::OrderPhase, renewal::RenewalPhase},
    effects::{Effects, Fact, SessionNews, SessionState},
    queue::committer::CommitError,
    store::{checkout_sessions::StoredSession, orders::Order, renewals::Renewal},
};

/// How often something else may change the renewal before whoever asks is told to ask again.
const MOST_TRIES: u32 = 4;
/// A page that closes sooner is not told any more: nobody types a card's number that fast.
const SHORTEST_STAY: SignedDuration = SignedDuration::from_mins(5);

/// Where it is paid, or why it cannot be.
pub(super) enum RenewalPage {
    /// At this address.
    Open {
        /// Stripe's page.
        url: String,
        /// Until when.
        expires_at: Option<Timestamp>,
    },
    /// Nowhere: it is paid, or its payment is being told of.
    Paid,
    /// Nowhere: it was called off.
    CalledOff,
    /// Nowhere just now: its card is being charged.
    Charging,
}

/// Finds or opens the page.
pub(super) async fn of(app: &App, order_id: OrderId) -> Result<RenewalPage, Problem> {
    for _ in 0..MOST_TRIES {
        let order = app.store.order(order_id).await.map_err(of_store)?;
        let renewal = app.store.renewal(order_id).await.map_err(of_store)?;
        if let Some(none) = without_page(app, &order, &renewal).await? {
            return Ok(none);
        }
        let known = app.store.sessions_of(order_id).await.map_err(of_store)?;
        let current = known.into_iter().find(|it| order.stripe_session_id.as_ref() == Some(&it.id));
        if let Some(stale) = current.as_ref().filter(|it| is_stale(it, app.clock.now())) {
            if end(app, &order, stale).await? {
                continue;
            }
            tell(app, Effects::none().enqueue(SyncCheckout { order_id })).await?;
            return Ok(RenewalPage::Paid);
        }
        if let Some(open) = open(app, &order, current).await? {
            return Ok(open);
        }
    }
    Err(page::kept(order_id))
}

/// Why there is no page for it, if so.
async fn without_page(app: &App, order: &Order, renewal: &Renewal) -> Result<Option<RenewalPage>, Problem> {
    let order_id = order.state.id;
    Ok(Some(match renewal.state.phase {
        RenewalPhase::Paid => RenewalPage::Paid,
        RenewalPhase::Void | RenewalPhase::Abandoned | RenewalPhase::Returned => RenewalPage::CalledOff,
        RenewalPhase::Charging => RenewalPage::Charging,
        RenewalPhase::InDoubt => {
            // Somebody waits for the outcome.
            tell(app, Effects::none().enqueue(ResolveCharge { order_id })).await?;
            RenewalPage::Charging
        }
        RenewalPhase::Invoiced | RenewalPhase::AwaitingCustomer | RenewalPhase::PastDue => match order.state.phase {
            OrderPhase::Pending if order.due().is_zero() => {
                tell(app, Effects::none().enqueue(ChargeRenewal { order_id })).await?;
                RenewalPage::Paid
            }
            OrderPhase::Pending => return Ok(None),
            OrderPhase::AwaitingPayment | OrderPhase::Held | OrderPhase::Processing | OrderPhase::Completed => {
                RenewalPage::Paid
            }
            OrderPhase::Failed | OrderPhase::Cancelled | OrderPhase::Rejected | OrderPhase::Withdrawn => {
                RenewalPage::CalledOff
            }
        },
    }))
}

/// Whether it has ended, or is about to.
fn is_stale(session: &StoredSession, now: Timestamp) -> bool {
    let ends = session.expires_at.is_some_and(|at| at.duration_since(now) < SHORTEST_STAY);
    session.state != SessionState::Open || ends
}

/// Makes sure that nobody can pay on it any more, and makes room for the next one; false when somebody has paid.
async fn end(app: &App, order: &Order, session: &StoredSession) -> Result<bool, Problem> {
    let order_id = order.state.id;
    match session.state {
        SessionState::Paid => return Ok(false),
        SessionState::Open => match page::close(app, order_id, &session.id).await? {
            Closed::Paid => return Ok(false),
            Closed::Unpaid => {
                let news = SessionNews {
                    session_id: session.id.clone(),
                    order_id,
                    version: session.version,
                    state: SessionState::Expired,
                    url: session.url.clone(),
                    expires_at: session.expires_at,
                    at: app.clock.now(),
                };
                tell(app, Fact::Session(news).into()).await?;
            }
        },
        SessionState::Expired => {}
    }
    match app.committer.write(Effects::none().next_session(order_id, order.session_version)).await {
        // Somebody else has made room.
        Ok(()) | Err(CommitError::Refused(_)) => Ok(true),
        Err(_) => Err(page::kept(order_id)),
    }
}

/// The page at its address; `None` when the order was changed meanwhile. Its address is told only once it is stored and
/// nothing charges the card: who begins to charge looks for pages after saying so, and closes them.
async fn open(app: &App, order: &Order, current: Option<StoredSession>) -> Result<Option<RenewalPage>, Problem> {
    let order_id = order.state.id;
    let url = match page::open(app, order).await {
        Ok(Some(url)) => url,
        Ok(None) => return Ok(None),
        Err(problem) if problem.slug() == "checkout-replaced" => return Ok(Some(RenewalPage::CalledOff)),
        Err(problem) => return Err(problem),
    };
    let renewal = app.store.renewal(order_id).await.map_err(of_store)?;
    if !renewal.state.phase.is_charging() {
        let expires_at = match current {
            Some(session) => session.expires_at,
            None => opened(app, order_id, &url).await?.and_then(|session| session.expires_at),
        };
        return Ok(Some(RenewalPage::Open { url, expires_at }));
    }
    if let Some(session) = opened(app, order_id, &url).await? {
        page::close(app, order_id, &session.id).await?;
    }
    Ok(Some(RenewalPage::Charging))
}

async fn opened(app: &App, order: OrderId, url: &str) -> Result<Option<StoredSession>, Problem> {
    let known = app.store.sessions_of(order).await.map_err(of_store)?;
    Ok(known.into_iter().find(|session| session.url.as_deref() == Some(url)))
}

async fn tell(app: &App, effects: Effects) -> Result<(), Problem> {
    app.committer.write(effects).await.map_err(|_| Problem::database_away())
}
