//! The mails of renewals that are charged, as their readers see them.

use super::{super::Mail, accounts::as_read, render, sample};

#[test]
fn the_mails_about_charges_read_well() {
    for kind in ["renewal_receipt", "payment_failed", "payment_confirmation_needed", "card_expiring"] {
        insta::assert_snapshot!(format!("{kind}_text"), as_read(kind));
        let first = sample::mails().into_iter().find(|mail| mail.kind() == kind).unwrap();
        insta::assert_snapshot!(format!("{kind}_html"), render(&first).html);
    }
}

#[test]
fn every_charge_that_failed_is_told_of_and_a_card_twice_a_month() {
    let key = |mail: Mail| mail.dedupe_key();
    let failed = sample::payment_failed();
    let mut again = failed.clone();
    again.charge_id = berth_jobs::ids::ChargeId::new();
    let card = sample::card_expiring();
    let mut second = card.clone();
    second.number = 2;

    assert_ne!(key(Mail::PaymentFailed(failed)), key(Mail::PaymentFailed(again)));
    assert_ne!(key(Mail::CardExpiring(card)), key(Mail::CardExpiring(second)));
}
