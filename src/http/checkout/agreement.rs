//! From what is asked to an order that is agreed: one commit, or the order that was agreed before.

use std::net::IpAddr;

use super::{
    super::{
        basket::{self, Basket, Wanted},
        orders::of_store,
        problem::Problem,
    },
    RETRY_AFTER, idempotency, order, page,
    request::CheckoutRequest,
    standing::{self, Standing},
};
use crate::{
    app::App,
    domain::coupon::CouponRefusal,
    effects::{CouponReservation, CustomerContact, Effects, Guard, Idempotency, NewOrder},
    error::chain,
    failpoint,
    fulfilment::{self, PaidBy},
    queue::committer::{CommitError, Refusal, Why},
    store::orders::Order,
};

/// How often somebody else may change what an order leans on before the customer is told.
const MOST_TRIES: u32 = 5;

/// A checkout as it was asked.
pub(super) struct Asked {
    pub(super) contact: CustomerContact,
    pub(super) request: CheckoutRequest,
    pub(super) key: Option<String>,
    pub(super) request_hash: [u8; 32],
    pub(super) client_ip: Option<IpAddr>,
}

impl Asked {
    /// The caller's own key, and what it was used for.
    pub(super) fn idempotency(&self) -> Option<Idempotency> {
        Some(Idempotency { key: self.key.clone()?, request_hash: self.request_hash })
    }
}

/// An order that is agreed.
pub(super) struct Agreed {
    pub(super) order: Order,
    /// Whether it was made under the same key before.
    pub(super) replayed: bool,
}

/// The order that was asked for, made now or before.
pub(super) async fn agree(app: &App, asked: &Asked) -> Result<Agreed, Problem> {
    let idempotency = asked.idempotency();
    for _ in 0..MOST_TRIES {
        if let Some(idempotency) = &idempotency
            && let Some(order) = idempotency::known(app, asked.contact.id, idempotency).await?
        {
            return Ok(Agreed { order, replayed: true });
        }
        if let Some(order) = attempt(app, asked).await? {
            return Ok(Agreed { order, replayed: false });
        }
    }
    Err(cart_changed())
}

fn cart_changed() -> Problem {
    Problem::conflict("cart-changed", "The cart has changed since it was read: look at it again, then check it out.")
}

/// Agrees an order; `None` when something that it leans on has changed meanwhile.
async fn attempt(app: &App, asked: &Asked) -> Result<Option<Order>, Problem> {
    let (wanted, cart_version) = wanted(app, asked).await?;
    let basket = basket::price(app, asked.contact.id, &wanted).await?;
    refuse(app, &basket)?;
    let new = order::new_order(app.clock.now(), asked, cart_version, &basket);
    let mut withdrawal = None;
    match cart_version {
        Some(version) => match standing::of_cart(app, version, &new).await? {
            Standing::Nothing => {}
            Standing::Same(order) => return Ok(Some(*order)),
            Standing::Newer => return Ok(None),
            Standing::Withdrawn(earlier) => withdrawal = Some(earlier),
        },
        None if asked.key.is_none() => {
            if let Some(order) = unopened(app, asked).await? {
                return Ok(Some(order));
            }
        }
        None => {}
    }
    let mut effects = effects_of(app, &new, &basket)?;
    if let Some(version) = cart_version {
        effects = effects.guard(Guard::Cart(asked.contact.id, version));
    }
    let (mut late, mut kept) = (None, None);
    if let Some(earlier) = withdrawal {
        (late, kept) = (earlier.may_open(), earlier.without_page());
        effects = earlier.onto(effects);
    }
    let agreed = commit(app, new, effects).await;
    match (&agreed, late, kept) {
        (Ok(Some(_)), Some(earlier), _) => standing::close_late(app, earlier).await,
        (Ok(None) | Err(_), _, Some(kept)) => standing::keep_without_page(app, kept).await,
        (Ok(_) | Err(_), _, _) => {}
    }
    agreed
}

/// What is to be bought, and which version of the cart that is.
async fn wanted(app: &App, asked: &Asked) -> Result<(Wanted, Option<i32>), Problem> {
    let request = &asked.request;
    let (currency, coupon) = (request.currency()?, request.coupon());
    if let Some(lines) = request.lines() {
        return Ok((Wanted { currency: currency.unwrap_or(app.currency), lines, coupon }, None));
    }
    let cart = app.store.cart(asked.contact.id).await.map_err(of_store)?;
    let version = cart.as_ref().map_or(0, |cart| cart.version);
    if request.cart_version.is_some_and(|seen| seen != version) {
        return Err(cart_changed().with("cart_version", version));
    }
    let Some(cart) = cart.filter(|cart| !cart.lines.is_empty()) else {
        return Err(Problem::unprocessable("cart-empty", "There is nothing in the cart."));
    };
    let wanted = Wanted {
        currency: currency.unwrap_or(cart.currency),
        lines: cart.lines.into_iter().map(|line| line.line).collect(),
        coupon: coupon.or(cart.coupon_code),
    };
    Ok((wanted, Some(version)))
}

/// Refuses what cannot be sold as it stands.
fn refuse(app: &App, basket: &Basket) -> Result<(), Problem> {
    if let Some(refusal) = basket.refusal() {
        return Err(refusal);
    }
    if app.tax.need_address() && basket.address.is_none() {
        let detail = "Say in which country you live (PUT /v1/me): the tax depends on it.";
        return Err(Problem::unprocessable("address-required", detail));
    }
    Ok(())
}

/// An order that such a request without a key has made, and for which no page could be opened.
async fn unopened(app: &App, asked: &Asked) -> Result<Option<Order>, Problem> {
    let known = app.store.unopened_order(asked.contact.id, &asked.request_hash).await.map_err(of_store)?;
    let Some(id) = known else { return Ok(None) };
    let order = app.store.order(id).await.map_err(of_store)?;
    Ok(Some(order).filter(|order| page::can_be_paid(order, app.clock.now())))
}

/// Everything that the order brings about. One that nothing is due for is paid in the same commit.
fn effects_of(app: &App, new: &NewOrder, basket: &Basket) -> Result<Effects, Problem> {
    let effects = if new.total.is_zero() {
        fulfilment::paid(app, new.created_at, &Order::from(new), PaidBy::default()).map_err(of_store)?
    } else {
        Effects::none()
    };
    let effects = effects.agree(new.clone());
    Ok(match &basket.coupon {
        Some(applied) => effects.reserve_coupon(CouponReservation {
            coupon_id: applied.coupon.id,
            order_id: new.id,
            customer_id: new.customer.id,
            amount: new.discount,
        }),
        None => effects,
    })
}

async fn commit(app: &App, new: NewOrder, effects: Effects) -> Result<Option<Order>, Problem> {
    let mut order = Order::from(&new);
    // One that nothing is due for does not stay pending.
    if let Some(step) = effects.order_moves.iter().find(|step| step.id() == new.id) {
        order.state.phase = step.to();
        order.state.version = step.version().saturating_add(1);
    }
    match app.committer.write(effects).await {
        Ok(()) => {
            failpoint::hit("checkout.agreed");
            Ok(Some(order))
        }
        Err(CommitError::Refused(refusal)) => of_refusal(&refusal),
        Err(error) => {
            tracing::error!(customer = %new.customer.id, error = chain(&error), "an order could not be stored");
            let detail = "Whether the order was made is not known. Wait as long as `Retry-After` says, then send the same \
                          request again.";
            Err(Problem::unavailable(RETRY_AFTER).with_detail(detail))
        }
    }
}

/// What a refusal means: look again, or tell the customer.
fn of_refusal(refusal: &Refusal) -> Result<Option<Order>, Problem> {
    match refusal.why {
        Why::RowChanged | Why::AlreadyThere | Why::CartChanged | Why::CouponEnded => Ok(None),
        Why::CouponUsedUp | Why::CouponUsedUpByCustomer => {
            Err(Problem::unprocessable("coupon-used-up", CouponRefusal::UsedUp.to_string()))
        }
        Why::CustomerDeleted => Err(Problem::customer_deleted()),
        Why::CartFull
        | Why::ServerFull
        | Why::CodeTaken
        | Why::LimitBelowUses
        | Why::CustomerBusy
        | Why::NotEnoughCredit
        | Why::NothingLeft
        | Why::RefundAboveRest
        | Why::Disputed => Err(page::internal(refusal)),
    }
}
