//! What is written about money that goes back: a mail for each refund that is on its way, and a credit note for each that has
//! arrived. Both are written once, however often they are asked for.

use berth_jobs::ids::{CreditNoteId, RefundId};
use serde_json::json;

use crate::{
    app::Ctx,
    domain::{
        money::Money,
        refund::{self, CreditLine, RefundState},
    },
    effects::{Alert, Effects, NewCreditNote},
    error::{JobError, chain},
    mail::{Mail, RefundIssued},
    store::{
        invoices::Invoice,
        orders::Order,
        payments::{Payment, PaymentState},
    },
};

/// A refund as it stands once this run's news are known.
pub(super) struct Standing {
    pub(super) id: RefundId,
    pub(super) amount: Money,
    pub(super) state: RefundState,
    pub(super) has_note: bool,
}

/// More notes of one invoice are not read: each takes back at least a cent of it.
const MOST_NOTES: i64 = 10_000;

/// The papers that a payment's refunds are owed. Money that was not owed was never on an invoice, and has no notes.
pub(super) async fn of_refunds(ctx: &Ctx, payment: &Payment, refunds: &[Standing]) -> Result<Effects, JobError> {
    if refunds.iter().all(|it| !is_out(it)) {
        return Ok(Effects::none());
    }
    let order = ctx.store.order(payment.order_id).await?;
    let mut effects = Effects::none();
    for refund in refunds.iter().filter(|it| is_out(it)) {
        effects = effects.mail(order.customer.id, mail(ctx, &order, refund));
    }
    let unnoted: Vec<&Standing> =
        refunds.iter().filter(|it| it.state == RefundState::Succeeded && !it.has_note).collect();
    if payment.state != PaymentState::Succeeded || unnoted.is_empty() {
        return Ok(effects);
    }
    let Some(invoice) = ctx.store.invoice_of(payment.order_id).await? else { return Ok(effects) };
    let notes = ctx.store.credit_notes_on(invoice.id, MOST_NOTES).await?;
    let mut noted: Vec<CreditLine> = notes.into_iter().flat_map(|note| note.lines).collect();
    for refund in unnoted {
        effects = match note(ctx, &invoice, &noted, refund) {
            Ok(note) => {
                noted.extend(note.credit.lines.iter().cloned());
                effects.credit_note(note)
            }
            Err(why) => effects.alert(unwritten(&invoice, refund.amount, &why)),
        };
    }
    Ok(effects)
}

/// Whether the money is on its way, or has arrived.
const fn is_out(refund: &Standing) -> bool {
    matches!(refund.state, RefundState::Pending | RefundState::Succeeded)
}

fn mail(ctx: &Ctx, order: &Order, refund: &Standing) -> Mail {
    Mail::RefundIssued(RefundIssued {
        refund_id: refund.id,
        order_id: order.state.id,
        customer_name: order.customer.name.clone(),
        amount: refund.amount.amount_text(),
        currency: refund.amount.currency().code().to_owned(),
        order_url: format!("{}/orders/{}", ctx.shop.url, order.state.id),
    })
}

fn note(ctx: &Ctx, invoice: &Invoice, noted: &[CreditLine], refund: &Standing) -> Result<NewCreditNote, String> {
    let credit = refund::credit(&invoice.lines, noted, refund.amount).map_err(|error| chain(&error))?;
    Ok(NewCreditNote {
        id: CreditNoteId::new(),
        refund_id: refund.id,
        invoice_id: invoice.id,
        lines: json!(credit.lines),
        credit,
        issued_at: ctx.now(),
    })
}

fn unwritten(invoice: &Invoice, amount: Money, why: &str) -> Alert {
    Alert {
        kind: "credit_note_missing",
        subject: invoice.id.to_string(),
        detail: format!("{amount} of {} went back, and no credit note can be written: {why}.", invoice.number),
    }
}
