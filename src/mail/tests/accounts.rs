//! The mails about accounts, as their readers see them.

use super::{super::Mail, render, sample};

/// Every mail of a kind that there is a sample of, one below the other.
pub(super) fn as_read(kind: &str) -> String {
    let mails = sample::mails().into_iter().filter(|mail| mail.kind() == kind);
    mails
        .map(|mail| {
            let rendered = render(&mail);
            format!("Subject: {}\n\n{}", rendered.subject, rendered.text)
        })
        .collect::<Vec<_>>()
        .join("\n==========\n")
}

#[test]
fn the_mails_about_accounts_read_well() {
    let kinds = [
        "account_suspended",
        "account_unsuspended",
        "account_terminated",
        "cancellation_confirmed",
        "cancellation_undone",
        "password_changed",
    ];
    for kind in kinds {
        insta::assert_snapshot!(format!("{kind}_text"), as_read(kind));
        let first = sample::mails().into_iter().find(|mail| mail.kind() == kind).unwrap();
        insta::assert_snapshot!(format!("{kind}_html"), render(&first).html);
    }
}

#[test]
fn an_account_that_stops_twice_is_told_of_twice() {
    let first = sample::account_suspended();
    let mut second = first.clone();
    second.suspended_at = first.suspended_at + jiff::SignedDuration::from_secs(1);

    assert_ne!(Mail::AccountSuspended(first).dedupe_key(), Mail::AccountSuspended(second).dedupe_key());
}

#[test]
fn what_staff_suspends_for_is_not_told_in_detail() {
    for mail in sample::mails() {
        let text = render(&mail).text.to_lowercase();
        assert!(!text.contains("abuse") && !text.contains("fraud"), "{text}");
    }
}
