//! Plans of a tripped fuse: kept, and confirmed.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{UnitEffects, gather};
use crate::{domain::fuse::WINDOW, effects::Alert};

/// Keeps plans, unless one of the sort waits to be confirmed; answers what a person is told of those that are new. Few are
/// kept, one after the other.
pub(super) async fn keep(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<Vec<Alert>, sqlx::Error> {
    let mut alerts = Vec::new();
    for (_, plan) in gather(units, |e| &e.fuse_plans) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let kept = sqlx::query!(
            "insert into berth.fuse_plans (id, what, planned_at, count, of_accounts)
             select $1, $2, $3, $4, $5
             where not exists (
                 select from berth.fuse_plans p
                 where p.what = $2 and p.confirmed_at is null and p.planned_at > $6
             )",
            plan.id.0,
            plan.what.as_str(),
            plan.planned_at.to_sqlx(),
            number(plan.count),
            number(plan.of_accounts),
            (plan.planned_at - WINDOW).to_sqlx(),
        )
        .execute(&mut *db)
        .await?
        .rows_affected();
        if kept == 0 {
            continue;
        }
        sqlx::query!(
            "insert into berth.fuse_plan_rows (plan_id, account_id, currency, amount)
             select $1, n.account_id, n.currency, n.amount
             from unnest($2::uuid[], $3::text[], $4::numeric[]) n (account_id, currency, amount)
             on conflict do nothing",
            plan.id.0,
            &plan.rows.iter().map(|(id, _)| id.0).collect::<Vec<Uuid>>(),
            &plan.rows.iter().map(|(_, sum)| sum.map(|sum| sum.currency().code().to_owned())).collect::<Vec<_>>()
                as &[Option<String>],
            &plan.rows.iter().map(|(_, sum)| sum.map(|sum| sum.amount())).collect::<Vec<_>>() as &[Option<Decimal>],
        )
        .execute(&mut *db)
        .await?;
        alerts.push(Alert {
            kind: "fuse_tripped",
            subject: plan.id.to_string(),
            detail: format!(
                "{} {} in a day, of {} accounts, are far more than usual: none was done. Look at them with `berth sweep \
                 accounts --dry-run`; if they are right, `berth sweep accounts --confirm {}` does them, within a day.",
                plan.count,
                plan.what.as_str(),
                plan.of_accounts,
                plan.id
            ),
        });
    }
    Ok(alerts)
}

pub(super) async fn confirm(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    for (_, (plan, by, at)) in gather(units, |e| &e.confirmed_plans) {
        sqlx::query!(
            "with told as (
                 update berth.fuse_plans set confirmed_at = $2, confirmed_by = $3 where id = $1 and confirmed_at is null
             )
             update berth.alerts
             set resolved_at = now()
             where kind = 'fuse_tripped' and subject = $4 and resolved_at is null",
            plan.0,
            at.to_sqlx(),
            by,
            plan.to_string(),
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
