//! The mails about changes of plan, and the operator's, as their readers see them.

use super::{super::Mail, accounts::as_read, render, sample};

#[test]
fn the_mails_about_changes_and_the_digest_read_well() {
    for kind in ["package_changed", "change_not_made", "digest"] {
        insta::assert_snapshot!(format!("{kind}_text"), as_read(kind));
        let first = sample::mails().into_iter().find(|mail| mail.kind() == kind).unwrap();
        insta::assert_snapshot!(format!("{kind}_html"), render(&first).html);
    }
}

#[test]
fn every_change_is_told_of_once_and_every_day_too() {
    let key = |mail: Mail| mail.dedupe_key();
    let changed = sample::package_changed();
    let mut another = changed.clone();
    another.change_id = berth_jobs::ids::PlanChangeId::new();
    let digest = sample::digest();
    let mut tomorrow = digest.clone();
    tomorrow.day = digest.day.tomorrow().unwrap();

    assert_ne!(key(Mail::PackageChanged(changed.clone())), key(Mail::PackageChanged(another)));
    assert_eq!(key(Mail::Digest(digest.clone())), "digest:2026-01-01");
    assert_ne!(key(Mail::Digest(digest)), key(Mail::Digest(tomorrow)));
    // A change that was not made is another mail than one that was.
    let not_made = sample::change_not_made();
    assert_ne!(key(Mail::PackageChanged(changed)), key(Mail::ChangeNotMade(not_made)));
}
