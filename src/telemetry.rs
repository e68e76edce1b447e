//! Log lines: JSON for machines, text for people, always to standard error. Each names the trace that it belongs to, and its
//! job or request.

mod in_context;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
};

use tracing_subscriber::{
    EnvFilter,
    fmt::{self, MakeWriter, format::JsonFields},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::LogFormat;
use in_context::InContext;

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error(
        "log.level {level:?} is not understood: write error, warn, info, debug, trace, or such as info,berth::queue=debug"
    )]
    Level { level: String, source: tracing_subscriber::filter::ParseError },
    #[error("logging was begun twice in one process")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Begins logging, and logs panics through it, once each. `level` is a level or directives such as `info,sqlx=warn`.
pub fn init(format: LogFormat, level: &str) -> Result<(), TelemetryError> {
    let json = match format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    subscriber(json, colours, level, io::stderr)?.try_init()?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn subscriber<W>(
    json: bool,
    colours: bool,
    level: &str,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(level)
        .map_err(|source| TelemetryError::Level { level: level.to_owned(), source })?;
    let registry = tracing_subscriber::registry().with(filter);
    Ok(if json {
        let format = fmt::format().json().flatten_event(true).with_span_list(false);
        let layer = fmt::layer().event_format(InContext::json(format)).fmt_fields(JsonFields::new());
        Box::new(registry.with(layer.with_writer(writer)))
    } else {
        let format = InContext::text(fmt::format().with_ansi(colours));
        Box::new(registry.with(fmt::layer().with_ansi(colours).event_format(format).with_writer(writer)))
    })
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let message =
        payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("a value that is no text");
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or_default().to_owned();
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(location, thread, %backtrace, "panicked: {message}");
    } else {
        tracing::error!(location, thread, "panicked: {message}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use berth_jobs::ids::JobId;

    use super::*;
    use crate::trace::{About, Span, SpanKind};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(json: bool, level: &str, act: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(json, false, level, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, act);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_lines_carry_fields_and_the_span() {
        let text = logged(true, "info", || {
            let _span = tracing::info_span!("job", job_id = "job_1").entered();
            tracing::info!(attempt = 2, "started");
        });

        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&line["message"], &line["attempt"], &line["level"]),
            (&"started".into(), &2.into(), &"INFO".into())
        );
        assert_eq!(line["span"]["job_id"], "job_1");
    }

    #[test]
    fn text_lines_have_no_colours_unless_asked() {
        let text = logged(false, "info", || tracing::info!("started"));

        assert!(text.contains("INFO") && text.contains("started") && !text.contains('\u{1b}'), "{text:?}");
    }

    #[tokio::test]
    async fn a_line_names_its_trace_and_its_job() {
        let job_id = JobId::new();
        let span = Span::begin(None, SpanKind::Consumer, "no_op", About::Job(job_id));
        let (trace, job_id) = (span.at().trace_id(), job_id.to_string());

        let lines = Lines::default();
        for json in [true, false] {
            let writer = lines.clone();
            let subscriber = subscriber(json, false, "info", move || writer.clone()).unwrap();
            let log = async { tracing::subscriber::with_default(subscriber, || tracing::info!(a = 1, "started")) };
            span.within(log).await;
        }

        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let (json, plain) = text.split_once('\n').unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(
            (&json["trace_id"], &json["job_id"], &json["a"]),
            (&trace.clone().into(), &job_id.clone().into(), &1.into())
        );
        assert!(plain.ends_with(&format!("started a=1 trace_id={trace} job_id={job_id}\n")), "{plain:?}");
    }

    #[test]
    fn directives_choose_by_module() {
        let text = logged(false, "warn,berth::queue=debug", || {
            tracing::debug!(target: "berth::queue::relay", "wanted");
            tracing::info!(target: "berth::http", "unwanted");
        });

        assert!(text.contains("wanted") && !text.contains("unwanted"), "{text}");
    }

    #[test]
    fn a_level_that_is_none_is_refused_by_name() {
        let error = init(LogFormat::Auto, "berth=loud").unwrap_err();

        assert!(error.to_string().starts_with("log.level \"berth=loud\" is not understood"), "{error}");
    }

    #[test]
    fn a_panic_is_one_line_with_its_place() {
        let text = logged(true, "info", || {
            let before = panic::take_hook();
            panic::set_hook(Box::new(log_panic));
            let outcome = panic::catch_unwind(|| panic!("disk {} is full", 3));
            panic::set_hook(before);
            assert!(outcome.is_err());
        });

        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert_eq!(lines[0]["message"], "panicked: disk 3 is full");
        assert!(lines[0]["location"].as_str().unwrap().starts_with("src/telemetry.rs:"));
    }
}
