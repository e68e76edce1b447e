//! Adds to every log line where the task is that writes it: its trace, and its job or request.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Json, Writer},
    },
    registry::LookupSpan,
};

use crate::trace::{self, About, Here};

/// A format of lines, and how a name and its value are written at the end of one.
pub(super) struct InContext<F> {
    inner: F,
    /// What closes a line.
    end: &'static str,
    field: fn(&mut String, &str, &dyn fmt::Display),
}

impl InContext<Format<Json>> {
    pub(super) fn json(inner: Format<Json>) -> Self {
        Self { inner, end: "}\n", field: |line, name, value| line.push_str(&format!(",\"{name}\":\"{value}\"")) }
    }
}

impl InContext<Format<Full>> {
    pub(super) fn text(inner: Format<Full>) -> Self {
        Self { inner, end: "\n", field: |line, name, value| line.push_str(&format!(" {name}={value}")) }
    }
}

impl<F> InContext<F> {
    fn add(&self, line: &mut String, here: Here) {
        (self.field)(line, "trace_id", &here.at.trace_id());
        match here.about {
            About::Job(id) => (self.field)(line, "job_id", &id),
            About::Request(id) => (self.field)(line, "request_id", &id),
            About::Nothing => {}
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for InContext<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(here) = trace::here() else { return self.inner.format_event(ctx, writer, event) };
        let mut line = String::new();
        self.inner.format_event(ctx, Writer::new(&mut line), event)?;
        if line.ends_with(self.end) {
            line.truncate(line.len() - self.end.len());
            self.add(&mut line, here);
            line.push_str(self.end);
        }
        writer.write_str(&line)
    }
}
