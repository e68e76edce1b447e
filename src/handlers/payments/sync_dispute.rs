//! SyncDispute: how a dispute stands, and what follows. While it is open its customer is charged nothing; by the shop's policy
//! the accounts that the payment was for are suspended, until it is won. One that is lost leaves that to a person.

use berth_jobs::{
    ids::{AccountId, StripeDisputeId},
    payments::SyncDispute,
};

use crate::{
    app::Ctx,
    domain::{
        account::{LiftCause, SuspensionReason},
        dispute::{Consequence, DisputeStanding, consequence},
        money::{Currency, Money},
    },
    effects::{Alert, DisputeNews, Effects, Fact},
    error::{JobError, chain},
    gateways::stripe,
    mail::{DisputeOpened, Mail},
    store::{
        disputes::Dispute,
        orders::Order,
        payments::{Payment, PaymentState},
    },
};

/// Runs the job.
///
/// # Errors
/// When Stripe or the database is away, or an account has moved meanwhile.
pub async fn run(job: &SyncDispute, ctx: &Ctx) -> Result<Effects, JobError> {
    let found = ctx.stripe()?.dispute(&job.dispute_id.0).await?;
    let Some(payment) = disputed(ctx, &found).await? else {
        return Err(JobError::Cancel(format!("{} is about no payment of ours", job.dispute_id)));
    };
    let known = ctx.store.dispute(&job.dispute_id).await?;
    let news = news(ctx, &payment, &found)?;
    let told = news.status.clone();
    let (standing, is_known_word) = standing(known.as_ref(), &told);
    let order = ctx.store.order(payment.order_id).await?;
    let mut effects = Effects::from(Fact::Dispute(news.clone())).look_at_all_of(order.customer.id);
    if !is_known_word {
        effects = effects.alert(alert("dispute_unknown", &news, &order, "Stripe has a word for it that is not known"));
    }
    if known.as_ref().is_some_and(|known| known.is_closed && known.status != told) {
        effects = effects.alert(alert("dispute_reopened", &news, &order, "it was decided before, and otherwise"));
    }
    let followed = known.and_then(|known| known.followed);
    if followed == Some(standing) {
        return Ok(effects);
    }
    let effects = announce(effects, standing, &news, &order);
    let effects = match consequence(followed, standing) {
        // Money that was not owed bought nothing that could be suspended.
        Consequence::Suspend if ctx.config.disputes.suspend && payment.state == PaymentState::Succeeded => {
            suspend(ctx, effects, &order, &news).await?
        }
        Consequence::Suspend | Consequence::Stay => effects,
        Consequence::Lift => lift(ctx, effects, &order, &news.id).await?,
    };
    Ok(effects.followed(job.dispute_id.clone(), standing))
}

/// The payment that is disputed, if it is ours. Old versions of the API name only its charge.
async fn disputed(ctx: &Ctx, found: &stripe::Dispute) -> Result<Option<Payment>, JobError> {
    let intent = match (&found.payment_intent, &found.charge) {
        (Some(intent), _) => Some(intent.clone()),
        (None, Some(charge)) => ctx.stripe()?.charge(charge).await?.payment_intent,
        (None, None) => None,
    };
    let Some(intent) = intent else { return Ok(None) };
    Ok(ctx.store.payment_by_intent(&intent).await?)
}

fn news(ctx: &Ctx, payment: &Payment, found: &stripe::Dispute) -> Result<DisputeNews, JobError> {
    let status = found.status.clone().unwrap_or_default();
    let currency: Currency = match &found.currency {
        Some(code) => code.to_ascii_uppercase().parse().map_err(|error| JobError::Retry(chain(&error)))?,
        None => payment.amount.currency(),
    };
    let amount = match found.amount {
        Some(minor) => Money::from_minor(minor, currency).map_err(|error| JobError::Retry(chain(&error)))?,
        None => payment.amount,
    };
    let closed_at = DisputeStanding::of(&status).0.is_closed().then(|| ctx.now());
    Ok(DisputeNews {
        id: StripeDisputeId(found.id.clone()),
        payment_id: payment.id,
        status,
        reason: found.reason.clone(),
        amount,
        opened_at: found.created.unwrap_or_else(|| ctx.now()),
        closed_at,
    })
}

/// How it stands: what was decided stays decided, whatever is told later.
fn standing(known: Option<&Dispute>, told: &str) -> (DisputeStanding, bool) {
    match known {
        Some(known) if known.is_closed => (DisputeStanding::of(&known.status).0, true),
        Some(_) | None => DisputeStanding::of(told),
    }
}

/// Tells a person what there is to do.
fn announce(effects: Effects, standing: DisputeStanding, news: &DisputeNews, order: &Order) -> Effects {
    match standing {
        DisputeStanding::Open => {
            effects.alert(alert("dispute_opened", news, order, "answer it at Stripe, in time and with evidence"))
        }
        DisputeStanding::Won => effects,
        DisputeStanding::Lost => effects.alert(alert(
            "dispute_lost",
            news,
            order,
            "the money is gone: decide what becomes of the accounts that it was for",
        )),
    }
}

fn alert(kind: &'static str, news: &DisputeNews, order: &Order, what: &str) -> Alert {
    let claim = news.reason.as_deref().unwrap_or("no reason given");
    let detail = format!("{} of {} ({claim}, {}): {what}.", news.amount, order.state.id, news.status);
    Alert { kind, subject: news.id.to_string(), detail }
}

/// The accounts that the order's money was for.
fn accounts_of(order: &Order) -> Vec<AccountId> {
    match order.renews {
        Some(account) => vec![account],
        None => order.items.iter().filter_map(|item| item.account_id).collect(),
    }
}

async fn suspend(ctx: &Ctx, effects: Effects, order: &Order, news: &DisputeNews) -> Result<Effects, JobError> {
    let (mut effects, mut held) = (effects, false);
    for id in accounts_of(order) {
        let account = ctx.store.account(id).await?;
        if let Some(step) = account.state.suspend(SuspensionReason::Dispute) {
            held = true;
            effects = effects.begin(step);
        }
    }
    Ok(if held { effects.mail(order.customer.id, mail(ctx, order, news)) } else { effects })
}

async fn lift(ctx: &Ctx, effects: Effects, order: &Order, won: &StripeDisputeId) -> Result<Effects, JobError> {
    let accounts = accounts_of(order);
    let held = ctx.store.held_by_other_disputes(&accounts, won).await?;
    let mut effects = effects;
    for id in accounts.into_iter().filter(|id| !held.contains(id)) {
        let account = ctx.store.account(id).await?;
        if let Some(step) = account.state.lift(SuspensionReason::Dispute, LiftCause::DisputeWon) {
            effects = effects.begin(step);
        }
    }
    Ok(effects)
}

fn mail(ctx: &Ctx, order: &Order, news: &DisputeNews) -> Mail {
    Mail::DisputeOpened(DisputeOpened {
        dispute_id: news.id.to_string(),
        order_id: order.state.id,
        customer_name: order.customer.name.clone(),
        amount: news.amount.amount_text(),
        currency: news.amount.currency().code().to_owned(),
        order_url: format!("{}/orders/{}", ctx.shop.url, order.state.id),
    })
}
