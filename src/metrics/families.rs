//! Every family of series that `/metrics` shows: its name, with its unit, what it means, and its labels. No label has a value
//! of which there could be many: no id, no name of a customer.

/// A family of series.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name, which ends with its unit.
    pub name: &'static str,
    /// What its numbers are.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

/// What a family's numbers are.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// They only grow, until the process starts anew.
    Counter,
    /// They come and go.
    Gauge,
    /// How many were how large, by these bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As Prometheus calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// From a read of one row to a panel that takes minutes, in seconds.
const RUNS: &[f64] = &[0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0];
/// From "at once" to "far too late", in seconds.
const WAITS: &[f64] = &[0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0];
/// Of answers to people, in seconds.
const ANSWERS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Of commits, in seconds.
const COMMITS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];
/// Units of a group, of which there are 128 at most unless configured otherwise.
const UNITS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// How old events of Stripe's are when they come: seconds, or the days through which Stripe tries.
const AGES: &[f64] = &[1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3_600.0, 21_600.0, 86_400.0];

const fn family(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind, labels, help }
}

use Kind::{Counter, Gauge, Histogram};

/// Counters that are there from the start, at 0: of one that begins with its first failure nobody sees that it has grown.
pub(super) const FROM_THE_START: &[(&str, &str, &[&str])] = &[
    ("berth_relay_ids_total", "reason", &["due", "lost", "emptied"]),
    ("berth_lease_renewals_total", "outcome", &["in_time", "late", "failed"]),
    ("berth_webhook_events_total", "outcome", &["stored", "refused", "malformed", "unavailable"]),
    ("berth_mail_deliveries_total", "outcome", &["accepted", "transient", "ambiguous", "refused", "invalid_address"]),
    ("berth_trace_spans_total", "outcome", &["exported", "failed", "dropped"]),
];
pub(super) const LANES: [&str; 3] = ["writes", "checkpoints", "settlements"];
pub(super) const COMMIT_FAILURES: [&str; 6] = ["refused", "conflict", "away", "slow", "failed", "split"];

/// Every family, by what it is about.
pub const FAMILIES: &[Family] = &[
    // What this process has done.
    family(
        "berth_job_runs_total",
        Counter,
        &["kind", "outcome"],
        "Runs of jobs that have ended, by outcome: done, retry, snooze, cancel, dead; refused: somebody else was faster and the job runs again; unsettled: the outcome could not be stored.",
    ),
    family(
        "berth_job_duration_seconds",
        Histogram(RUNS),
        &["kind"],
        "How long runs of jobs took, from claim to outcome, without the commit.",
    ),
    family(
        "berth_job_pickup_seconds",
        Histogram(WAITS),
        &["queue", "class"],
        "How long after a job was due it was picked up.",
    ),
    family(
        "berth_commit_group_units",
        Histogram(UNITS),
        &["lane"],
        "Units (a route's write, a run's checkpoint or end) that were committed together.",
    ),
    family(
        "berth_commit_duration_seconds",
        Histogram(COMMITS),
        &["lane"],
        "How long a group took, from its first statement to its commit.",
    ),
    family(
        "berth_commit_failures_total",
        Counter,
        &["lane", "reason"],
        "Groups that were not committed as they were: refused, conflict, away, slow, failed, split.",
    ),
    family(
        "berth_relay_ids_total",
        Counter,
        &["reason"],
        "Ids that the relay gave to Redis: due; lost, Redis had it and has it no more; emptied, Redis was emptied or replaced.",
    ),
    family(
        "berth_lease_renewals_total",
        Counter,
        &["outcome"],
        "Renewals of this process' lease: in_time, late (more than half of the lease after the one before), failed.",
    ),
    family(
        "berth_webhook_events_total",
        Counter,
        &["outcome"],
        "Requests to /webhooks/stripe: stored, refused (signature), malformed, unavailable.",
    ),
    family("berth_webhook_age_seconds", Histogram(AGES), &[], "How old Stripe's events were when they came."),
    family(
        "berth_http_requests_total",
        Counter,
        &["route", "method", "status"],
        "Requests by route template and class of status; aborted: whoever asked did not wait.",
    ),
    family(
        "berth_http_request_duration_seconds",
        Histogram(ANSWERS),
        &["route", "method"],
        "How long requests took until their answer began.",
    ),
    family("berth_panel_calls_total", Counter, &["server", "outcome"], "Calls of panels by outcome."),
    family("berth_panel_call_duration_seconds", Histogram(RUNS), &["server"], "How long calls of panels took."),
    family(
        "berth_stripe_calls_total",
        Counter,
        &["resource", "outcome"],
        "Calls of Stripe's API, with their retries, by outcome.",
    ),
    family(
        "berth_stripe_call_duration_seconds",
        Histogram(RUNS),
        &["resource"],
        "How long calls of Stripe's API took, with their retries.",
    ),
    family(
        "berth_mail_deliveries_total",
        Counter,
        &["outcome"],
        "Attempts to hand a mail to the mail server: accepted, transient, ambiguous, refused, invalid_address.",
    ),
    family("berth_mail_delivery_duration_seconds", Histogram(RUNS), &[], "How long the mail server took."),
    family(
        "berth_money_total",
        Counter,
        &["outcome", "currency"],
        "Money that this process has written down, in whole units of the currency (not cents): succeeded, credited, surplus, declined_hard, declined_soft, declined_needs_customer, refunded, disputed.",
    ),
    family(
        "berth_trace_spans_total",
        Counter,
        &["outcome"],
        "Spans of traces: exported, failed (the collector did not take them), dropped (too many waited).",
    ),
    // The queues.
    family(
        "berth_jobs_due",
        Gauge,
        &["queue", "class"],
        "Jobs that are due and not begun; counted up to 10,000 a queue of those that Redis does not hold.",
    ),
    family(
        "berth_jobs_due_oldest_seconds",
        Gauge,
        &["queue", "class"],
        "How long the oldest of them has been due; 0 when there is none.",
    ),
    family("berth_jobs_running", Gauge, &["kind"], "Jobs that run, on all machines."),
    family(
        "berth_jobs_dead",
        Gauge,
        &["kind"],
        "Jobs that were given to a person: their tries are used up or their payload cannot be read.",
    ),
    family("berth_jobs_quarantined", Gauge, &["kind"], "Jobs that kill the process that runs them."),
    family(
        "berth_relay_lag_seconds",
        Gauge,
        &["queue"],
        "How long the oldest due job waits that Redis was not told of; 0 when there is none.",
    ),
    family("berth_workers_live", Gauge, &[], "Processes that work, on all machines."),
    family("berth_sweep_last_run_seconds", Gauge, &["sweep"], "How long ago the schedule last began a sweep."),
    // What a person should know.
    family(
        "berth_alerts_open",
        Gauge,
        &["kind"],
        "Troubles that Berth has told of and nobody has resolved: rows of berth.alerts.",
    ),
    // Stripe.
    family(
        "berth_stripe_events_unsettled",
        Gauge,
        &["outcome"],
        "Stored events whose job has not ended (pending), or that a person must look at (parked).",
    ),
    family(
        "berth_stripe_events_pending_oldest_seconds",
        Gauge,
        &[],
        "How long the oldest pending event is here; 0 when there is none.",
    ),
    family(
        "berth_webhook_silence_seconds",
        Gauge,
        &[],
        "How long ago the last event came by the webhook; absent when none ever did.",
    ),
    // Accounts, renewals, mails.
    family(
        "berth_accounts_on_the_way",
        Gauge,
        &["phase"],
        "Accounts that are being provisioned, suspended, changed or removed, or have failed.",
    ),
    family(
        "berth_accounts_on_the_way_oldest_seconds",
        Gauge,
        &["phase"],
        "How long the one that is in its phase for the longest has been.",
    ),
    family(
        "berth_accounts_past_end",
        Gauge,
        &[],
        "Accounts that work although what was paid for is over: those in grace, and those that were forgotten.",
    ),
    family(
        "berth_accounts_past_end_oldest_seconds",
        Gauge,
        &[],
        "For how long, of the one for the longest; 0 when there is none.",
    ),
    family(
        "berth_renewals_late",
        Gauge,
        &[],
        "Accounts whose next step (invoice, notice, charge, suspension) has been due for more than 15 minutes.",
    ),
    family(
        "berth_renewals_late_oldest_seconds",
        Gauge,
        &[],
        "How long the oldest step has been due; the sweep that does them runs every five minutes.",
    ),
    family(
        "berth_charges_under_way",
        Gauge,
        &["state"],
        "Charges of saved cards that were sent, or whose outcome nobody knows (in_doubt).",
    ),
    family(
        "berth_charges_under_way_oldest_seconds",
        Gauge,
        &["state"],
        "How long ago the oldest of them was sent; 0 when there is none.",
    ),
    family(
        "berth_mails_waiting",
        Gauge,
        &[],
        "Mails that were written and not yet taken by the mail server, nor withdrawn.",
    ),
    family(
        "berth_mails_waiting_oldest_seconds",
        Gauge,
        &[],
        "How long the oldest of them waits, past its turn where it has one; 0 when there is none.",
    ),
    // Servers.
    family(
        "berth_server_broken",
        Gauge,
        &["server"],
        "1 while a server is left alone because it does not answer or refuses our credentials.",
    ),
    family("berth_server_takes_accounts", Gauge, &["server"], "1 while new accounts may come to a server."),
    family("berth_server_accounts", Gauge, &["server"], "Accounts that a server holds; counted once a minute."),
    family(
        "berth_server_capacity_accounts",
        Gauge,
        &["server"],
        "Accounts that it may hold; absent where it may hold any number.",
    ),
    // What everything stands on.
    family("berth_database_up", Gauge, &[], "1 when PostgreSQL answered this process within two seconds."),
    family("berth_redis_up", Gauge, &[], "1 when Redis answered this process within a second."),
    family(
        "berth_database_archive_failing",
        Gauge,
        &[],
        "1 while PostgreSQL cannot archive its log (archive_command, archive_library); absent where it does not archive.",
    ),
    family("berth_reading_age_seconds", Gauge, &[], "How old the numbers are that were read from the database."),
    family("berth_disk_free_bytes", Gauge, &["what"], "Free space where this machine keeps sites and backups."),
    family("berth_disk_size_bytes", Gauge, &["what"], "How large that file system is."),
    family("berth_build_info", Gauge, &["version", "role"], "1; which version runs, and as what."),
    family("process_start_time_seconds", Gauge, &[], "When this process started, in seconds since 1970."),
    family("process_cpu_seconds_total", Counter, &[], "Processor time that this process has used."),
    family("process_resident_memory_bytes", Gauge, &[], "Memory that this process holds."),
    family("process_threads", Gauge, &[], "Threads of this process."),
    family("process_open_fds", Gauge, &[], "Descriptors that this process has open."),
    family("process_max_fds", Gauge, &[], "Descriptors that it may have open."),
];
