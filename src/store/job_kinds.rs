//! What may be asked for by SQL: the program's own list of kinds, as the function `berth.enqueue` reads it.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

mod templates;

use berth_jobs::AnyJob;
use sqlx::PgConnection;

use templates::templates;

/// Makes the database's list the program's.
///
/// # Errors
/// When the database refuses.
pub(super) async fn publish(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    let kinds: Vec<_> = AnyJob::KINDS.iter().filter(|kind| kind.external).collect();
    let keys: Vec<_> = kinds.iter().map(|kind| templates(kind)).collect();
    let names: Vec<String> = kinds.iter().map(|kind| kind.name.to_owned()).collect();
    sqlx::query!("delete from berth.job_kinds where kind <> all ($1)", &names).execute(&mut *db).await?;
    sqlx::query!(
        "insert into berth.job_kinds (kind, queue, class, payload_schema, coalesce_key, serial)
         select n.kind, n.queue, n.class, n.payload_schema::jsonb, n.coalesce_key, n.serial
         from unnest($1::text[], $2::text[], $3::int2[], $4::text[], $5::text[], $6::text[])
              n (kind, queue, class, payload_schema, coalesce_key, serial)
         on conflict (kind) do update
         set queue = excluded.queue, class = excluded.class, payload_schema = excluded.payload_schema,
             coalesce_key = excluded.coalesce_key, serial = excluded.serial",
        &names,
        &kinds.iter().map(|kind| kind.queue.to_string()).collect::<Vec<_>>(),
        &kinds.iter().map(|kind| kind.class.number()).collect::<Vec<_>>(),
        &kinds.iter().map(|kind| (kind.schema)().as_value().to_string()).collect::<Vec<_>>(),
        &keys.iter().map(|keys| keys.coalesce.clone()).collect::<Vec<_>>() as &[Option<String>],
        &keys.iter().map(|keys| keys.serial.clone()).collect::<Vec<_>>() as &[Option<String>],
    )
    .execute(db)
    .await?;
    Ok(())
}
