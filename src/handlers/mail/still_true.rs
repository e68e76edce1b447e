//! Whether what a mail says is still true when it can be sent at last.

use jiff::SignedDuration;

use crate::{
    app::Ctx,
    domain::{
        outdated::{ChargedCard, Claim, Outdated, card_outdated, decline_outdated},
        timetable,
    },
    error::JobError,
    mail::CardExpiring,
    store::mails::MailRow,
    timetables,
};

/// What was decided with a mail's own commit is not asked again for so long: it is on its way for longer.
const FRESH: SignedDuration = SignedDuration::from_secs(5);

/// Why a mail is not to be sent any more; `None` where it is.
pub(super) async fn outdated(row: &MailRow, ctx: &Ctx) -> Result<Option<Outdated>, JobError> {
    if row.by_hand || ctx.now().duration_since(row.created_at) < FRESH {
        return Ok(None);
    }
    Ok(match row.mail.claim() {
        Claim::Lasting => None,
        Claim::Step { account, due_at, notice } => {
            let Some(entry) = ctx.store.agenda_entry(account).await? else { return Ok(Some(Outdated::Ended)) };
            let table = timetables::of_account(ctx, &entry.service_id, &entry.timetable);
            timetable::outdated(ctx.now(), &entry.facts, &table, due_at, notice)
        }
        Claim::Declined(charge) => decline_outdated(&ctx.store.declined_charge(charge).await?),
        Claim::CardExpires(told) => {
            let card = ctx.store.card_that_renews(told.customer).await?;
            let last_month = card.as_ref().map(|card| CardExpiring::month(card.exp_year, card.exp_month));
            let charged = card.as_ref().zip(last_month.as_deref()).map(|(card, last_month)| ChargedCard {
                id: &card.id,
                last_month,
                expires_at: card.expires_at,
            });
            card_outdated(ctx.now(), &told, charged.as_ref(), ctx.timetables.shop())
        }
    })
}
