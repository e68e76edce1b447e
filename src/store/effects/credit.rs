//! Credit: each movement a row, the balance counted under its row's lock.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use std::collections::BTreeSet;

use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Applied, UnitEffects, Why, standing};
use crate::effects::CreditMove;

/// Moves credit, one movement after the other: few do, and each must see what the one before has left.
pub(super) async fn write(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let mut moves = standing(units, applied, |e| &e.credit_moves);
    if moves.is_empty() {
        return Ok(());
    }
    moves.sort_by_key(|(_, step)| (step.customer_id, step.order_id));
    let customers: BTreeSet<(Uuid, String)> =
        moves.iter().map(|(_, it)| (it.customer_id.0, it.amount.currency().code().to_owned())).collect();
    let (ids, currencies): (Vec<Uuid>, Vec<String>) = customers.into_iter().unzip();
    sqlx::query!(
        "with made as (
             insert into berth.credit_balances (customer_id, currency, balance)
             select n.customer_id, n.currency, 0
             from unnest($1::uuid[], $2::text[]) n (customer_id, currency)
             on conflict do nothing
         )
         select b.customer_id
         from berth.credit_balances b
         join unnest($1::uuid[], $2::text[]) n (customer_id, currency)
             on b.customer_id = n.customer_id and b.currency = n.currency
         order by b.customer_id, b.currency
         for no key update of b",
        &ids,
        &currencies,
    )
    .fetch_all(&mut *db)
    .await?;
    for (unit, step) in moves {
        if !one(db, step).await? {
            applied.refuse(unit, format!("the credit of customer {}", step.customer_id), Why::NotEnoughCredit);
        }
    }
    Ok(())
}

/// Whether it could be done: there is enough, and it was not done for that order, or under that key, before.
async fn one(db: &mut PgConnection, step: &CreditMove) -> Result<bool, sqlx::Error> {
    let amount: Decimal = if step.kind.takes() { -step.amount.amount() } else { step.amount.amount() };
    let hand = step.by.as_ref();
    let idempotency = hand.and_then(|hand| hand.idempotency.as_ref());
    let moved = sqlx::query_file!(
        "src/store/queries/move_credit.sql",
        step.id.0,
        step.customer_id.0,
        step.amount.currency().code(),
        amount,
        step.kind.as_str(),
        step.order_id.map(|id| id.0) as Option<Uuid>,
        step.account_id.map(|id| id.0) as Option<Uuid>,
        hand.map(|hand| hand.actor.as_str()) as Option<&str>,
        hand.map(|hand| hand.reason.as_str()) as Option<&str>,
        step.at.to_sqlx(),
        idempotency.map(|it| it.key.as_str()) as Option<&str>,
        idempotency.map(|it| it.request_hash.as_slice()) as Option<&[u8]>,
    )
    .execute(db)
    .await?
    .rows_affected();
    Ok(moved > 0)
}
