//! Money that goes back: asked for under its payment's lock, which counts what is left; and what is learnt of it.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use std::collections::BTreeSet;

use berth_jobs::ids::{OrderId, RefundId};
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Applied, MoneyMoved, UnitEffects, Why, gather, standing};
use crate::{
    effects::{Alert, DisputeNews, Fact, NewRefund, RefundNews, RefundedBy},
    metrics::MoneyOutcome,
};

/// Locks the payments that something goes back of, or is learnt of: whoever counts what is left of one sees all of what
/// another does, or nothing.
pub(super) async fn lock_payments(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let mut ids: BTreeSet<Uuid> = gather(units, |e| &e.returned_payments).into_iter().map(|(_, id)| id.0).collect();
    ids.extend(gather(units, |e| &e.credited_payments).into_iter().map(|(_, id)| id.0));
    ids.extend(gather(units, |e| &e.new_refunds).into_iter().map(|(_, refund)| refund.payment_id.0));
    for (_, fact) in gather(units, |e| &e.facts) {
        match fact {
            Fact::Refund(news) => ids.insert(news.payment_id.0),
            Fact::Dispute(news) => ids.insert(news.payment_id.0),
            Fact::CustomerKnown { .. }
            | Fact::Session(_)
            | Fact::Charge(_)
            | Fact::AccountCreated { .. }
            | Fact::BackupNamed { .. }
            | Fact::ServerFailed { .. }
            | Fact::ServerFull { .. }
            | Fact::ServerAnswered { .. }
            | Fact::CardsKnown(_)
            | Fact::MailAttempted { .. }
            | Fact::MailAccepted { .. }
            | Fact::MailRefused { .. } => false,
        };
    }
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    sqlx::query!("select id from berth.payments where id = any ($1) order by id for no key update", &ids)
        .fetch_all(db)
        .await?;
    Ok(())
}

/// Writes down what is to go back, one after the other: few do, and each must see what the one before has left.
pub(super) async fn request(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let mut refunds = standing(units, applied, |e| &e.new_refunds);
    if refunds.is_empty() {
        return Ok(());
    }
    refunds.sort_by_key(|(_, refund)| (refund.payment_id, refund.id));
    for (unit, refund) in refunds {
        if let Some(why) = request_one(db, refund).await? {
            applied.refuse(unit, refund.payment_id.to_string(), why);
        }
    }
    Ok(())
}

/// Why it cannot be, if it cannot.
async fn request_one(db: &mut PgConnection, refund: &NewRefund) -> Result<Option<Why>, sqlx::Error> {
    let (requested_by, idempotency) = match &refund.by {
        RefundedBy::Staff { actor, idempotency } => (actor.as_str(), idempotency.as_ref()),
        RefundedBy::Berth => ("berth", None),
    };
    let asked_by_staff = refund.by != RefundedBy::Berth;
    let outcome = sqlx::query_file!(
        "src/store/queries/request_refund.sql",
        refund.id.0,
        refund.payment_id.0,
        refund.amount.map(|amount| amount.amount()) as Option<rust_decimal::Decimal>,
        refund.reason,
        requested_by,
        asked_by_staff,
        idempotency.map(|it| it.key.clone()) as Option<String>,
        idempotency.map(|it| Vec::from(it.request_hash)) as Option<Vec<u8>>,
        refund.amount.map(|amount| amount.currency().code()) as Option<&str>,
    )
    .fetch_optional(db)
    .await?;
    let Some(found) = outcome else { return Ok(Some(Why::RowChanged)) };
    if found.made || !asked_by_staff {
        return Ok(None);
    }
    Ok(Some(if found.disputed {
        Why::Disputed
    } else if found.rest <= rust_decimal::Decimal::ZERO {
        Why::NothingLeft
    } else if found.above {
        Why::RefundAboveRest
    } else {
        Why::AlreadyThere
    }))
}

/// Writes what was learnt of refunds and disputes; answers what a person must be told of.
pub(super) async fn learn(
    db: &mut PgConnection,
    facts: &[(usize, &Fact)],
    money: &mut Vec<MoneyMoved>,
) -> Result<Vec<Alert>, sqlx::Error> {
    let (mut refunds, mut disputes): (Vec<&RefundNews>, Vec<&DisputeNews>) = (Vec::new(), Vec::new());
    for (_, fact) in facts {
        if let Fact::Refund(news) = fact {
            refunds.push(news);
        }
        if let Fact::Dispute(news) = fact {
            disputes.push(news);
        }
    }
    refunds.sort_by(|a, b| (a.payment_id, &a.stripe_refund_id).cmp(&(b.payment_id, &b.stripe_refund_id)));
    disputes.sort_by(|a, b| a.id.cmp(&b.id));
    let mut alerts = Vec::new();
    for news in &refunds {
        alerts.extend(learn_refund(db, news, money).await?);
    }
    for news in &disputes {
        money.extend(learn_dispute(db, news).await?);
    }
    if !refunds.is_empty() {
        return_surplus(db, refunds.iter().map(|news| news.payment_id.0)).await?;
    }
    Ok(alerts)
}

async fn learn_refund(
    db: &mut PgConnection,
    news: &RefundNews,
    money: &mut Vec<MoneyMoved>,
) -> Result<Option<Alert>, sqlx::Error> {
    let changed = sqlx::query_file!(
        "src/store/queries/learn_refund.sql",
        news.id.0,
        news.payment_id.0,
        news.stripe_refund_id.as_deref() as Option<&str>,
        news.state.as_str(),
        news.failure.as_deref() as Option<&str>,
        news.at.to_sqlx(),
        news.amount.amount(),
        news.reason,
        news.made_at.to_sqlx(),
    )
    .fetch_optional(&mut *db)
    .await?;
    if let Some(refund) = changed.as_ref().filter(|refund| refund.state == "succeeded") {
        let (currency, amount) = (refund.currency.clone(), refund.amount);
        money.push(MoneyMoved { outcome: MoneyOutcome::Refunded, currency, amount });
    }
    let Some(refund) = changed.filter(|_| news.state.is_void()) else { return Ok(None) };
    sqlx::query!(
        "update berth.credit_notes set cancelled_at = $2 where refund_id = $1 and cancelled_at is null",
        refund.id,
        news.at.to_sqlx(),
    )
    .execute(db)
    .await?;
    Ok(Some(Alert {
        kind: "refund_failed",
        subject: RefundId(refund.id).to_string(),
        detail: format!(
            "{} {} of {} did not go back ({}): ask for it again, or pay it back by another way.",
            refund.amount,
            refund.currency,
            OrderId(refund.order_id),
            refund.failure.as_deref().unwrap_or(&refund.state),
        ),
    }))
}

/// Answers the money of a dispute that was not known.
async fn learn_dispute(db: &mut PgConnection, news: &DisputeNews) -> Result<Option<MoneyMoved>, sqlx::Error> {
    let written = sqlx::query_scalar!(
        r#"insert into berth.disputes
             (id, payment_id, order_id, customer_id, status, reason, currency, amount, opened_at, closed_at)
         select $1, p.id, p.order_id, o.customer_id, $3, $4, $5, $6, $7, $8
         from berth.payments p
         join berth.orders o on o.id = p.order_id
         where p.id = $2
         on conflict (id) do update
         set status = excluded.status, reason = coalesce(excluded.reason, disputes.reason), amount = excluded.amount,
             closed_at = excluded.closed_at
         where disputes.closed_at is null
         returning xmax = 0 as "new!""#,
        news.id.0,
        news.payment_id.0,
        news.status,
        news.reason.as_deref(),
        news.amount.currency().code(),
        news.amount.amount(),
        news.opened_at.to_sqlx(),
        news.closed_at.map(ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>,
    )
    .fetch_optional(db)
    .await?;
    let (currency, amount) = (news.amount.currency().code().to_owned(), news.amount.amount());
    Ok(written.unwrap_or(false).then_some(MoneyMoved { outcome: MoneyOutcome::Disputed, currency, amount }))
}

/// Money that was not owed has gone back when all of it has arrived, and is owed again when some of it comes back.
async fn return_surplus(db: &mut PgConnection, payments: impl Iterator<Item = Uuid>) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = payments.collect::<BTreeSet<_>>().into_iter().collect();
    sqlx::query!(
        "update berth.payments p
         set state = case when gone.whole then 'refunded' else 'surplus' end
         from (
             select
                 p.id,
                 p.amount <= coalesce((
                     select sum(r.amount) from berth.refunds r where r.payment_id = p.id and r.state = 'succeeded'
                 ), 0) as whole
             from berth.payments p
             where p.id = any ($1)
         ) gone
         where p.id = gone.id and p.state in ('surplus', 'refunded')",
        &ids,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes down which disputes' consequences are among these effects.
pub(super) async fn follow(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    for (_, (dispute, standing)) in gather(units, |e| &e.followed_disputes) {
        sqlx::query!("update berth.disputes set followed = $2 where id = $1", dispute.0, standing.as_str())
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}
