//! What a customer is told of a charge that did not go through.

use crate::{
    app::Ctx,
    domain::{
        card,
        decline::{DeclineClass, Declined},
        renewal::RenewalPhase,
        timetable::{LastCharge, next_charge},
    },
    effects::ChargeDecline,
    error::JobError,
    fulfilment::Renewing,
    mail::{Mail, PaymentConfirmationNeeded, PaymentFailed},
    store::renewals::Charge,
    timetables,
};

/// The mail for a charge that was declined, or that the customer has to confirm.
pub(super) async fn declined(
    ctx: &Ctx,
    renewing: &Renewing,
    charge: &Charge,
    decline: &ChargeDecline,
) -> Result<Mail, JobError> {
    let pay_url = ctx.secrets()?.pay_link(ctx.config.http.public_url.as_str(), charge.order_id);
    let cards = ctx.store.cards_of(renewing.order.customer.id).await?;
    let known = cards.iter().find(|card| card.id == charge.card_id);
    let shown = card::shown(known.and_then(|it| it.brand.as_deref()), known.and_then(|it| it.last4.as_deref()));
    let (order, account) = (&renewing.order, &renewing.account);
    Ok(match decline.class {
        DeclineClass::NeedsCustomer => Mail::PaymentConfirmationNeeded(PaymentConfirmationNeeded {
            charge_id: charge.id,
            order_id: charge.order_id,
            customer_name: order.customer.name.clone(),
            service_name: account.service_name.clone(),
            domain: account.domain.clone(),
            amount: charge.amount.amount_text(),
            currency: charge.amount.currency().code().to_owned(),
            card: shown,
            due_at: renewing.renewal.period_start,
            pay_url,
        }),
        DeclineClass::Hard | DeclineClass::Soft => Mail::PaymentFailed(PaymentFailed {
            charge_id: charge.id,
            order_id: charge.order_id,
            customer_name: order.customer.name.clone(),
            service_name: account.service_name.clone(),
            domain: account.domain.clone(),
            amount: charge.amount.amount_text(),
            currency: charge.amount.currency().code().to_owned(),
            card: shown,
            reason: reason(decline).map(str::to_owned),
            next_try: next_try(ctx, renewing, charge, decline.class).await?,
            due_at: renewing.renewal.period_start,
            pay_url,
            cards_url: format!("{}/payment-methods", ctx.shop.url),
        }),
    })
}

/// When the same card is tried again, if things stay as they are.
async fn next_try(
    ctx: &Ctx,
    renewing: &Renewing,
    charge: &Charge,
    class: DeclineClass,
) -> Result<Option<jiff::Timestamp>, JobError> {
    let Some(entry) = ctx.store.agenda_entry(renewing.account.state.id).await? else { return Ok(None) };
    let table = timetables::of_account(ctx, &entry.service_id, &entry.timetable);
    let mut facts = entry.facts;
    // As it will be once this answer is committed.
    if let Some(renewal) = &mut facts.renewal {
        renewal.phase = RenewalPhase::PastDue;
        renewal.attempts_on_card = renewal.attempts_on_card.saturating_add(u32::from(charge.is_open()));
        renewal.last_charge = Some(LastCharge { at: ctx.now(), class });
    }
    Ok(next_charge(ctx.now(), &facts, &table))
}

/// The bank's reason in our words; none where it says nothing of use, or must not be told.
fn reason(decline: &ChargeDecline) -> Option<&'static str> {
    let declined = Declined {
        code: decline.code.as_deref(),
        decline_code: decline.decline_code.as_deref(),
        advice_code: decline.advice_code.as_deref(),
    };
    match declined.shown()? {
        "insufficient_funds" => Some("there is not enough money on its account"),
        "card_velocity_exceeded" | "withdrawal_count_limit_exceeded" => Some("its limit is reached"),
        "expired_card" => Some("it has expired"),
        "card_not_supported" | "currency_not_supported" | "transaction_not_allowed" => {
            Some("it cannot be used for such payments")
        }
        "incorrect_number" | "invalid_number" | "invalid_account" | "new_account_information_available" => {
            Some("its number is not valid any more")
        }
        "issuer_not_available" | "processing_error" | "try_again_later" | "reenter_transaction" => {
            Some("the bank could not be reached")
        }
        _ => None,
    }
}
