//! Credit notes: numbered without gaps, like invoices and after them.

use std::collections::BTreeSet;

use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{UnitEffects, gather};
use crate::domain::refund::NUMBER_PREFIX;

/// Issues the notes that are among the effects, and one for the invoice of each renewal that is called off with them. The
/// counter is locked by a statement of its own, so that the next one sees the notes of whoever held it before.
pub(super) async fn issue(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let mut notes = gather(units, |e| &e.credit_notes);
    let moved = gather(units, |e| &e.renewal_moves);
    let unpaid: BTreeSet<Uuid> =
        moved.into_iter().filter(|(_, step)| step.to().is_called_off()).map(|(_, step)| step.order_id().0).collect();
    if notes.is_empty() && unpaid.is_empty() {
        return Ok(());
    }
    notes.sort_by_key(|(_, note)| (note.issued_at, note.id));
    sqlx::query_scalar!("select last from berth.credit_note_counter for no key update").fetch_one(&mut *db).await?;
    sqlx::query_file!(
        "src/store/queries/issue_credit_notes.sql",
        &notes.iter().map(|(_, note)| note.id.0).collect::<Vec<_>>(),
        &notes.iter().map(|(_, note)| note.refund_id.0).collect::<Vec<_>>(),
        &notes.iter().map(|(_, note)| note.invoice_id.0).collect::<Vec<_>>(),
        &notes.iter().map(|(_, note)| note.credit.subtotal.amount()).collect::<Vec<_>>(),
        &notes.iter().map(|(_, note)| note.credit.tax.amount()).collect::<Vec<_>>(),
        &notes.iter().map(|(_, note)| note.credit.total.amount()).collect::<Vec<_>>(),
        &notes.iter().map(|(_, note)| note.lines.clone()).collect::<Vec<_>>(),
        &notes.iter().map(|(_, note)| note.issued_at.to_sqlx()).collect::<Vec<_>>(),
        &unpaid.into_iter().collect::<Vec<_>>(),
        NUMBER_PREFIX,
    )
    .execute(db)
    .await?;
    Ok(())
}
