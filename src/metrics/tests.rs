//! The table of families, and the text that is made of what was counted.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::*;

#[test]
fn every_family_says_its_unit_and_what_it_means() {
    let units = ["_total", "_seconds", "_bytes", "_units", "_accounts"];
    let counts = ["_due", "_running", "_dead", "_quarantined", "_live", "_open", "_unsettled", "_way", "_end", "_late"];
    let states = ["_up", "_broken", "_failing", "_info", "_waiting", "_fds", "_threads"];
    let ends: Vec<&str> = [&units[..], &counts, &states].concat();
    let names: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();

    assert_eq!(names.len(), FAMILIES.len(), "a family twice");
    for family in FAMILIES {
        assert!(ends.iter().any(|end| family.name.ends_with(end)), "{}", family.name);
        assert!(family.help.ends_with('.') && !family.help.contains('\n'), "{}", family.name);
        assert_eq!(matches!(family.kind, Kind::Counter), family.name.ends_with("_total"), "{}", family.name);
        if let Kind::Histogram(bounds) = family.kind {
            assert!(bounds.is_sorted() && !bounds.is_empty(), "{}", family.name);
        }
    }
}

#[test]
fn what_was_counted_is_shown_once_with_its_labels() {
    ran("send_mail", RunOutcome::Done, Duration::from_millis(30));
    ran("of_a_newer_version", RunOutcome::Snooze, Duration::ZERO);
    called(Calls::Panel, "web1", "ok", Duration::from_secs(1));
    moved(MoneyOutcome::Refunded, "KWD", Decimal::new(1_005, 3));
    moved(MoneyOutcome::Refunded, "KWD", Decimal::new(2, 3));

    let text = render(vec![Sample::new("berth_database_up", &[], 1)]);

    for line in [
        "berth_job_runs_total{kind=\"send_mail\",outcome=\"done\"} 1",
        "berth_job_runs_total{kind=\"unknown\",outcome=\"snooze\"} 1",
        "berth_job_duration_seconds_bucket{kind=\"send_mail\",le=\"0.1\"} 1",
        "berth_panel_calls_total{server=\"web1\",outcome=\"ok\"} 1",
        "berth_money_total{outcome=\"refunded\",currency=\"KWD\"} 1.007",
        "berth_database_up 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    for family in FAMILIES {
        let heading = format!("# TYPE {} {}\n", family.name, family.kind.as_str());
        assert_eq!(text.matches(&heading).count(), 1, "{heading}");
    }
}
