//! What is counted and timed while the program runs, and how all of it is written for Prometheus. A series is looked up
//! once and then only added to; what is read from the database comes as samples (`observed.rs`).

mod families;
mod jobs;
mod money;
mod process;
mod text;

use std::{sync::LazyLock, time::Duration};

use metrics::{Counter, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio_util::sync::CancellationToken;

pub use families::{FAMILIES, Family, Kind};
pub use jobs::{RunOutcome, picked_up, ran};
pub use money::{MoneyOutcome, moved};
pub use process::{Disk, ROLE, set_role};
pub use text::Sample;

/// How often what was timed is put into its buckets. In between it lies in memory, value by value.
const TIDY_EVERY: Duration = Duration::from_secs(5);

static PROMETHEUS: LazyLock<(PrometheusRecorder, PrometheusHandle)> = LazyLock::new(|| {
    let recorder = builder().build_recorder();
    let handle = recorder.handle();
    for family in FAMILIES {
        let (name, help) = (KeyName::from_const_str(family.name), SharedString::const_str(family.help));
        match family.kind {
            Kind::Counter => recorder.describe_counter(name, None, help),
            Kind::Gauge => recorder.describe_gauge(name, None, help),
            Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
        }
    }
    (recorder, handle)
});

#[expect(
    clippy::expect_used,
    reason = "buckets are refused only where there are none, and a test looks at each family's"
)]
fn builder() -> PrometheusBuilder {
    let with_buckets = |builder: PrometheusBuilder, family: &Family| match family.kind {
        Kind::Histogram(buckets) => builder
            .set_buckets_for_metric(Matcher::Full(family.name.to_owned()), buckets)
            .expect("every histogram has buckets"),
        Kind::Counter | Kind::Gauge => builder,
    };
    FAMILIES.iter().fold(PrometheusBuilder::new(), with_buckets)
}

fn metadata() -> Metadata<'static> {
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()))
}

fn key(family: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(family, labels)
}

/// A counter of the family, with these labels. Looking it up costs more than adding to it.
pub fn counter(family: &'static str, labels: &[(&'static str, &str)]) -> Counter {
    PROMETHEUS.0.register_counter(&key(family, labels), &metadata())
}

/// A histogram of the family, with these labels.
pub fn histogram(family: &'static str, labels: &[(&'static str, &str)]) -> Histogram {
    PROMETHEUS.0.register_histogram(&key(family, labels), &metadata())
}

/// Everything there is to tell: what was counted here, and `samples`, which were read.
#[must_use]
pub fn render(samples: Vec<Sample>) -> String {
    register();
    let mut text = PROMETHEUS.1.render();
    let read = samples.into_iter().chain(process::samples()).chain(money::samples()).collect();
    text::append(&mut text, read);
    text
}

/// Makes the series that are there from the start.
fn register() {
    jobs::register();
    for (family, label, values) in families::FROM_THE_START {
        values.iter().for_each(|value| drop(counter(family, &[(label, value)])));
    }
    for lane in families::LANES {
        for reason in families::COMMIT_FAILURES {
            drop(counter("berth_commit_failures_total", &[("lane", lane), ("reason", reason)]));
        }
    }
}

/// Puts what was timed into its buckets every few seconds, whether or not anybody asks for it.
pub async fn keep_tidy(stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(TIDY_EVERY) => PROMETHEUS.1.run_upkeep(),
            () = stop.cancelled() => {}
        }
    }
}

/// What one lane of the committer adds to at each group.
#[derive(Clone)]
pub struct LaneSeries {
    /// Units of a group.
    pub units: Histogram,
    /// From the group's first statement to its commit.
    pub took: Histogram,
    lane: &'static str,
}

impl LaneSeries {
    /// The series of that lane.
    #[must_use]
    pub fn of(lane: &'static str) -> Self {
        let labels = [("lane", lane)];
        Self {
            units: histogram("berth_commit_group_units", &labels),
            took: histogram("berth_commit_duration_seconds", &labels),
            lane,
        }
    }

    /// Counts a group that was not committed as it was, and why.
    pub fn failed(&self, reason: &'static str) {
        counter("berth_commit_failures_total", &[("lane", self.lane), ("reason", reason)]).increment(1);
    }
}

/// Counts and times a call to somebody outside: a panel's server, a resource of Stripe's, the mail server.
pub fn called(family: Calls, whom: &str, outcome: &'static str, took: Duration) {
    let (total, duration, label) = family.series();
    match label {
        Some(label) => {
            counter(total, &[(label, whom), ("outcome", outcome)]).increment(1);
            histogram(duration, &[(label, whom)]).record(took);
        }
        None => {
            counter(total, &[("outcome", outcome)]).increment(1);
            histogram(duration, &[]).record(took);
        }
    }
}

/// Who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Panels, by server.
    Panel,
    /// Stripe, by resource.
    Stripe,
    /// The mail server.
    Mail,
}

impl Calls {
    const fn series(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Self::Panel => ("berth_panel_calls_total", "berth_panel_call_duration_seconds", Some("server")),
            Self::Stripe => ("berth_stripe_calls_total", "berth_stripe_call_duration_seconds", Some("resource")),
            Self::Mail => ("berth_mail_deliveries_total", "berth_mail_delivery_duration_seconds", None),
        }
    }
}

#[cfg(test)]
mod tests;
