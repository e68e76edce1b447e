//! How a cart is written: read, decided, and compared at the version that was read.

use std::time::Duration;

use berth_jobs::ids::{CartItemId, CustomerId};

use super::{
    super::{
        basket::{self, Trouble, Wanted},
        if_match::{IfMatch, changed},
        orders::of_store,
        problem::Problem,
    },
    ItemChange, NewItem, lines,
    staff::PriceDecision,
};
use crate::{
    app::App,
    domain::{
        coupon::{CouponCode, CouponRefusal},
        money::Currency,
    },
    effects::{CartChange, CartEdit, CustomerContact, Effects, MOST_CART_LINES, MOST_OF_A_LINE, NewAudit},
    error::chain,
    queue::committer::{CommitError, Why},
    store::carts::Cart,
};

/// How often a write is decided anew because another one came first. Whoever names a version is told instead.
const TRIES: u32 = 20;
/// How soon to ask again when everybody writes to one cart.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What somebody wants to become of a cart.
pub(super) enum Wish {
    Add(NewItem),
    Change(CartItemId, ItemChange),
    Remove(CartItemId),
    SetCoupon(CouponCode),
    DropCoupon,
    SetCurrency(Currency),
    Clear,
    /// Staff's.
    Price(PriceDecision),
}

/// What becomes of a cart that was read.
pub(super) struct Step {
    /// Nothing where the cart is as it should be.
    pub(super) edits: Vec<CartEdit>,
    /// What staff is remembered by.
    pub(super) audit: Option<NewAudit>,
}

impl From<Vec<CartEdit>> for Step {
    fn from(edits: Vec<CartEdit>) -> Self {
        Self { edits, audit: None }
    }
}

/// A customer's cart; an empty one at version 0 where they never had one.
pub(super) async fn read(app: &App, customer: CustomerId) -> Result<Cart, Problem> {
    let cart = app.store.cart(customer).await.map_err(of_store)?;
    Ok(cart.unwrap_or_else(|| Cart {
        customer_id: customer,
        version: 0,
        currency: app.currency,
        coupon_code: None,
        updated_at: app.clock.now(),
        lines: Vec::new(),
    }))
}

/// Makes a wish come true, and answers the cart after it.
pub(super) async fn write(
    app: &App,
    customer: CustomerContact,
    if_match: IfMatch,
    wish: &Wish,
) -> Result<Cart, Problem> {
    for _ in 0..TRIES {
        let cart = read(app, customer.id).await?;
        if_match.check(cart.version)?;
        let step = wish.step(app, &cart).await?;
        if step.edits.is_empty() {
            return Ok(cart);
        }
        let change = CartChange {
            customer: customer.clone(),
            version: cart.version,
            currency: cart.currency,
            edits: step.edits,
        };
        let effects = step.audit.into_iter().fold(Effects::none().cart(change), Effects::audit);
        match app.committer.write(effects).await {
            Ok(()) => return read(app, customer.id).await,
            Err(CommitError::Refused(refusal)) if refusal.why == Why::CartChanged => {
                if if_match.0.is_some() {
                    return Err(changed());
                }
            }
            Err(error) => return Err(of_commit(&error)),
        }
    }
    Err(Problem::unavailable(RETRY_AFTER))
}

impl Wish {
    async fn step(&self, app: &App, cart: &Cart) -> Result<Step, Problem> {
        let edits = match self {
            Self::Add(item) => lines::add(app, cart, item).await?,
            Self::Change(id, change) => lines::change(app, cart, *id, change).await?,
            Self::Remove(id) if cart.lines.iter().any(|stored| stored.line.id == *id) => vec![CartEdit::Remove(*id)],
            Self::Remove(_) => Vec::new(),
            Self::SetCoupon(code) => set_coupon(app, cart, code).await?,
            Self::DropCoupon if cart.coupon_code.is_some() => vec![CartEdit::SetCoupon(None)],
            Self::DropCoupon => Vec::new(),
            Self::SetCurrency(currency) if *currency != cart.currency => vec![CartEdit::SetCurrency(*currency)],
            Self::SetCurrency(_) => Vec::new(),
            Self::Clear if cart.coupon_code.is_some() || !cart.lines.is_empty() => vec![CartEdit::Clear],
            Self::Clear => Vec::new(),
            Self::Price(decision) => return decision.step(app, cart),
        };
        Ok(edits.into())
    }
}

/// A coupon that does not hold for the cart as it stands is refused.
async fn set_coupon(app: &App, cart: &Cart, code: &CouponCode) -> Result<Vec<CartEdit>, Problem> {
    let wanted = Wanted {
        currency: cart.currency,
        lines: cart.lines.iter().map(|stored| stored.line.clone()).collect(),
        coupon: Some(code.to_string()),
    };
    let basket = basket::price(app, cart.customer_id, &wanted).await?;
    if basket.coupon.is_none() {
        let refusal = basket.troubles.iter().find(|trouble| trouble.is_of_coupon()).cloned();
        return Err(refusal.unwrap_or_else(|| Trouble::of_coupon(&CouponRefusal::NothingEligible)).problem());
    }
    let known = cart.coupon_code.as_deref() == Some(code.as_str());
    Ok(if known { Vec::new() } else { vec![CartEdit::SetCoupon(Some(code.to_string()))] })
}

/// What effects that did not become true mean to the caller.
pub(in crate::http) fn of_commit(error: &CommitError) -> Problem {
    let CommitError::Refused(refusal) = error else {
        tracing::error!(error = chain(error), "what a request asked for could not be stored");
        return Problem::database_away();
    };
    match refusal.why {
        Why::CartFull => Problem::unprocessable(
            "cart-full",
            format!("A cart holds at most {MOST_CART_LINES} items, each at most {MOST_OF_A_LINE} times."),
        ),
        Why::CustomerDeleted => Problem::customer_deleted(),
        Why::CodeTaken => {
            Problem::conflict("code-taken", "Another coupon has this code: change that one, or take another.")
        }
        Why::LimitBelowUses => Problem::conflict(
            "limit-below-uses",
            "The coupon has been used more often than that already: set a higher limit, or end it.",
        ),
        Why::RowChanged
        | Why::AlreadyThere
        | Why::CartChanged
        | Why::ServerFull
        | Why::CouponUsedUp
        | Why::CouponUsedUpByCustomer
        | Why::CouponEnded
        | Why::CustomerBusy
        | Why::NotEnoughCredit
        | Why::NothingLeft
        | Why::RefundAboveRest
        | Why::Disputed => Problem::conflict("changed-meanwhile", "This has changed meanwhile: read it again."),
    }
}
