//! One purchase is one trace: at a collector of OpenTelemetry's, in the ledger, and in the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    process::Stdio,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use berth::dev::mailbox::Fault;
use berth_jobs::Queue;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value},
    trace::v1::Span,
};
use prost::Message;
use serde_json::Value;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::support::{
    Stack,
    events::{foreign_event, session_event},
    process::Process,
};
use berth::gateways::stripe::webhook;
use secrecy::SecretString;

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
pub(super) struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    raw: Arc<Mutex<Vec<u8>>>,
    headers: Arc<Mutex<Vec<HeaderMap>>>,
    services: Arc<Mutex<BTreeSet<String>>>,
}

impl Collector {
    /// Starts one; answers its address besides.
    pub(super) async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (collector, endpoint)
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    /// All that came, as text as far as it is some.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw.lock().unwrap()).into_owned()
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    collector.raw.lock().unwrap().extend_from_slice(&body);
    collector.headers.lock().unwrap().push(headers);
    for of_resource in request.resource_spans {
        let attributes = of_resource.resource.unwrap().attributes;
        collector.services.lock().unwrap().insert(text_of(&attributes, "service.name").unwrap());
        let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        collector.spans.lock().unwrap().extend(spans);
    }
}

fn text_of(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value?;
    if let any_value::Value::IntValue(number) = value {
        return Some(number.to_string());
    }
    if let any_value::Value::StringValue(text) = value { Some(text) } else { None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_is_one_trace_from_stripes_event_to_the_welcome() {
    let stack = Stack::new().await;
    let (collector, endpoint) = Collector::start().await;
    let telemetry =
        [("BERTH_TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()), ("BERTH_TELEMETRY__OTLP_HEADERS", "x-team: blue")];
    let mut up = Process::start(&stack, &["up"], &telemetry);
    stack.until_listening().await;
    let (order, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;

    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.until_idle().await;
    assert_eq!(up.terminate().await, Some(0), "what is left is sent before it ends");

    let all = collector.spans();
    let by_id: BTreeMap<&[u8], &Span> = all.iter().map(|span| (span.span_id.as_slice(), span)).collect();
    let named = |name: &str| -> Vec<&Span> { all.iter().filter(|span| span.name == name).collect() };
    // From a span to the request that began it all, by the names of the spans.
    let way = |span: &Span| -> Vec<String> {
        let (mut way, mut at) = (vec![span.name.clone()], span);
        while !at.parent_span_id.is_empty() {
            at = by_id[at.parent_span_id.as_slice()];
            way.push(at.name.clone());
        }
        way
    };
    let [created] = named("panel ensure_created")[..] else { panic!("{:?}", named("panel ensure_created")) };
    assert_eq!(
        way(created),
        ["panel ensure_created", "provision_account", "complete_checkout", "POST /webhooks/stripe"]
    );
    let mails: BTreeSet<Vec<String>> = named("smtp").into_iter().map(way).collect();
    let welcome = ["smtp", "send_mail", "provision_account", "complete_checkout", "POST /webhooks/stripe"];
    assert!(mails.contains(welcome.map(str::to_owned).as_slice()), "{mails:?}");
    assert!(named("smtp").iter().all(|mail| mail.trace_id == created.trace_id), "one trace");
    for span in all.iter().filter(|span| span.trace_id == created.trace_id) {
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano && span.trace_id.len() == 16, "{span:?}");
    }
    let job = by_id[created.parent_span_id.as_slice()];
    let account: Uuid =
        sqlx::query_scalar("select id from berth.hosting_accounts").fetch_one(&stack.pool).await.unwrap();
    assert_eq!(text_of(&job.attributes, "berth.account_id"), Some(berth_jobs::ids::AccountId(account).to_string()));
    assert_eq!(text_of(&job.attributes, "outcome").as_deref(), Some("done"));
    assert_eq!(text_of(&job.attributes, "berth.attempt").as_deref(), Some("1"));
    let at_checkout = named("stripe").into_iter().filter(|span| way(span).contains(&"POST /v1/checkout".to_owned()));
    let resources: BTreeSet<String> =
        at_checkout.filter_map(|span| text_of(&span.attributes, "berth.resource")).collect();
    assert_eq!(resources.into_iter().collect::<Vec<_>>(), ["/checkout/sessions", "/customers"]);
    // The ledger knows it as well.
    let traces: Vec<String> = sqlx::query_scalar(
        "select distinct split_part(traceparent, '-', 2) from berth.jobs where kind in ('provision_account', 'send_mail')",
    )
    .fetch_all(&stack.pool)
    .await
    .unwrap();
    assert_eq!(traces, [hex::encode(&created.trace_id)], "{order}");
    assert_eq!(collector.headers.lock().unwrap()[0]["x-team"], "blue");
    assert_eq!(collector.headers.lock().unwrap()[0]["content-type"], "application/x-protobuf");
    assert_eq!(*collector.services.lock().unwrap(), BTreeSet::from(["berth".to_owned()]));
    assert!(!collector.text().contains("@customer.test"), "no address is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_continues_the_trace_that_it_names() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let came = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let send = async |id: &str, traceparent: Option<&str>| {
        let body = foreign_event(id);
        let now = berth::clock::Clock::machine().as_second();
        let signature = webhook::sign(body.as_bytes(), &SecretString::from(super::support::WEBHOOK_SECRET), now);
        let mut request = stack.client.post(format!("{}/webhooks/stripe", stack.base())).body(body);
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        assert_eq!(request.header("Stripe-Signature", signature).send().await.unwrap().status(), 200);
        let job = "select traceparent from berth.jobs where payload ->> 'event_id' = $1";
        sqlx::query_scalar::<_, String>(job).bind(id).fetch_one(&stack.pool).await.unwrap()
    };

    let continued = send("evt_named", Some(came)).await;
    let begun = send("evt_unnamed", None).await;
    let nonsense = send("evt_nonsense", Some("00-zz-zz-01")).await;

    assert!(continued.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && continued.ends_with("-00"), "{continued}");
    assert_ne!(continued, came, "it is another span");
    for own in [&begun, &nonsense] {
        assert!(own.parse::<berth::trace::TraceParent>().unwrap().is_sampled() && !own.contains("0af76519"), "{own}");
    }
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_purchase_is_found_by_its_trace() {
    let stack = Stack::new().await;
    let log = stack.folder.path().join("log");
    let mut up = tokio::process::Command::new(env!("CARGO_BIN_EXE_berth"))
        .arg("up")
        .env_clear()
        .envs(stack.environment())
        .env("BERTH_LOG__FORMAT", "json")
        .current_dir(stack.folder.path())
        .stderr(Stdio::from(File::create(&log).unwrap()))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    stack.until_listening().await;
    stack.mailbox.set_fault(Fault::Refuse451);
    let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    stack.pay(&session).await;
    let failed =
        "select count(*) from berth.jobs where kind = 'send_mail' and last_error is not null and state = 'queued'";
    stack.until("mails have failed", async || stack.count(failed).await >= 2).await;
    up.kill().await.unwrap();

    let lines: Vec<Value> = std::fs::read_to_string(&log)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();

    let known: Vec<(String, String)> = sqlx::query_as(
        "select berth.show_id('job_', id), split_part(traceparent, '-', 2) from berth.jobs where kind = 'send_mail'",
    )
    .fetch_all(&stack.pool)
    .await
    .unwrap();
    let of_mails: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "send_mail").collect();
    assert!(of_mails.len() >= 2, "{lines:#?}");
    for line in of_mails {
        let (job, trace) = (line["job_id"].as_str().unwrap(), line["trace_id"].as_str().unwrap());
        assert!(known.contains(&(job.to_owned(), trace.to_owned())), "{line} is not among {known:?}");
    }
    assert_eq!(known.iter().map(|(_, trace)| trace).collect::<BTreeSet<_>>().len(), 1, "one purchase");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sweep_brings_about_begins_traces_of_its_own() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[Queue::Sweeps]).await;
    let (order, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    sqlx::raw_sql("update berth.orders set expires_at = berth.now() - interval '1 hour'")
        .execute(&stack.pool)
        .await
        .unwrap();

    let sweep = berth_jobs::sweeps::SweepUnpaidOrders { as_of: None };
    berth.app.committer.write(berth::effects::Effects::none().enqueue(sweep)).await.unwrap();
    stack.until_count("select count(*) from berth.jobs where kind = 'expire_checkout'", 1).await;

    let traced = "select count(*) from berth.jobs where traceparent is not null";
    assert_eq!(stack.count(traced).await, 0, "{order} {session}");
    let event = session_event("evt_x", "checkout.session.expired", &order, &session, 499, "unpaid");
    assert_eq!(stack.send_event(event.to_string().as_bytes()).await, 200);
    assert_eq!(stack.count(traced).await, 1, "what a request brings about continues it");
    berth.stop().await;
}
