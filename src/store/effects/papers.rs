//! What is only ever added: staff's audit, tickets to listen with, and invoices.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use jiff_sqlx::ToSqlx;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{UnitEffects, gather};
use crate::{
    domain::money::Money,
    effects::{NewAudit, NewInvoice},
};

/// So many tickets that nobody took are removed when another one is handed out.
const EXPIRED_TICKETS: i64 = 10;

pub(super) async fn insert_audits(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let audits = gather(units, |e| &e.audits);
    if audits.is_empty() {
        return Ok(());
    }
    let texts = |f: fn(&NewAudit) -> String| audits.iter().map(|(_, audit)| f(audit)).collect::<Vec<_>>();
    let json = |f: fn(&NewAudit) -> Option<Value>| audits.iter().map(|(_, audit)| f(audit)).collect::<Vec<_>>();
    sqlx::query!(
        "insert into berth.audit (id, at, actor, action, subject, reason, before, after)
         select n.id, n.at, n.actor, n.action, n.subject, n.reason, n.before, n.after
         from unnest(
                 $1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::jsonb[]
             ) n (id, at, actor, action, subject, reason, before, after)",
        &audits.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>(),
        &audits.iter().map(|(_, audit)| audit.at.to_sqlx()).collect::<Vec<_>>(),
        &texts(|audit| audit.actor.clone()),
        &texts(|audit| audit.action.to_owned()),
        &texts(|audit| audit.subject.clone()),
        &audits.iter().map(|(_, audit)| audit.reason.clone()).collect::<Vec<_>>() as &[Option<String>],
        &json(|audit| audit.before.clone()) as &[Option<Value>],
        &json(|audit| audit.after.clone()) as &[Option<Value>],
    )
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn insert_tickets(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let tickets = gather(units, |e| &e.stream_tickets);
    if tickets.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "with expired as (
             delete from berth.stream_tickets
             where hash in (
                 select hash from berth.stream_tickets
                 where expires_at <= berth.now()
                 order by expires_at
                 limit $5
                 for update skip locked
             )
         )
         insert into berth.stream_tickets (hash, customer_id, order_id, expires_at)
         select n.hash, n.customer_id, n.order_id, n.expires_at
         from unnest($1::bytea[], $2::uuid[], $3::uuid[], $4::timestamptz[]) n (hash, customer_id, order_id, expires_at)
         on conflict (hash) do nothing",
        &tickets.iter().map(|(_, ticket)| ticket.hash.to_vec()).collect::<Vec<_>>(),
        &tickets.iter().map(|(_, ticket)| ticket.customer_id.0).collect::<Vec<_>>(),
        &tickets.iter().map(|(_, ticket)| ticket.order_id.0).collect::<Vec<_>>(),
        &tickets.iter().map(|(_, ticket)| ticket.expires_at.to_sqlx()).collect::<Vec<_>>(),
        EXPIRED_TICKETS,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Issues invoices, the last thing that a transaction does: everybody who issues one waits for the counter. It is
/// locked by a statement of its own, so that the next one sees the invoices of whoever held it before.
pub(super) async fn issue_invoices(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let mut invoices = gather(units, |e| &e.invoices);
    if invoices.is_empty() {
        return Ok(());
    }
    invoices.sort_by_key(|(_, invoice)| invoice.order_id);
    sqlx::query_scalar!("select last from berth.invoice_counter for no key update").fetch_one(&mut *db).await?;
    let texts = |f: fn(&NewInvoice) -> String| invoices.iter().map(|(_, invoice)| f(invoice)).collect::<Vec<_>>();
    let sums = |f: fn(&NewInvoice) -> Money| invoices.iter().map(|(_, i)| f(i).amount()).collect::<Vec<_>>();
    let json = |f: fn(&NewInvoice) -> Value| invoices.iter().map(|(_, invoice)| f(invoice)).collect::<Vec<_>>();
    sqlx::query_file!(
        "src/store/queries/issue_invoices.sql",
        &invoices.iter().map(|(_, invoice)| invoice.id.0).collect::<Vec<_>>(),
        &invoices.iter().map(|(_, invoice)| invoice.order_id.0).collect::<Vec<_>>(),
        &invoices.iter().map(|(_, invoice)| invoice.customer_id.0).collect::<Vec<_>>(),
        &texts(|invoice| invoice.prefix.clone()),
        &texts(|invoice| invoice.total.currency().code().to_owned()),
        &sums(|invoice| invoice.subtotal),
        &sums(|invoice| invoice.discount),
        &sums(|invoice| invoice.tax),
        &sums(|invoice| invoice.total),
        &json(|invoice| invoice.seller.clone()),
        &json(|invoice| invoice.buyer.clone()),
        &json(|invoice| invoice.lines.clone()),
        &invoices.iter().map(|(_, invoice)| invoice.issued_at.to_sqlx()).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}
