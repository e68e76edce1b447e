//! A collector of OpenTelemetry's: takes finished spans by OTLP, over HTTP and in protobuf.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span, status::StatusCode},
};
use prost::Message;
use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::http_client::{self, Timeouts};
use crate::{
    metrics,
    trace::{FinishedSpan, Note, SpanKind},
};

const PATH: &str = "/v1/traces";
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(3), total: Duration::from_secs(10) };
/// Spans that are sent together.
const MOST_AT_ONCE: usize = 512;
/// How long a span waits for others to be sent with.
const GATHER: Duration = Duration::from_secs(1);
/// How often spans are offered, and how long to wait in between. What is refused then is lost: traces are no evidence.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// How long the last spans may take when the process stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why there can be no collector.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// A header is none.
    #[error("a header is written as `name: value`")]
    Header,
    /// TLS could not be set up.
    #[error("the HTTP client for it cannot be built")]
    Client(#[source] reqwest::Error),
}

/// The collector, and what is told of the process whose spans it gets.
#[derive(Debug)]
pub struct Collector {
    client: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    process: Vec<KeyValue>,
}

impl Collector {
    /// The collector at `endpoint` (`http://localhost:4318`, or the whole URL of its traces), for a process of that role.
    /// `headers` are `name: value` each.
    ///
    /// # Errors
    /// When a header is none, or TLS cannot be set up.
    pub fn new(endpoint: &Url, headers: &[SecretString], role: &str) -> Result<Self, CollectorError> {
        let client = http_client::build(TIMEOUTS).map_err(CollectorError::Client)?;
        let mut url = endpoint.clone();
        if !url.path().ends_with(PATH) {
            let path = format!("{}{PATH}", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        let headers = headers.iter().map(header).collect::<Option<HeaderMap>>().ok_or(CollectorError::Header)?;
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
        let process = vec![
            text("service.name", "berth"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", &format!("{host}-{}", std::process::id())),
            text("berth.role", role),
        ];
        Ok(Self { client, url, headers, process })
    }

    /// Sends what is finished, some at a time, until `stop`; then what is left, if that is quick.
    pub async fn take(self, mut spans: mpsc::Receiver<FinishedSpan>, stop: CancellationToken) {
        let mut batch = Vec::new();
        while !stop.is_cancelled() {
            tokio::select! {
                count = spans.recv_many(&mut batch, MOST_AT_ONCE) => if count == 0 { return },
                () = stop.cancelled() => break,
            }
            let gathered = async {
                while let room @ 1.. = MOST_AT_ONCE.saturating_sub(batch.len()) {
                    if spans.recv_many(&mut batch, room).await == 0 {
                        break;
                    }
                }
            };
            tokio::select! {
                _ = timeout(GATHER, gathered) => {}
                () = stop.cancelled() => break,
            }
            self.send(std::mem::take(&mut batch)).await;
        }
        while let Ok(span) = spans.try_recv() {
            batch.push(span);
        }
        if !batch.is_empty() && timeout(FAREWELL, self.send(batch)).await.is_err() {
            tracing::warn!("the last spans could not be exported in time");
        }
    }

    async fn send(&self, spans: Vec<FinishedSpan>) {
        let count = u64::try_from(spans.len()).unwrap_or_default();
        let body = Bytes::from(self.request(spans).encode_to_vec());
        let mut outcome = "failed";
        for tries_left in (0..TRIES).rev() {
            match self.post(body.clone()).await {
                Ok(()) => {
                    outcome = "exported";
                    break;
                }
                Err((true, _)) if tries_left > 0 => tokio::time::sleep(PAUSE).await,
                Err((_, why)) => {
                    tracing::warn!(spans = count, why, "spans could not be exported");
                    break;
                }
            }
        }
        metrics::counter("berth_trace_spans_total", &[("outcome", outcome)]).increment(count);
    }

    /// Why it was not taken, and whether it may be later.
    async fn post(&self, body: Bytes) -> Result<(), (bool, String)> {
        let content = (CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).header(content.0, content.1);
        let answer = request.body(body).send().await.map_err(|error| (true, error.without_url().to_string()))?;
        let status = answer.status();
        let later = matches!(status.as_u16(), 429 | 502..=504);
        if status.is_success() { Ok(()) } else { Err((later, format!("the collector has answered {status}"))) }
    }

    fn request(&self, spans: Vec<FinishedSpan>) -> ExportTraceServiceRequest {
        let scope = InstrumentationScope { name: "berth".to_owned(), ..InstrumentationScope::default() };
        let scope_spans = ScopeSpans {
            scope: Some(scope),
            spans: spans.into_iter().map(span_of).collect(),
            schema_url: String::new(),
        };
        let resource = Resource { attributes: self.process.clone(), ..Resource::default() };
        let resource_spans =
            ResourceSpans { resource: Some(resource), scope_spans: vec![scope_spans], schema_url: String::new() };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
    }
}

fn span_of(span: FinishedSpan) -> Span {
    let kind = match span.kind {
        SpanKind::Server => span::SpanKind::Server,
        SpanKind::Client => span::SpanKind::Client,
        SpanKind::Consumer => span::SpanKind::Consumer,
    };
    let nanoseconds = |at: jiff::Timestamp| u64::try_from(at.as_nanosecond()).unwrap_or_default();
    let note = |(key, note): (&str, Note)| match note {
        Note::Text(value) => text(key, &value),
        Note::Number(number) => attribute(key, Value::IntValue(number)),
    };
    let code = if span.failed { StatusCode::Error } else { StatusCode::Unset };
    Span {
        trace_id: span.at.trace_bytes().to_vec(),
        span_id: span.at.span_bytes().to_vec(),
        parent_span_id: span.parent.map(|parent| parent.span_bytes().to_vec()).unwrap_or_default(),
        name: span.name.into_owned(),
        kind: kind.into(),
        start_time_unix_nano: nanoseconds(span.began),
        end_time_unix_nano: nanoseconds(span.ended),
        attributes: span.notes.into_iter().map(note).collect(),
        status: Some(Status { code: code.into(), message: String::new() }),
        ..Span::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn header(text: &SecretString) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.expose_secret().split_once(':')?;
    let mut value = HeaderValue::from_str(value.trim()).ok()?;
    value.set_sensitive(true);
    Some((name.trim().parse().ok()?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_go_to_the_collectors_traces() {
        for endpoint in ["http://127.0.0.1:4318", "http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"] {
            let collector = Collector::new(&endpoint.parse().unwrap(), &[], "up").unwrap();

            assert_eq!(collector.url.as_str(), "http://127.0.0.1:4318/v1/traces");
        }
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let with = |text: &str| Collector::new(&"http://localhost".parse().unwrap(), &[text.into()], "up");

        assert_eq!(with("x-team: blue:1").unwrap().headers["x-team"], "blue:1");
        assert!(with("blue").is_err() && with("x y: z").is_err());
        assert!(!format!("{:?}", with("x-team: planted").unwrap()).contains("planted"));
    }
}
