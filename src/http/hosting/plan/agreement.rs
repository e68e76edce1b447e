//! From terms to a change that is agreed: one commit, or the change that was agreed before.

use berth_jobs::{
    hosting::ChangePackage,
    ids::{OrderId, OrderItemId, PlanChangeId},
};
use jiff::SignedDuration;
use serde_json::json;

use super::{
    super::super::{
        checkout::{
            RETRY_AFTER,
            page::{can_be_paid, internal},
            standing::{self, Standing, Withdrawal},
        },
        problem::Problem,
    },
    terms::{Terms, under_way},
};
use crate::{
    app::App,
    domain::{money::Money, order::OrderPhase, pricing::Recurring},
    effects::{
        CreditFor, CreditKind, CustomerContact, Effects, Guard, ItemTerms, NewOrder, NewOrderItem, NewPlanChange,
        OrderTerms,
    },
    error::chain,
    failpoint,
    fulfilment::{self, PaidBy},
    queue::committer::{CommitError, Refusal, Why},
    store::{orders::Order, plan_changes::PlanChange},
};

/// How long a change can be paid: the days left, and so what it costs, go by. Stripe's shortest page stays half an hour.
const PAYABLE: SignedDuration = SignedDuration::from_mins(60);

/// A change that is agreed.
pub(super) enum Agreed {
    /// Nothing is to be paid: it is under way.
    Free,
    /// This pays for it, or has paid.
    Order(Box<Order>),
}

/// Agrees a change, now or as it was before; `None` when something that it leans on has changed meanwhile.
pub(super) async fn agree(app: &App, contact: &CustomerContact, terms: &Terms) -> Result<Option<Agreed>, Problem> {
    let mut earlier = None;
    match &terms.open {
        None => {}
        Some((change, None)) if is_same(change, terms) => return Ok(Some(Agreed::Free)),
        Some((_, None)) => return Err(under_way()),
        Some((change, Some(order))) => match order.state.phase {
            OrderPhase::Pending if is_same(change, terms) && can_be_paid(order, terms.now) => {
                return Ok(Some(Agreed::Order(Box::new(order.clone()))));
            }
            OrderPhase::Pending => earlier = Some((order, withdraw(app, order).await?)),
            OrderPhase::AwaitingPayment
            | OrderPhase::Held
            | OrderPhase::Processing
            | OrderPhase::Completed
            | OrderPhase::Failed
            | OrderPhase::Cancelled
            | OrderPhase::Rejected
            | OrderPhase::Withdrawn => return Err(under_way()),
        },
    }
    let (mut effects, order) = effects_of(app, contact, terms)?;
    let (mut late, mut kept) = (None, None);
    if let Some((order, Some(withdrawal))) = earlier {
        (late, kept) = (withdrawal.may_open(), withdrawal.without_page());
        effects = fulfilment::credit_back(withdrawal.onto(effects), order, terms.now);
    }
    let agreed = commit(app, terms, effects, order).await;
    match (&agreed, late, kept) {
        (Ok(Some(_)), Some(earlier), _) => standing::close_late(app, earlier).await,
        (Ok(None) | Err(_), _, Some(kept)) => standing::keep_without_page(app, kept).await,
        (Ok(_) | Err(_), _, _) => {}
    }
    agreed
}

/// Whether a change that was agreed is this one: to the same, for the same days.
fn is_same(change: &PlanChange, terms: &Terms) -> bool {
    change.to == terms.to && (change.cost, change.worth) == (terms.proration.cost, terms.proration.credit)
}

/// Closes the page of an earlier change, before another one is agreed. Who has paid on it meanwhile has paid.
async fn withdraw(app: &App, order: &Order) -> Result<Option<Withdrawal>, Problem> {
    match standing::withdraw(app, order).await? {
        Standing::Withdrawn(withdrawal) => Ok(Some(withdrawal)),
        Standing::Nothing | Standing::Same(_) | Standing::Newer => Ok(None),
    }
}

/// Everything that the change brings about. One that nothing is due for is begun in the same commit.
fn effects_of(app: &App, contact: &CustomerContact, terms: &Terms) -> Result<(Effects, Option<NewOrder>), Problem> {
    let account = &terms.account;
    let account_id = account.state.id;
    let order = terms.to_pay().map(|amount| new_order(contact, terms, amount)).transpose()?;
    let proration = &terms.proration;
    let change = NewPlanChange {
        id: PlanChangeId::new(),
        account_id,
        customer_id: contact.id,
        order_id: order.as_ref().map(|order| order.id),
        agreed_at: terms.now,
        from_service_id: account.service_id.clone(),
        to: terms.to.clone(),
        period_from: proration.rest.from,
        period_until: proration.rest.until,
        cost: proration.cost,
        worth: proration.credit,
    };
    let Some(order) = order else {
        let effects = Effects::none().enqueue(ChangePackage { account_id }).plan_change(change);
        return Ok((effects.guard(Guard::Account(account_id, account.state.version)), None));
    };
    let effects = if terms.due.is_zero() {
        fulfilment::paid(app, terms.now, &Order::from(&order), PaidBy::default()).map_err(|error| internal(&error))?
    } else {
        Effects::none()
    };
    let of = CreditFor { customer_id: contact.id, order_id: Some(order.id), account_id, at: terms.now };
    let effects = effects
        .guard(Guard::Account(account_id, account.state.version))
        .agree(order.clone())
        .plan_change(change)
        .credit_for(of, CreditKind::Used, terms.from_credit);
    Ok((effects, Some(order)))
}

fn new_order(contact: &CustomerContact, terms: &Terms, amount: Money) -> Result<NewOrder, Problem> {
    let parts = Recurring::containing(amount, terms.line.tax_rate).map_err(|error| internal(&error))?;
    let zero = terms.zero();
    let line = &terms.line;
    let days = terms.proration.days_left;
    let item = NewOrderItem {
        id: OrderItemId::new(),
        service_id: terms.to.service_id.clone(),
        name: format!("Change to {} for {days} {}", terms.to.service_name, if days == 1 { "day" } else { "days" }),
        service_type: line.service.service_type().as_str(),
        plan_name: terms.to.plan_name.clone(),
        billing_cycle: line.service.billing_cycle(),
        package: terms.to.package.clone(),
        pool: line.service.pool().to_owned(),
        price: parts.net,
        discount: zero,
        tax: parts.tax,
        total: parts.total,
        terms: ItemTerms {
            setup_fee: zero.amount(),
            tax_rate: line.tax_rate,
            tax_category: Some(line.service.tax_category().to_owned()),
            configuration: terms.to.configuration.clone(),
            addons: terms.to.addons.clone(),
            domain: terms.account.domain.clone(),
            trial_days: 0,
            renewal_price: terms.to.renewal_price,
        },
    };
    Ok(NewOrder {
        id: OrderId::new(),
        customer: CustomerContact { name: terms.buyer.name.clone(), ..contact.clone() },
        subtotal: parts.net,
        discount: zero,
        tax: parts.tax,
        total: parts.total,
        created_at: terms.now,
        expires_at: terms.now.checked_add(PAYABLE).unwrap_or(terms.now),
        idempotency: None,
        terms: OrderTerms {
            customer_snapshot: Some(json!(terms.buyer)),
            tax_note: terms.tax_note.map(str::to_owned),
            changes: Some(terms.account.state.id),
            credit: Some(terms.from_credit),
            ..OrderTerms::default()
        },
        items: vec![item],
    })
}

async fn commit(app: &App, terms: &Terms, effects: Effects, new: Option<NewOrder>) -> Result<Option<Agreed>, Problem> {
    let paid = new.as_ref().and_then(|new| effects.order_moves.iter().find(|step| step.id() == new.id)).cloned();
    match app.committer.write(effects).await {
        Ok(()) => {
            failpoint::hit("change.agreed");
            let Some(new) = new else { return Ok(Some(Agreed::Free)) };
            let mut order = Order::from(&new);
            // One that the credit pays does not stay pending.
            if let Some(step) = paid {
                order.state.phase = step.to();
                order.state.version = step.version().saturating_add(1);
            }
            Ok(Some(Agreed::Order(Box::new(order))))
        }
        Err(CommitError::Refused(refusal)) => of_refusal(&refusal),
        Err(error) => {
            let account = terms.account.state.id;
            tracing::error!(%account, error = chain(&error), "a change could not be stored");
            let detail = "Whether the change was agreed is not known. Wait as long as `Retry-After` says, then send the same \
                          request again.";
            Err(Problem::unavailable(RETRY_AFTER).with_detail(detail))
        }
    }
}

/// What a refusal means: look again, or tell the customer.
fn of_refusal(refusal: &Refusal) -> Result<Option<Agreed>, Problem> {
    match refusal.why {
        Why::RowChanged | Why::AlreadyThere | Why::NotEnoughCredit => Ok(None),
        Why::CustomerDeleted => Err(Problem::customer_deleted()),
        Why::CartChanged
        | Why::CouponEnded
        | Why::CouponUsedUp
        | Why::CouponUsedUpByCustomer
        | Why::CartFull
        | Why::ServerFull
        | Why::CodeTaken
        | Why::LimitBelowUses
        | Why::NothingLeft
        | Why::RefundAboveRest
        | Why::Disputed
        | Why::CustomerBusy => Err(internal(refusal)),
    }
}
