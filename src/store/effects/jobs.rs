//! Jobs that effects ask for.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use std::collections::BTreeSet;

use berth_jobs::mail::SendMail;
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{UnitEffects, gather, job_of, trace_of};
use crate::{
    effects::NewJob,
    store::jobs::{Dispatch, dispatch},
    trace::TraceParent,
};

/// A row to insert.
struct NewRow {
    id: Uuid,
    kind: &'static str,
    queue: &'static str,
    class: i16,
    payload: String,
    once_key: Option<String>,
    coalesce_key: Option<String>,
    serial: Option<String>,
    run_at: Option<jiff_sqlx::Timestamp>,
    caused_by: Option<Uuid>,
    traceparent: Option<String>,
}

impl NewRow {
    fn of(new: &NewJob, caused_by: Option<Uuid>, trace: Option<TraceParent>) -> Result<Self, sqlx::Error> {
        let kind = new.job.kind();
        Ok(Self {
            id: new.id.0,
            kind: kind.name,
            queue: kind.queue.as_str(),
            class: kind.class.number(),
            payload: new.job.payload().map_err(|error| sqlx::Error::Encode(Box::new(error)))?,
            once_key: new.once_key.clone(),
            coalesce_key: new.job.coalesce_key(),
            serial: new.job.serial(),
            run_at: new.run_at.map(ToSqlx::to_sqlx),
            caused_by,
            traceparent: trace.map(|trace| trace.to_string()),
        })
    }
}

/// Inserts the jobs of all units and those that send `mails`, but none whose key is taken; answers those that are to be
/// given to Redis next. Jobs of queues that are `overfull` wait for the relay.
pub(super) async fn insert(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    mails: Vec<(usize, SendMail)>,
    overfull: &[String],
) -> Result<Vec<Dispatch>, sqlx::Error> {
    let mails: Vec<(usize, NewJob)> = mails.into_iter().map(|(unit, job)| (unit, NewJob::now(job.into()))).collect();
    let of_mails = mails.iter().map(|(unit, new)| (*unit, new));
    let mut rows = Vec::new();
    for (unit, new) in gather(units, |e| &e.jobs).into_iter().chain(of_mails) {
        rows.push(NewRow::of(new, job_of(units, unit), trace_of(units, unit))?);
    }
    rows.sort_by(|a, b| (&a.once_key, &a.coalesce_key, a.id).cmp(&(&b.once_key, &b.coalesce_key, b.id)));
    let mut dispatches = Vec::new();
    while !rows.is_empty() {
        let inserted = insert_rows(db, &rows, overfull, &mut dispatches).await?;
        // What is left has a key that is taken.
        rows.retain(|row| row.coalesce_key.is_some() && !inserted.contains(&row.id));
        if rows.is_empty() {
            break;
        }
        let joined = join_waiting(db, &rows, overfull, &mut dispatches).await?;
        // A waiting like that began to run meanwhile may not see what is asked for here: another one has to.
        rows.retain(|row| row.once_key.is_none() && row.coalesce_key.as_ref().is_some_and(|key| !joined.contains(key)));
    }
    Ok(dispatches)
}

/// Answers which of them were inserted.
async fn insert_rows(
    db: &mut PgConnection,
    rows: &[NewRow],
    overfull: &[String],
    dispatches: &mut Vec<Dispatch>,
) -> Result<BTreeSet<Uuid>, sqlx::Error> {
    let inserted = sqlx::query_file!(
        "src/store/queries/insert_jobs.sql",
        &rows.iter().map(|row| row.id).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.kind.to_owned()).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.queue.to_owned()).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.class).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.payload.clone()).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.once_key.clone()).collect::<Vec<_>>() as &[Option<String>],
        &rows.iter().map(|row| row.coalesce_key.clone()).collect::<Vec<_>>() as &[Option<String>],
        &rows.iter().map(|row| row.serial.clone()).collect::<Vec<_>>() as &[Option<String>],
        &rows.iter().map(|row| row.run_at).collect::<Vec<_>>() as &[Option<jiff_sqlx::Timestamp>],
        &rows.iter().map(|row| row.caused_by).collect::<Vec<_>>() as &[Option<Uuid>],
        overfull,
        &rows.iter().map(|row| row.traceparent.clone()).collect::<Vec<_>>() as &[Option<String>],
    )
    .fetch_all(db)
    .await?;
    let given = inserted.iter().filter(|row| row.dispatched);
    dispatches.extend(given.filter_map(|row| dispatch(row.id, &row.queue, row.class, row.run_at.to_jiff())));
    Ok(inserted.into_iter().map(|row| row.id).collect())
}

/// Has those of which a like waits become that one; answers their keys.
async fn join_waiting(
    db: &mut PgConnection,
    rows: &[NewRow],
    overfull: &[String],
    dispatches: &mut Vec<Dispatch>,
) -> Result<BTreeSet<String>, sqlx::Error> {
    let waiting = sqlx::query_file!(
        "src/store/queries/join_waiting.sql",
        &rows.iter().map(|row| row.coalesce_key.clone()).collect::<Vec<_>>() as &[Option<String>],
        &rows.iter().map(|row| row.run_at).collect::<Vec<_>>() as &[Option<jiff_sqlx::Timestamp>],
        overfull,
    )
    .fetch_all(db)
    .await?;
    let given = waiting.iter().filter(|row| row.dispatched);
    dispatches.extend(given.filter_map(|row| dispatch(row.id, &row.queue, row.class, row.run_at.to_jiff())));
    Ok(waiting.into_iter().map(|row| row.coalesce_key).collect())
}
