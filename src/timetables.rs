//! The timetable that an account has: the shop's, its plan's and its own.

use std::borrow::Cow;

use crate::{
    app::Parts,
    domain::timetable::{InvalidTimetable, Timetable, TimetableChanges},
};

/// The timetable of an account of that service, with changes of its own.
///
/// # Errors
/// When its steps are in an order that cannot be, in words.
pub fn merged(parts: &Parts, service_id: &str, own: &TimetableChanges) -> Result<Timetable, InvalidTimetable> {
    parts.timetables.of(service_id, own).map(Cow::into_owned)
}

/// As [`merged`]; where the account's own changes no longer fit to what the shop has, without them.
#[must_use]
pub fn of_account(parts: &Parts, service_id: &str, own: &TimetableChanges) -> Timetable {
    merged(parts, service_id, own)
        .or_else(|_| merged(parts, service_id, &TimetableChanges::default()))
        .unwrap_or_default()
}
