//! Changes of what accounts are.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use std::collections::BTreeSet;

use jiff_sqlx::ToSqlx;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Applied, UnitEffects, Why, standing};
use crate::domain::account::NewPackage;

/// What an account is once it was changed, as `move_accounts.sql` reads it.
pub(super) fn columns(to: &NewPackage) -> Value {
    json!({
        "service_id": to.service_id,
        "service_name": to.service_name,
        "plan_name": to.plan_name,
        "package": to.package,
        "configuration": to.configuration,
        "addons": to.addons,
        "renewal_price": to.renewal_price.map(|price| price.to_string()),
    })
}

/// Inserts changes, each on its own: few are agreed at a time.
pub(super) async fn insert(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    for (unit, change) in standing(units, applied, |e| &e.new_plan_changes) {
        let to = &change.to;
        let inserted = sqlx::query!(
            "insert into berth.plan_changes
                 (id, account_id, customer_id, order_id, agreed_at, from_service_id, service_id, service_name, plan_name,
                  package, configuration, addons, renewal_price, period_from, period_until, currency, cost, worth)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
             on conflict do nothing",
            change.id.0,
            change.account_id.0,
            change.customer_id.0,
            change.order_id.map(|id| id.0),
            change.agreed_at.to_sqlx(),
            change.from_service_id,
            to.service_id,
            to.service_name,
            to.plan_name,
            to.package,
            to.configuration,
            to.addons,
            to.renewal_price,
            change.period_from.to_sqlx(),
            change.period_until.to_sqlx(),
            change.cost.currency().code(),
            change.cost.amount(),
            change.worth.amount(),
        )
        .execute(&mut *db)
        .await?
        .rows_affected();
        if inserted == 0 {
            applied.refuse(unit, format!("a change of {}", change.account_id), Why::AlreadyThere);
        }
    }
    Ok(())
}

/// Writes what becomes of changes. One that has ended stays as it is, and whoever wants it otherwise is refused.
pub(super) async fn step(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let mut steps = standing(units, applied, |e| &e.plan_change_steps);
    if steps.is_empty() {
        return Ok(());
    }
    steps.sort_by_key(|(_, (id, _))| *id);
    let stepped: BTreeSet<Uuid> = sqlx::query_scalar!(
        "update berth.plan_changes c
         set begun_at = coalesce(c.begun_at, n.now),
             outcome = s.outcome,
             settled_at = case when s.outcome is not null then n.now end,
             why = s.why
         from (select berth.now() as now) n, unnest($1::uuid[], $2::text[], $3::text[]) s (id, outcome, why)
         where c.id = s.id and c.outcome is null
         returning c.id",
        &steps.iter().map(|(_, (id, _))| id.0).collect::<Vec<_>>(),
        &steps.iter().map(|(_, (_, step))| step.outcome().map(str::to_owned)).collect::<Vec<_>>()
            as &[Option<String>],
        &steps.iter().map(|(_, (_, step))| step.why().map(str::to_owned)).collect::<Vec<_>>() as &[Option<String>],
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .collect();
    for (unit, (id, _)) in steps {
        if !stepped.contains(&id.0) {
            applied.refuse(unit, id.to_string(), Why::RowChanged);
        }
    }
    Ok(())
}
