//! Troubles for a person to look at: told, and over.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use sqlx::PgConnection;

use super::{UnitEffects, gather};
use crate::effects::Alert;

/// Ends what is over.
pub(super) async fn end(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let ended = gather(units, |e| &e.ended_alerts);
    if ended.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "with over as (
             select a.id
             from berth.alerts a
             join unnest($1::text[], $2::text[], $3::text[]) e (kind, subject, but_for)
                 on a.kind = e.kind and a.subject = e.subject and a.detail is distinct from e.but_for
             where a.resolved_at is null
             order by a.id
             for no key update of a
         )
         update berth.alerts a set resolved_at = now() from over where a.id = over.id",
        &ended.iter().map(|(_, alert)| alert.kind.to_owned()).collect::<Vec<_>>(),
        &ended.iter().map(|(_, alert)| alert.subject.clone()).collect::<Vec<_>>(),
        &ended.iter().map(|(_, alert)| alert.but_for.clone()).collect::<Vec<_>>() as &[Option<String>],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Tells what a person is to look at, unless the same is open.
pub(super) async fn insert(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    more: &[Alert],
) -> Result<(), sqlx::Error> {
    let mut alerts = gather(units, |e| &e.alerts);
    alerts.extend(more.iter().map(|alert| (usize::MAX, alert)));
    if alerts.is_empty() {
        return Ok(());
    }
    for (_, alert) in &alerts {
        tracing::error!(kind = alert.kind, subject = alert.subject, detail = alert.detail, "alert");
    }
    sqlx::query!(
        "insert into berth.alerts (id, kind, subject, detail)
         select gen_random_uuid(), n.kind, n.subject, n.detail
         from unnest($1::text[], $2::text[], $3::text[]) n (kind, subject, detail)
         on conflict do nothing",
        &alerts.iter().map(|(_, alert)| alert.kind.to_owned()).collect::<Vec<_>>(),
        &alerts.iter().map(|(_, alert)| alert.subject.clone()).collect::<Vec<_>>(),
        &alerts.iter().map(|(_, alert)| alert.detail.clone()).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}
