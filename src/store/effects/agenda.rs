//! When accounts are looked at next. Whatever may make another step due brings the look forward to now; who has looked puts
//! it off, unless something has happened since.

use std::collections::BTreeSet;

use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{UnitEffects, gather};

/// Writes both. Accounts that are not live yet have no timetable; those whose end is behind them have a purge to come.
pub(super) async fn write(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    put_off(db, units).await?;
    bring_forward(db, units).await
}

async fn bring_forward(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let moved = gather(units, |e| &e.account_moves);
    let mut accounts: BTreeSet<Uuid> = moved
        .into_iter()
        .filter(|(_, step)| step.to().is_live() || step.to().is_over())
        .map(|(_, step)| step.id().0)
        .collect();
    accounts.extend(gather(units, |e| &e.new_renewals).into_iter().map(|(_, it)| it.account_id.0));
    accounts.extend(gather(units, |e| &e.notices).into_iter().map(|(_, it)| it.account_id.0));
    let orders: BTreeSet<Uuid> =
        gather(units, |e| &e.renewal_moves).into_iter().map(|(_, step)| step.order_id().0).collect();
    accounts.extend(gather(units, |e| &e.looks).into_iter().map(|(_, id)| id.0));
    let customers: BTreeSet<Uuid> = gather(units, |e| &e.looks_of).into_iter().map(|(_, id)| id.0).collect();
    if accounts.is_empty() && orders.is_empty() && customers.is_empty() {
        return Ok(());
    }
    let list = |ids: BTreeSet<Uuid>| ids.into_iter().collect::<Vec<_>>();
    sqlx::query!(
        "insert into berth.agenda (account_id, look_at)
         select ids.id, c.now
         from (select berth.now() as now) c, (
             select unnest($1::uuid[]) as id
             union
             select account_id from berth.renewals where order_id = any ($2)
             union
             select id
             from berth.hosting_accounts
             where customer_id = any ($3) and activated_at is not null and purged_at is null
         ) ids
         order by ids.id
         on conflict (account_id) do update set look_at = excluded.look_at, turn = agenda.turn + 1",
        &list(accounts),
        &list(orders),
        &list(customers),
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn put_off(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let mut looked = gather(units, |e| &e.looked);
    if looked.is_empty() {
        return Ok(());
    }
    looked.sort_by_key(|(_, it)| it.account_id);
    sqlx::query!(
        "with held as materialized (
             select a.account_id, n.next
             from unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) n (account_id, turn, next)
             join berth.agenda a on a.account_id = n.account_id and a.turn = n.turn
             order by a.account_id
             for no key update of a
         )
         update berth.agenda a
         set look_at = held.next
         from held
         where a.account_id = held.account_id",
        &looked.iter().map(|(_, it)| it.account_id.0).collect::<Vec<_>>(),
        &looked.iter().map(|(_, it)| it.turn).collect::<Vec<_>>(),
        &looked.iter().map(|(_, it)| it.next.to_sqlx()).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}
