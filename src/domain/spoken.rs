//! How long something took or is away, as a person says it.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// `340 ms`, `12 s`, `4 min`, `3 h 10 min`, `2 d 4 h`, `95 d`. A negative length is told as if it were positive.
#[must_use]
pub fn length(of: SignedDuration) -> String {
    let of = of.abs();
    let (seconds, minutes, hours) = (of.as_secs(), of.as_mins(), of.as_hours());
    let days = hours / 24;
    let both = |large: i64, large_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        small => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match of.as_millis() {
        ms @ 0..1_000 => format!("{ms} ms"),
        _ if seconds < 60 => format!("{seconds} s"),
        _ if minutes < 60 => format!("{minutes} min"),
        _ if hours < 24 => both(hours, "h", minutes % 60, "min"),
        _ if days < 14 => both(days, "d", hours % 24, "h"),
        _ => format!("{days} d"),
    }
}

/// `12 s ago`, or `in 40 s`; `just now` within a second.
#[must_use]
pub fn away(at: Timestamp, now: Timestamp) -> String {
    let past = now.duration_since(at);
    match past.as_secs() {
        0 => "just now".to_owned(),
        1.. => format!("{} ago", length(past)),
        _ => format!("in {}", length(past)),
    }
}

/// The time of day where it is of the same day, else day and time; in UTC.
#[must_use]
pub fn moment(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (at.to_zoned(TimeZone::UTC), now.to_zoned(TimeZone::UTC));
    let form = if at.date() == now.date() { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
    at.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_told_by_its_two_largest_units() {
        for (ms, told) in [
            (0, "0 ms"),
            (340, "340 ms"),
            (12_999, "12 s"),
            (60_000, "1 min"),
            (3_599_000, "59 min"),
            (3_600_000, "1 h"),
            (11_400_000, "3 h 10 min"),
            (86_400_000, "1 d"),
            (187_200_000, "2 d 4 h"),
            (8_208_000_000, "95 d"),
        ] {
            assert_eq!(length(SignedDuration::from_millis(ms)), told);
            assert_eq!(length(SignedDuration::from_millis(-ms)), told);
        }
    }

    #[test]
    fn a_time_is_told_by_how_far_it_is_away() {
        let now: Timestamp = "2026-11-26T14:02:40Z".parse().unwrap();

        assert_eq!(away(now - SignedDuration::from_secs(12), now), "12 s ago");
        assert_eq!(away(now + SignedDuration::from_secs(40), now), "in 40 s");
        assert_eq!(away(now - SignedDuration::from_millis(300), now), "just now");
        assert_eq!(moment(now, now), "14:02 UTC");
        assert_eq!(moment(now - SignedDuration::from_hours(24), now), "2026-11-25 14:02 UTC");
    }
}
