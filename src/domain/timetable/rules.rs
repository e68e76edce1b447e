//! Which timetables can be.

use super::Timetable;

/// As many days as any step may lie from D: longer ones would meet the next year's.
const MOST_DAYS: u32 = 365;
/// As many steps of one kind as a customer bears.
const MOST_STEPS: usize = 10;
/// A month may be this short: a renewal is invoiced within the period before it.
const SHORTEST_MONTH: u32 = 28;

/// A timetable whose steps are in an order that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this timetable cannot be: {0}")]
pub struct InvalidTimetable(String);

/// Refuses a timetable that cannot be, with its first fault.
pub(super) fn check(t: &Timetable) -> Result<(), InvalidTimetable> {
    let fault = [bounds(t), before(t), after(t), end(t)].into_iter().flatten().next();
    fault.map_or(Ok(()), |fault| Err(InvalidTimetable(fault)))
}

fn bounds(t: &Timetable) -> Option<String> {
    let days = [
        ("heads_up_days", t.heads_up_days),
        ("issue_days_annual", t.issue_days_annual),
        ("issue_days_monthly", t.issue_days_monthly),
        ("charge_within_days", t.charge_within_days),
        ("grace_hours", t.grace_hours / 24),
        ("suspend_days", t.suspend_days),
        ("final_warning_hours", t.final_warning_hours / 24),
        ("told_days", t.told_days),
        ("final_notice_days", t.final_notice_days),
        ("terminate_days", t.terminate_days),
        ("purge_days", t.purge_days / 2),
    ];
    let too_long = days.into_iter().find(|(_, days)| *days > MOST_DAYS);
    let steps = [
        ("reminder_days", t.reminder_days.len()),
        ("charge_days", t.charge_days.len()),
        ("overdue_days", t.overdue_days.len()),
        ("termination_warning_days", t.termination_warning_days.len()),
        ("card_expiry_days", t.card_expiry_days.len()),
    ];
    let too_many = steps.into_iter().find(|(_, steps)| *steps > MOST_STEPS);
    let reminds_far = t.reminder_days.iter().chain(&t.card_expiry_days).any(|days| *days > MOST_DAYS);
    too_long
        .map(|(name, _)| format!("{name} is more than a year"))
        .or_else(|| too_many.map(|(name, _)| format!("{name} has more than {MOST_STEPS} steps")))
        .or_else(|| reminds_far.then(|| "a reminder lies more than a year ahead".to_owned()))
}

/// Before D: announced, then invoiced, then reminded and charged.
fn before(t: &Timetable) -> Option<String> {
    let (annual, monthly) = (t.issue_days_annual, t.issue_days_monthly);
    let invoiced = annual.min(monthly);
    let first_charge = t.charge_days.first().copied().unwrap_or(0);
    let reminded = t.reminder_days.first().copied().unwrap_or(0);
    first([
        (t.issue_days_monthly >= SHORTEST_MONTH)
            .then(|| format!("issue_days_monthly ({monthly}) lies before the month that it follows")),
        (t.heads_up_days != 0 && t.heads_up_days <= annual)
            .then(|| format!("heads_up_days ({}) does not come before issue_days_annual ({annual})", t.heads_up_days)),
        (!falls(&t.reminder_days)).then(|| "reminder_days must fall: the earliest reminder first".to_owned()),
        t.reminder_days.contains(&0).then(|| "reminder_days has a 0: D itself is due_day_notice".to_owned()),
        (!falls(&t.card_expiry_days)).then(|| "card_expiry_days must fall: the earliest notice first".to_owned()),
        (reminded > invoiced).then(|| {
            format!("the first of reminder_days ({reminded}) comes before the invoice ({invoiced} days before D)")
        }),
        (!rises(&t.charge_days)).then(|| "charge_days must rise: the first charge first".to_owned()),
        (i64::from(first_charge) < -i64::from(invoiced)).then(|| {
            format!("the first of charge_days ({first_charge}) comes before the invoice ({invoiced} days before D)")
        }),
    ])
}

/// From D to the suspension: told, warned, suspended.
fn after(t: &Timetable) -> Option<String> {
    let last_overdue = t.overdue_days.last().copied().unwrap_or(0);
    let order = first([
        (!rises(&t.overdue_days)).then(|| "overdue_days must rise: the first notice first".to_owned()),
        t.overdue_days.contains(&0).then(|| "overdue_days has a 0: D itself is due_day_notice".to_owned()),
        (t.final_warning_hours == 0)
            .then(|| "final_warning_hours is 0: nobody is suspended without a warning".to_owned()),
        (t.told_days == 0).then(|| "told_days is 0: nobody is suspended who was not told before".to_owned()),
    ]);
    if order.is_some() || t.suspend_days == 0 {
        return order;
    }
    let suspended = t.suspend_days;
    let last_charge = t.charge_days.last().copied().unwrap_or(0);
    let hours = suspended.saturating_mul(24);
    first([
        (t.grace_hours >= hours)
            .then(|| format!("grace_hours ({}) begins after the suspension (day {suspended})", t.grace_hours)),
        (i64::from(last_charge) >= i64::from(suspended)).then(|| {
            format!("the last of charge_days ({last_charge}) does not come before the suspension (day {suspended})")
        }),
        (last_overdue.saturating_mul(24) >= hours.saturating_sub(t.final_warning_hours)).then(|| {
            format!(
                "the last of overdue_days ({last_overdue}) does not come before the last warning, {} hours before the \
                     suspension (day {suspended})",
                t.final_warning_hours
            )
        }),
    ])
}

/// From the suspension to the purge: warned, removed, forgotten.
fn end(t: &Timetable) -> Option<String> {
    let (suspended, removed) = (t.suspend_days, t.terminate_days);
    if removed == 0 {
        return None;
    }
    let warned = t.termination_warning_days.first().copied().unwrap_or(0);
    let last_warned = t.termination_warning_days.last().copied().unwrap_or(0);
    first([
        (suspended == 0)
            .then(|| "terminate_days is set and suspend_days is 0: only what is suspended is removed".to_owned()),
        (suspended >= removed)
            .then(|| format!("terminate_days ({removed}) does not come after suspend_days ({suspended})")),
        t.termination_warning_days.is_empty().then(|| "nothing is removed without termination_warning_days".to_owned()),
        (!rises(&t.termination_warning_days))
            .then(|| "termination_warning_days must rise: the first warning first".to_owned()),
        (warned <= suspended).then(|| {
            format!("the first of termination_warning_days ({warned}) does not come after suspend_days ({suspended})")
        }),
        (t.final_notice_days == 0).then(|| "final_notice_days is 0: nothing is removed without a warning".to_owned()),
        (last_warned.saturating_add(t.final_notice_days) > removed).then(|| {
            format!(
                "the last of termination_warning_days ({last_warned}) does not come final_notice_days ({}) before \
                     terminate_days ({removed})",
                t.final_notice_days
            )
        }),
        (t.purge_days < removed)
            .then(|| format!("purge_days ({}) comes before terminate_days ({removed})", t.purge_days)),
    ])
}

fn first<const N: usize>(faults: [Option<String>; N]) -> Option<String> {
    faults.into_iter().flatten().next()
}

fn rises<T: PartialOrd>(steps: &[T]) -> bool {
    steps.is_sorted_by(|a, b| a < b)
}

fn falls<T: PartialOrd>(steps: &[T]) -> bool {
    steps.is_sorted_by(|a, b| a > b)
}
