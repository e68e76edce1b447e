//! Mails that are not to be sent any more.

use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;

use super::{UnitEffects, gather};

/// Writes down that mails are withdrawn, and why. Neither their keys nor the steps of timetables that they were for count as
/// told any more: should it be true again, it is told by another mail.
pub(super) async fn withdraw(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let mut withdrawn = gather(units, |e| &e.withdrawn_mails);
    if withdrawn.is_empty() {
        return Ok(());
    }
    withdrawn.sort_by_key(|(_, mail)| mail.id);
    sqlx::query!(
        "with withdrawn as (
             update berth.mails m
             set withdrawn_at = f.at, withdrawn_because = f.because,
                 dedupe_key = m.dedupe_key || ':withdrawn:' || berth.show_id('mail_', m.id)
             from unnest($1::uuid[], $2::timestamptz[], $3::text[]) f (id, at, because)
             where m.id = f.id and m.accepted_at is null and m.refused_at is null and m.withdrawn_at is null
             returning m.id, m.about
         )
         delete from berth.notices n
         using withdrawn w
         where n.account_id = w.about and n.mail_id = w.id",
        &withdrawn.iter().map(|(_, mail)| mail.id.0).collect::<Vec<_>>(),
        &withdrawn.iter().map(|(_, mail)| mail.at.to_sqlx()).collect::<Vec<_>>(),
        &withdrawn.iter().map(|(_, mail)| mail.because.to_string()).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}
