//! Money that came: for an order, or surplus that goes back.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use std::collections::BTreeSet;

use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Applied, MoneyMoved, UnitEffects, Why, gather};
use crate::{effects::NewPayment, metrics::MoneyOutcome};
use berth_jobs::ids::PaymentId;

/// Inserts payments. One that is known, by its intent or because its order has one, is refused.
pub(super) async fn insert(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let owed = gather(units, |e| &e.new_payments).into_iter().map(|(unit, payment)| (unit, payment, "succeeded"));
    let surplus = gather(units, |e| &e.surplus_payments).into_iter().map(|(unit, payment)| (unit, payment, "surplus"));
    let late = gather(units, |e| &e.late_payments).into_iter().map(|(unit, payment)| (unit, payment, "credited"));
    let payments: Vec<(usize, &NewPayment, &str)> = owed.chain(surplus).chain(late).collect();
    if payments.is_empty() {
        return Ok(());
    }
    let texts = |f: fn(&NewPayment) -> Option<String>| payments.iter().map(|(_, it, _)| f(it)).collect::<Vec<_>>();
    let inserted: BTreeSet<Uuid> = sqlx::query_scalar!(
        "insert into berth.payments
             (id, order_id, state, currency, amount, stripe_session_id, stripe_payment_intent_id, created_at)
         select n.id, n.order_id, n.state, n.currency, n.amount, n.session, n.intent, n.created_at
         from unnest(
                 $1::uuid[], $2::uuid[], $3::text[], $4::numeric[], $5::text[], $6::text[], $7::timestamptz[],
                 $8::text[]
             ) n (id, order_id, currency, amount, session, intent, created_at, state)
         order by n.order_id
         on conflict do nothing
         returning id",
        &payments.iter().map(|(_, payment, _)| payment.id.0).collect::<Vec<_>>(),
        &payments.iter().map(|(_, payment, _)| payment.order_id.0).collect::<Vec<_>>(),
        &payments.iter().map(|(_, payment, _)| payment.amount.currency().code().to_owned()).collect::<Vec<_>>(),
        &payments.iter().map(|(_, payment, _)| payment.amount.amount()).collect::<Vec<_>>(),
        &texts(|payment| payment.stripe_session_id.clone()) as &[Option<String>],
        &texts(|payment| payment.stripe_payment_intent_id.clone()) as &[Option<String>],
        &payments.iter().map(|(_, payment, _)| payment.created_at.to_sqlx()).collect::<Vec<_>>(),
        &payments.iter().map(|(_, _, state)| (*state).to_owned()).collect::<Vec<_>>(),
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .collect();
    for (unit, payment, state) in payments {
        if inserted.contains(&payment.id.0) {
            applied.money.push(moved(payment, state));
        } else {
            applied.refuse(unit, format!("the payment of {}", payment.order_id), Why::AlreadyThere);
        }
    }
    Ok(())
}

fn moved(payment: &NewPayment, state: &str) -> MoneyMoved {
    let outcome = match state {
        "surplus" => MoneyOutcome::Surplus,
        "credited" => MoneyOutcome::Credited,
        _ => MoneyOutcome::Succeeded,
    };
    MoneyMoved { outcome, currency: payment.amount.currency().code().to_owned(), amount: payment.amount.amount() }
}

/// Payments that are not owed after all, and those that became credit. Their orders are locked: each has been moved by the same unit.
pub(super) async fn give_back(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let returned = gather(units, |e| &e.returned_payments).into_iter().map(|(unit, id)| (unit, id, "surplus"));
    let credited = gather(units, |e| &e.credited_payments).into_iter().map(|(unit, id)| (unit, id, "credited"));
    let returned: Vec<(usize, &PaymentId, &str)> = returned.chain(credited).collect();
    if returned.is_empty() {
        return Ok(());
    }
    let changed: BTreeSet<Uuid> = sqlx::query_scalar!(
        "update berth.payments p
         set state = n.state
         from unnest($1::uuid[], $2::text[]) n (id, state)
         where p.id = n.id and p.state = 'succeeded'
         returning p.id",
        &returned.iter().map(|(_, id, _)| id.0).collect::<Vec<_>>(),
        &returned.iter().map(|(_, _, state)| (*state).to_owned()).collect::<Vec<_>>(),
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .collect();
    for (unit, id, _) in returned {
        if !changed.contains(&id.0) {
            applied.refuse(unit, id.to_string(), Why::RowChanged);
        }
    }
    Ok(())
}
