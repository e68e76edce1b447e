//! The mails about money that goes back, as their readers see them.

use super::{accounts::as_read, render, sample};

#[test]
fn the_mails_about_money_that_goes_back_read_well() {
    for kind in ["refund_issued", "dispute_opened"] {
        insta::assert_snapshot!(format!("{kind}_text"), as_read(kind));
        let first = sample::mails().into_iter().find(|mail| mail.kind() == kind).unwrap();
        insta::assert_snapshot!(format!("{kind}_html"), render(&first).html);
    }
}
