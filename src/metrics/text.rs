//! Prometheus' text format, for what is read and not counted.

use std::fmt::{Display, Write};

use super::families::FAMILIES;

/// One number, with the values of its family's labels in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    family: String,
    labels: Vec<String>,
    value: String,
}

impl Sample {
    /// A number of a family that `FAMILIES` knows.
    #[must_use]
    pub fn new(family: impl Into<String>, labels: &[&str], value: impl Display) -> Self {
        let labels = labels.iter().map(|value| (*value).to_owned()).collect();
        Self { family: family.into(), labels, value: value.to_string() }
    }
}

/// Appends the samples, and says of every family that has none yet that it is there.
pub(super) fn append(text: &mut String, samples: Vec<Sample>) {
    for family in FAMILIES {
        let of_family: Vec<&Sample> = samples.iter().filter(|sample| sample.family == family.name).collect();
        let kind = family.kind.as_str();
        let heading = format!("# TYPE {} {kind}\n", family.name);
        if text.contains(&heading) {
            continue;
        }
        let _infallible = write!(text, "# HELP {} {}\n{heading}", family.name, family.help);
        for sample in of_family {
            text.push_str(family.name);
            for (place, (label, value)) in family.labels.iter().zip(&sample.labels).enumerate() {
                let before = if place == 0 { '{' } else { ',' };
                let _infallible = write!(text, "{before}{label}=\"{}\"", escaped(value));
            }
            if !family.labels.is_empty() {
                text.push('}');
            }
            let _infallible = writeln!(text, " {}", sample.value);
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_line_under_what_its_family_means() {
        let mut text = String::new();

        append(&mut text, vec![Sample::new("berth_jobs_due", &["mail", "urgent"], 3)]);

        let lines: Vec<&str> = text.lines().skip_while(|line| !line.contains("HELP berth_jobs_due ")).take(4).collect();
        assert_eq!(lines[1..3], ["# TYPE berth_jobs_due gauge", "berth_jobs_due{queue=\"mail\",class=\"urgent\"} 3"]);
        assert!(lines[3].starts_with("# HELP berth_jobs_due_oldest_seconds "), "{lines:?}");
    }

    #[test]
    fn what_was_counted_is_not_told_twice() {
        let mut text = "# TYPE berth_money_total counter\nberth_money_total 1\n".to_owned();

        append(&mut text, Vec::new());

        assert_eq!(text.matches("# TYPE berth_money_total counter").count(), 1);
    }

    #[test]
    fn no_value_of_a_label_ends_its_quotation_marks() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
