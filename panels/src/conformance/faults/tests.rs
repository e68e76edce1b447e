//! The proxy itself: what the server hears of, and what the client is told.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::{Router, routing::any};
use reqwest::Method;
use tempfile::TempDir;

use super::*;
use crate::{
    PanelError,
    http::{Answer, Effect, Http, HttpConfig},
};

const BODY: &str = "{\"a\": \"answer\"}";

/// A server that counts what it hears of, behind a proxy.
struct World {
    heard: Arc<AtomicU32>,
    proxy: FaultProxy,
    http: Http,
    _serving: JoinSet<()>,
}

async fn world() -> World {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (app, heard) = counting();
    let proxy = FaultProxy::new(Upstream::Tcp(listener.local_addr().unwrap())).await;
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
    let http = Http::new(config(&proxy)).unwrap();
    World { heard, proxy, http, _serving: serving }
}

fn counting() -> (Router, Arc<AtomicU32>) {
    let heard = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&heard);
    let count = move |_: axum::body::Bytes| async move {
        counter.fetch_add(1, Ordering::SeqCst);
        BODY
    };
    (Router::new().fallback(any(count)), heard)
}

fn config(proxy: &FaultProxy) -> HttpConfig {
    let short = Duration::from_millis(300);
    HttpConfig {
        private: true,
        read_timeout: short,
        mutation_timeout: short,
        ..HttpConfig::new(proxy.url().parse().unwrap())
    }
}

impl World {
    async fn post(&self, path: &str) -> Result<Answer, PanelError> {
        self.http.send(Effect::Mutation, self.http.request(Method::POST, [path]).body("asked")).await
    }

    fn heard(&self) -> u32 {
        self.heard.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn what_no_plan_means_passes_as_it_is() {
    let world = world().await;
    world.proxy.next(1, Requests::all().method("GET"), Fault::DropRequest);
    world.proxy.next(1, Requests::all().path("other"), Fault::DropRequest);

    let answer = world.post("this").await.unwrap();

    assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (200, BODY.as_bytes()));
    assert_eq!(world.heard(), 1);
    assert_eq!(world.proxy.seen(), ["POST /this"]);
    assert!(!world.proxy.is_spent());
}

#[tokio::test]
async fn a_fault_meets_so_many_requests_and_no_more() {
    let world = world().await;
    world.proxy.next(2, Requests::all().path("this"), Fault::DropRequest);

    assert!(world.post("this").await.is_err());
    assert!(world.post("other").await.is_ok());
    assert!(world.post("this").await.is_err());
    assert!(world.post("this").await.is_ok());
    assert!(world.proxy.is_spent());
}

#[tokio::test]
async fn the_server_hears_of_a_request_or_does_not_as_the_fault_says() {
    let answer = Fault::Answer { status: 503, headers: &[("retry-after", "7")], body: "{}" };
    for (fault, heard, is_answered) in [
        (Fault::Latency(Duration::from_millis(1)), 1, true),
        (Fault::CutAfter(10), 1, false),
        (Fault::DropResponse, 1, false),
        (Fault::DropRequest, 0, false),
        (Fault::FreezeResponse, 1, false),
        (Fault::FreezeRequest, 0, false),
        (answer, 0, true),
        (Fault::Echo { status: 500 }, 0, true),
        (Fault::AnswerThenForward { status: 500 }, 0, true),
        (Fault::Truncate, 1, true),
        (Fault::Html, 1, true),
    ] {
        let world = world().await;
        world.proxy.next(1, Requests::all(), fault.clone());

        let answer = world.post("this").await;

        assert_eq!(answer.is_ok(), is_answered, "{fault:?}");
        assert_eq!(world.heard(), heard, "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_forged_comes_with_its_status_headers_and_body() {
    let world = world().await;
    world.proxy.next(1, Requests::all(), Fault::Answer { status: 429, headers: &[("retry-after", "7")], body: "no" });
    world.proxy.next(1, Requests::all(), Fault::Echo { status: 500 });
    world.proxy.next(1, Requests::all(), Fault::Truncate);

    let forged = world.post("this").await.unwrap();
    let echoed = world.post("this").await.unwrap();
    let truncated = world.post("this").await.unwrap();

    assert_eq!((forged.status.as_u16(), forged.body.as_slice()), (429, b"no".as_slice()));
    assert_eq!(forged.headers["retry-after"], "7");
    assert_eq!((echoed.status.as_u16(), echoed.body.as_slice()), (500, b"asked".as_slice()));
    assert_eq!(truncated.body, &BODY.as_bytes()[..BODY.len() / 2]);
}

#[tokio::test]
async fn what_was_held_back_is_heard_of_when_it_is_forwarded() {
    let world = world().await;
    world.proxy.next(2, Requests::all(), Fault::AnswerThenForward { status: 500 });
    for _ in 0..2 {
        assert_eq!(world.post("this").await.unwrap().status, 500);
    }

    world.proxy.forward_held().await;
    world.proxy.forward_held().await;

    assert_eq!(world.heard(), 2);
}

#[tokio::test]
async fn sockets_are_passed_between_as_ports_are() {
    let dir = TempDir::new().unwrap();
    let (server, front) = (dir.path().join("server"), dir.path().join("front"));
    let listener = UnixListener::bind(&server).unwrap();
    let (app, heard) = counting();
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
    let proxy = FaultProxy::at_socket(&front, Upstream::Unix(server));
    let http = Http::new(HttpConfig { unix_socket: Some(front), ..config(&proxy) }).unwrap();
    proxy.next(1, Requests::all(), Fault::DropResponse);
    let get = || http.send(Effect::Read, http.request(Method::GET, ["this"]));

    let lost = get().await;
    let answered = get().await;

    assert!(lost.is_err());
    assert_eq!(answered.unwrap().body, BODY.as_bytes());
    assert_eq!(heard.load(Ordering::SeqCst), 2);
}
