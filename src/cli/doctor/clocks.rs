//! Clocks: this machine's against the database's and Stripe's. Leases and dates are the database's; signatures and
//! certificates are judged by this machine's.

use jiff::{SignedDuration, Timestamp};

use super::check::{Check, broken, ok, warning};

/// What another server's clock said, between two looks at ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) before: Timestamp,
    pub(super) theirs: Timestamp,
    pub(super) after: Timestamp,
}

/// How much a clock may differ.
struct Limits {
    warned: SignedDuration,
    refused: SignedDuration,
}

/// Signatures of Stripe's hold for 300 s; half of that is left for the way. Its Date has whole seconds.
const OF_STRIPE: Limits = Limits { warned: SignedDuration::from_secs(5), refused: SignedDuration::from_secs(150) };
/// Log lines and rows should tell one story.
const OF_DATABASE: Limits = Limits { warned: SignedDuration::from_secs(2), refused: SignedDuration::from_secs(60) };

pub(super) fn of_database(seen: Option<Seen>) -> Option<Check> {
    seen.map(|seen| judged("clock: database", &seen, &OF_DATABASE))
}

pub(super) fn of_stripe(seen: Option<Seen>) -> Option<Check> {
    seen.map(|seen| judged("clock: Stripe", &seen, &OF_STRIPE))
}

fn judged(name: &'static str, seen: &Seen, limits: &Limits) -> Check {
    // It was asked at some moment in between: what lies in there is no difference.
    let off = if seen.theirs < seen.before {
        seen.before.duration_since(seen.theirs)
    } else {
        seen.theirs.duration_since(seen.after).max(SignedDuration::ZERO)
    };
    let side = if seen.theirs < seen.before { "ahead of" } else { "behind" };
    let detail = format!("this machine is {}.{:03} s {side} it", off.as_secs(), off.subsec_millis());
    let fix = "have NTP keep it on time: systemctl enable --now systemd-timesyncd (or chrony), on both machines";
    if off > limits.refused {
        broken(name, detail, fix)
    } else if off > limits.warned {
        warning(name, detail, fix)
    } else {
        ok(name, "agree")
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::Verdict, *};

    fn seen(theirs: &str) -> Option<Seen> {
        let at = |text: &str| text.parse().unwrap();
        Some(Seen { before: at("2026-11-26T12:00:00Z"), theirs: at(theirs), after: at("2026-11-26T12:00:00.5Z") })
    }

    #[track_caller]
    fn says(check: Option<Check>, verdict: Verdict, words: &str) {
        let check = check.unwrap();
        assert_eq!(check.verdict, verdict, "{check:?}");
        assert!(check.detail.contains(words), "{check:?}");
    }

    #[test]
    fn a_moment_in_between_is_no_difference() {
        says(of_database(seen("2026-11-26T12:00:00.3Z")), Verdict::Ok, "agree");
        says(of_stripe(seen("2026-11-26T11:59:59Z")), Verdict::Ok, "agree");
    }

    #[test]
    fn a_clock_that_is_off_is_told_with_its_side_and_far_off_fails() {
        says(of_database(seen("2026-11-26T11:59:57Z")), Verdict::Warning, "3.000 s ahead of it");
        says(of_database(seen("2026-11-26T12:01:05.5Z")), Verdict::Broken, "65.000 s behind it");
        says(of_stripe(seen("2026-11-26T11:59:40Z")), Verdict::Warning, "20.000 s ahead of it");
        says(of_stripe(seen("2026-11-26T11:50:00Z")), Verdict::Broken, "600.000 s ahead of it");
    }

    #[test]
    fn a_clock_that_was_not_seen_is_not_judged() {
        assert_eq!(of_stripe(None), None);
    }
}
