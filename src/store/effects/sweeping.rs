//! What the schedule and the sweeps write: ticks, when pages are asked about next, and the end of what is left over.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{super::sweeps::youngest_id_of, Applied, UnitEffects, Why, gather, standing};
use crate::effects::Leftovers;

/// Begins a sweep's run once, whoever asks. A tick that comes after a later one is too late.
pub(super) async fn tick(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    for (unit, tick) in standing(units, applied, |e| &e.ticks) {
        let begun = sqlx::query!(
            "insert into berth.ticks (name, due_at, at)
             select $1, $2, berth.now()
             where not exists (select from berth.ticks t where t.name = $1 and t.due_at > $2)
             on conflict do nothing",
            tick.name,
            tick.due_at.to_sqlx(),
        )
        .execute(&mut *db)
        .await?
        .rows_affected();
        if begun == 0 {
            applied.refuse(unit, format!("the tick {} of {}", tick.due_at, tick.name), Why::AlreadyThere);
        }
    }
    Ok(())
}

/// Says when Stripe is asked about pages next.
pub(super) async fn ask_later(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let asks = gather(units, |e| &e.page_asks);
    if asks.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "with held as materialized (
             select id from berth.checkout_sessions where id = any ($1) order by id for no key update
         )
         update berth.checkout_sessions s
         set ask_at = n.at
         from held, unnest($1::text[], $2::timestamptz[]) n (id, at)
         where s.id = held.id and s.id = n.id and s.state = 'open' and s.ask_at < n.at",
        &asks.iter().map(|(_, (id, _))| id.clone()).collect::<Vec<_>>(),
        &asks.iter().map(|(_, (_, at))| at.to_sqlx()).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes what is left over, at most so many rows of each kind.
pub(super) async fn delete_leftovers(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    for (_, left) in gather(units, |e| &e.leftovers) {
        sqlx::query!(
            "delete from berth.stream_tickets
             where hash in (
                 select hash from berth.stream_tickets where expires_at < $1 order by expires_at limit $2
                 for update skip locked
             )",
            left.tickets.to_sqlx(),
            left.most,
        )
        .execute(&mut *db)
        .await?;
        // The oldest rows are the first of the primary key, and none that is younger is looked at.
        let youngest: Uuid = youngest_id_of(left.jobs);
        sqlx::query!(
            "delete from berth.jobs
             where id in (
                 select id
                 from berth.jobs
                 where id < $1 and state in ('done', 'cancelled') and finished_at < $2
                 order by id
                 limit $3
                 for update skip locked
             )",
            youngest,
            left.jobs.to_sqlx(),
            left.most,
        )
        .execute(&mut *db)
        .await?;
        // The last one of each sweep stays: the schedule goes on from it.
        sqlx::query!(
            "delete from berth.ticks
             where (name, due_at) in (
                 select t.name, t.due_at
                 from berth.ticks t
                 where t.due_at < $1
                   and t.due_at < (select max(l.due_at) from berth.ticks l where l.name = t.name)
                 limit $2
             )",
            left.ticks.to_sqlx(),
            left.most,
        )
        .execute(&mut *db)
        .await?;
        empty(db, left).await?;
        forget(db, left).await?;
    }
    Ok(())
}

/// What mails said and what events held is forgotten; that they were sent and came is kept, so that they are not again.
async fn empty(db: &mut PgConnection, left: &Leftovers) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update berth.mails
         set context = '{}', emptied_at = berth.now()
         where id = any (
             array(
                 select id
                 from berth.mails
                 where accepted_at < $1 and emptied_at is null
                 order by accepted_at
                 limit $2
                 for update skip locked
             ) || array(
                 select id
                 from berth.mails
                 where withdrawn_at < $1 and emptied_at is null
                 order by withdrawn_at
                 limit $2
                 for update skip locked
             )
         )",
        left.mails.to_sqlx(),
        left.most,
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "update berth.stripe_events
         set payload = '', emptied_at = berth.now()
         where id in (
             select id
             from berth.stripe_events
             where received_at < $1 and emptied_at is null and outcome in ('applied', 'ignored')
             order by received_at
             limit $2
             for update skip locked
         )",
        left.events.to_sqlx(),
        left.most,
    )
    .execute(&mut *db)
    .await?;
    Ok(())
}

/// Passwords that nobody has looked at in time are kept nowhere from then on; samples of usage grow old.
async fn forget(db: &mut PgConnection, left: &Leftovers) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update berth.hosting_accounts
         set sealed_password = null, password_asked_at = null
         where id in (
             select id
             from berth.hosting_accounts
             where sealed_password is not null
               and coalesce(password_asked_at, password_set_at, activated_at) < $1
             order by id
             limit $2
             for no key update skip locked
         )",
        left.passwords.to_sqlx(),
        left.most,
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "delete from berth.usage_samples
         where (account_id, day) in (
             select account_id, day from berth.usage_samples where day <= $1 order by day limit $2
             for update skip locked
         )",
        left.usage.to_sqlx() as jiff_sqlx::Date,
        left.most,
    )
    .execute(&mut *db)
    .await?;
    Ok(())
}

/// Says until when Stripe's events are known whole.
pub(super) async fn know_events(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let Some(until) = units.iter().filter_map(|unit| unit.effects.events_known_until).max() else { return Ok(()) };
    sqlx::query!(
        "insert into berth.reconciliation (events_known_until)
         values ($1)
         on conflict (only_row) do update
         set events_known_until = greatest(reconciliation.events_known_until, excluded.events_known_until)",
        until.to_sqlx(),
    )
    .execute(db)
    .await?;
    Ok(())
}
