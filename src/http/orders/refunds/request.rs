//! What staff wants to go back, and how that becomes a row: once, whatever is asked at the same moment.

use berth_jobs::ids::{OrderId, RefundId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{
    super::{
        super::{auth::Customer, problem::Problem, reason::Reason},
        of_store,
    },
    accounts_of,
};
use crate::{
    app::App,
    domain::{
        account::Ending,
        money::Money,
        order::{Actor, OrderPhase},
    },
    effects::{Effects, Idempotency, NewAudit, NewRefund, RefundedBy},
    ending,
    error::chain,
    queue::committer::{CommitError, Why},
    store::{
        accounts::Account,
        orders::Order,
        payments::Payment,
        refunds::{Refund, Rest},
    },
};

/// How often it is decided anew because an account has moved meanwhile.
const TRIES: u32 = 5;

/// What is to go back, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundRequest {
    /// In the order's currency; all that is left when not given.
    #[serde(default)]
    #[schema(max_length = 30, example = "4.99")]
    amount: Option<String>,
    /// For colleagues: it is written down, and not told to the customer.
    reason: Reason,
    /// Whether what the money was for ends, with a backup, as `POST /v1/hosting/{id}/terminate` does it. Only where all that
    /// is left goes back.
    #[serde(default)]
    terminate: bool,
}

/// A request that can be told from others under its key.
pub(super) struct Asked {
    actor: String,
    amount: Option<String>,
    reason: String,
    terminate: bool,
    idempotency: Option<Idempotency>,
}

impl Asked {
    pub(super) fn of(
        staff: &Customer,
        order: OrderId,
        request: RefundRequest,
        key: Option<String>,
    ) -> Result<Self, Problem> {
        #[derive(Serialize)]
        struct Same<'a>(OrderId, &'a Option<String>, &'a str, bool);
        let reason = String::from(request.reason);
        let same = Same(order, &request.amount, &reason, request.terminate);
        let body = serde_json::to_vec(&same).map_err(|error| Problem::invalid_body(error.to_string()))?;
        let idempotency = key.map(|key| Idempotency { key, request_hash: Sha256::digest(&body).into() });
        Ok(Self {
            actor: staff.id.to_string(),
            amount: request.amount,
            terminate: request.terminate,
            reason,
            idempotency,
        })
    }
}

/// The refund that was asked for, and whether it was asked for before under the same key.
pub(super) async fn answered(app: &App, order: &Order, asked: &Asked) -> Result<(Refund, bool), Problem> {
    for _ in 0..TRIES {
        if let Some(known) = known(app, order, asked).await? {
            return Ok((known, true));
        }
        let payment = payment_of(app, order).await?;
        let rest = app.store.rest_of(payment.id).await.map_err(of_store)?;
        let amount = match amount_of(order, asked, rest) {
            Ok(amount) => amount,
            Err(problem) => return unless_known(app, order, asked, problem).await,
        };
        let id = RefundId::new();
        let effects = effects(app, order, asked, &payment, amount, id).await?;
        match app.committer.write(effects).await {
            Ok(()) => return find(app, order, id).await.map(|refund| (refund, false)),
            // Else an account has moved, or the key was used a moment ago: by what is seen now.
            Err(CommitError::Refused(refusal)) => {
                if let Some(problem) = refused(refusal.why, rest) {
                    return unless_known(app, order, asked, problem).await;
                }
            }
            Err(error) => {
                tracing::error!(id = %order.state.id, error = chain(&error), "a refund could not be stored");
                return Err(Problem::database_away());
            }
        }
    }
    Err(Problem::conflict("changed-meanwhile", "This has changed meanwhile: ask again."))
}

/// Why it cannot be, unless what stands in its way is the same request, which was answered a moment ago.
async fn unless_known(app: &App, order: &Order, asked: &Asked, problem: Problem) -> Result<(Refund, bool), Problem> {
    known(app, order, asked).await?.map(|refund| (refund, true)).ok_or(problem)
}

async fn known(app: &App, order: &Order, asked: &Asked) -> Result<Option<Refund>, Problem> {
    let Some(idempotency) = &asked.idempotency else { return Ok(None) };
    let known = app.store.refund_under_key(&asked.actor, &idempotency.key).await.map_err(of_store)?;
    let Some((id, of_order, hash)) = known else { return Ok(None) };
    if of_order != order.state.id || hash != idempotency.request_hash {
        let detail = "This Idempotency-Key was used for another refund; take a new one.";
        return Err(Problem::unprocessable("idempotency-key-reused", detail));
    }
    find(app, order, id).await.map(Some)
}

async fn find(app: &App, order: &Order, id: RefundId) -> Result<Refund, Problem> {
    let refunds = app.store.refunds_of_order(order.state.id).await.map_err(of_store)?;
    refunds.into_iter().find(|refund| refund.id == id).ok_or_else(Problem::not_found)
}

async fn payment_of(app: &App, order: &Order) -> Result<Payment, Problem> {
    if order.state.phase == OrderPhase::Held {
        let detail = "The order is held: reject it, and all that came for it goes back.";
        return Err(Problem::conflict("order-not-paid", detail));
    }
    let payment = app.store.payment_of(order.state.id).await.map_err(of_store)?;
    let detail = "No money has paid this order: there is nothing to give back.";
    payment.filter(|payment| payment.intent.is_some()).ok_or_else(|| Problem::conflict("order-not-paid", detail))
}

/// The sum, where one was named.
fn amount_of(order: &Order, asked: &Asked, rest: Rest) -> Result<Option<Money>, Problem> {
    let Some(text) = &asked.amount else { return Ok(None) };
    let amount = Money::parse(text, order.total.currency()).ok().filter(|amount| !amount.is_zero());
    let Some(amount) = amount else {
        let detail = format!("`amount` is a sum above zero in {}, such as 4.99.", order.total.currency());
        return Err(Problem::unprocessable("refund-amount-invalid", detail));
    };
    if asked.terminate && amount != rest.amount {
        let detail = "Only where all that is left goes back can what it was for end with it: leave `terminate` out, or \
                      `amount`.";
        return Err(Problem::unprocessable("refund-not-whole", detail).with("rest", rest.amount.amount_text()));
    }
    Ok(Some(amount))
}

async fn effects(
    app: &App,
    order: &Order,
    asked: &Asked,
    payment: &Payment,
    amount: Option<Money>,
    id: RefundId,
) -> Result<Effects, Problem> {
    let audit = NewAudit {
        actor: asked.actor.clone(),
        action: "order.refund",
        subject: order.state.id.to_string(),
        reason: Some(asked.reason.clone()),
        before: None,
        after: Some(json!({
            "refund_id": id.to_string(),
            "amount": amount.map_or_else(|| "rest".to_owned(), |amount| amount.to_string()),
            "terminate": asked.terminate,
        })),
        at: app.clock.now(),
    };
    let by = RefundedBy::Staff { actor: asked.actor.clone(), idempotency: asked.idempotency.clone() };
    let refund = NewRefund { id, payment_id: payment.id, amount, reason: asked.reason.clone(), by };
    let effects = Effects::none().refund(refund).audit(audit);
    if asked.terminate { ending_accounts(app, order, effects).await } else { Ok(effects) }
}

/// Ends the accounts that the money was for, but for those that end already.
async fn ending_accounts(app: &App, order: &Order, effects: Effects) -> Result<Effects, Problem> {
    let mut effects = effects;
    for id in accounts_of(order) {
        let account = app.store.account(id).await.map_err(of_store)?;
        let Some(step) = account.state.end(Ending::Staff) else { continue };
        if account.kept {
            return Err(kept(&account));
        }
        let open = app.store.unsettled_renewals(&[id]).await.map_err(of_store)?;
        effects = ending::call_off(effects.begin(step), &open, Actor::Staff, app.clock.now());
    }
    Ok(effects)
}

fn kept(account: &Account) -> Problem {
    let detail = format!("{} is kept from being removed: set `kept` to false first.", account.state.id);
    Problem::conflict("account-kept", detail)
}

/// Why it cannot be; `None` where it may be, by what is there now.
fn refused(why: Why, rest: Rest) -> Option<Problem> {
    match why {
        Why::Disputed => {
            let detail =
                "The payment is disputed: its bank decides what becomes of it, and a refund would be paid twice.";
            Some(Problem::conflict("refund-disputed", detail))
        }
        Why::NothingLeft => {
            Some(Problem::conflict("refund-nothing-left", "All of the payment has gone back, or is on its way."))
        }
        Why::RefundAboveRest => {
            let detail = format!("Of the payment {} is left.", rest.amount);
            Some(Problem::unprocessable("refund-above-rest", detail).with("rest", rest.amount.amount_text()))
        }
        Why::RowChanged
        | Why::AlreadyThere
        | Why::CartChanged
        | Why::CartFull
        | Why::ServerFull
        | Why::CouponUsedUp
        | Why::CouponUsedUpByCustomer
        | Why::CouponEnded
        | Why::CodeTaken
        | Why::LimitBelowUses
        | Why::NotEnoughCredit
        | Why::CustomerDeleted
        | Why::CustomerBusy => None,
    }
}
