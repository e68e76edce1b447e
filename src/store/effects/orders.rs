//! Orders: moved from version to version, and written as they were agreed.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use std::collections::BTreeSet;

use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Applied, UnitEffects, Why, customers, gather, job_of, standing};
use crate::{
    domain::order::OrderMove,
    effects::{Fact, NewOrder, NewOrderItem},
    failpoint,
};

/// Orders that are touched later on, by what comes after other tables' locks, are locked here: those that may be
/// completed, so that of several transactions which make the last accounts active one sees them all; those whose pages
/// are heard of; and those of customers who are to be forgotten.
pub(super) async fn lock_parents(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let mut ids: BTreeSet<Uuid> = gather(units, |e| &e.maybe_complete).into_iter().map(|(_, id)| id.0).collect();
    for (_, fact) in gather(units, |e| &e.facts) {
        match fact {
            Fact::Session(news) => ids.insert(news.order_id.0),
            Fact::CustomerKnown { .. }
            | Fact::Charge(_)
            | Fact::Refund(_)
            | Fact::Dispute(_)
            | Fact::CardsKnown(_)
            | Fact::AccountCreated { .. }
            | Fact::BackupNamed { .. }
            | Fact::ServerFailed { .. }
            | Fact::ServerFull { .. }
            | Fact::ServerAnswered { .. }
            | Fact::MailAttempted { .. }
            | Fact::MailAccepted { .. }
            | Fact::MailRefused { .. } => false,
        };
    }
    let customers: Vec<Uuid> = gather(units, |e| &e.anonymised).into_iter().map(|(_, id)| id.0).collect();
    if ids.is_empty() && customers.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    sqlx::query!(
        "select id from berth.orders where id = any ($1) or customer_id = any ($2) order by id for no key update",
        &ids,
        &customers,
    )
    .fetch_all(db)
    .await?;
    Ok(())
}

/// Which orders move: those that were there, or those that the same unit makes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Movers {
    Known,
    New,
}

/// Moves orders. One that its own unit makes moves once it is made.
pub(super) async fn advance(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
    movers: Movers,
) -> Result<(), sqlx::Error> {
    let is_new = |unit: usize, step: &OrderMove| {
        units.get(unit).is_some_and(|unit| unit.effects.new_orders.iter().any(|order| order.id == step.id()))
    };
    let mut moves = standing(units, applied, |e| &e.order_moves);
    moves.retain(|(unit, step)| is_new(*unit, step) == (movers == Movers::New));
    if moves.is_empty() {
        return Ok(());
    }
    moves.sort_by_key(|(_, step)| step.id());
    let ids: Vec<Uuid> = moves.iter().map(|(_, step)| step.id().0).collect();
    let versions: Vec<i32> = moves.iter().map(|(_, step)| step.version()).collect();
    let from: Vec<String> = moves.iter().map(|(_, step)| step.from().to_string()).collect();
    let to: Vec<String> = moves.iter().map(|(_, step)| step.to().to_string()).collect();
    let reasons: Vec<String> = moves.iter().map(|(_, step)| step.reason().to_owned()).collect();
    let why: Vec<String> = moves.iter().map(|(_, step)| step.why().to_owned()).collect();
    let by: Vec<Option<Uuid>> = moves.iter().map(|(unit, _)| job_of(units, *unit)).collect();
    let actors: Vec<String> = moves.iter().map(|(_, step)| step.actor().as_str().to_owned()).collect();
    let moved: BTreeSet<Uuid> = sqlx::query_file_scalar!(
        "src/store/queries/move_orders.sql",
        &ids,
        &versions,
        &from,
        &to,
        &reasons,
        &by as &[Option<Uuid>],
        failpoint::broken("order_versions"),
        &why,
        &actors,
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .collect();
    for (unit, step) in moves {
        if !moved.contains(&step.id().0) {
            applied.refuse(unit, step.id().to_string(), Why::RowChanged);
        }
    }
    Ok(())
}

/// The page that a pending order was to be paid on has ended: the next one is of the next version.
pub(super) async fn next_sessions(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let mut steps = standing(units, applied, |e| &e.next_sessions);
    if steps.is_empty() {
        return Ok(());
    }
    steps.sort_by_key(|(_, (order, _))| *order);
    let stepped: BTreeSet<Uuid> = sqlx::query_scalar!(
        "with held as materialized (
             select id from berth.orders where id = any ($1) order by id for no key update
         )
         update berth.orders o
         set session_version = o.session_version + 1, stripe_session_id = null, checkout_url = null
         from held, unnest($1::uuid[], $2::int[]) n (id, version)
         where o.id = held.id and o.id = n.id and o.session_version = n.version and o.phase = 'pending'
           and not exists (
               select from berth.checkout_sessions s where s.order_id = o.id and s.state = 'open'
           )
         returning o.id",
        &steps.iter().map(|(_, (order, _))| order.0).collect::<Vec<_>>(),
        &steps.iter().map(|(_, (_, version))| *version).collect::<Vec<_>>(),
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .collect();
    for (unit, (order, _)) in steps {
        if !stepped.contains(&order.0) {
            applied.refuse(unit, order.to_string(), Why::RowChanged);
        }
    }
    Ok(())
}

/// Each order is written on its own: a checkout is one order, and groups of them are rare.
pub(super) async fn insert(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    for (unit, order) in standing(units, applied, |e| &e.new_orders) {
        let terms = &order.terms;
        let inserted = sqlx::query_file!(
            "src/store/queries/insert_order.sql",
            order.id.0,
            order.customer.id.0,
            order.total.currency().code(),
            order.subtotal.amount(),
            order.discount.amount(),
            order.tax.amount(),
            order.total.amount(),
            order.created_at.to_sqlx(),
            order.expires_at.to_sqlx(),
            order.idempotency.as_ref().map(|i| i.key.clone()),
            order.idempotency.as_ref().map(|i| i.request_hash).or(terms.request_hash).map(Vec::from),
            terms.coupon.as_ref().map(|(id, _)| id.0),
            terms.coupon.as_ref().map(|(_, code)| code.clone()),
            terms.cart_version,
            terms.customer_snapshot,
            terms.tax_note,
            terms.client_ip.map(|ip| ip.to_string()),
            terms.changes.map(|id| id.0),
            terms.credit.map(|credit| credit.amount()),
        )
        .execute(&mut *db)
        .await?
        .rows_affected();
        if inserted == 0 {
            refuse(db, unit, order, applied).await?;
            continue;
        }
        insert_items(db, order.id.0, &order.items).await?;
    }
    Ok(())
}

async fn refuse(
    db: &mut PgConnection,
    unit: usize,
    order: &NewOrder,
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let customer = order.customer.id;
    if customers::is_deleted(db, customer).await? {
        applied.refuse(unit, format!("customer {customer}"), Why::CustomerDeleted);
    } else {
        applied.refuse(unit, order.id.to_string(), Why::AlreadyThere);
    }
    Ok(())
}

async fn insert_items(db: &mut PgConnection, order_id: Uuid, items: &[NewOrderItem]) -> Result<(), sqlx::Error> {
    let text = |f: fn(&NewOrderItem) -> String| items.iter().map(f).collect::<Vec<_>>();
    let texts = |f: fn(&NewOrderItem) -> Option<String>| items.iter().map(f).collect::<Vec<_>>();
    let sums = |f: fn(&NewOrderItem) -> Decimal| items.iter().map(f).collect::<Vec<_>>();
    let json = |f: fn(&NewOrderItem) -> Value| items.iter().map(f).collect::<Vec<_>>();
    sqlx::query_file!(
        "src/store/queries/insert_order_items.sql",
        order_id,
        &items.iter().map(|item| item.id.0).collect::<Vec<_>>(),
        &text(|item| item.service_id.clone()),
        &text(|item| item.name.clone()),
        &text(|item| item.service_type.to_owned()),
        &text(|item| item.plan_name.clone()),
        &text(|item| item.billing_cycle.as_str().to_owned()),
        &text(|item| item.package.clone()),
        &text(|item| item.pool.clone()),
        &sums(|item| item.price.amount()),
        &sums(|item| item.discount.amount()),
        &sums(|item| item.tax.amount()),
        &sums(|item| item.total.amount()),
        &sums(|item| item.terms.setup_fee),
        &sums(|item| item.terms.tax_rate),
        &texts(|item| item.terms.tax_category.clone()) as &[Option<String>],
        &json(|item| item.terms.configuration.clone()),
        &json(|item| item.terms.addons.clone()),
        &texts(|item| item.terms.domain.clone()) as &[Option<String>],
        // A column holds more days than any shop gives.
        &items.iter().map(|item| i32::try_from(item.terms.trial_days).unwrap_or(i32::MAX)).collect::<Vec<_>>(),
        &items.iter().map(|item| item.terms.renewal_price).collect::<Vec<_>>() as &[Option<Decimal>],
    )
    .execute(db)
    .await?;
    Ok(())
}
