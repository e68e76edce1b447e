//! What is sent to do harm, not to buy: bodies that are too large, too deep or not what they say, and clients that never end.

use std::time::Duration;

use axum::http::StatusCode;
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

use super::support::{Stack, StackOptions, size};

/// Beyond what the process has in use, whatever is sent to it.
const MOST_BYTES: u64 = 20 * 1024 * 1024;

/// What the process of the tests, in which Berth runs here, has in memory.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Sends as much as is taken, at most `most` bytes; answers how much that was, and what came back.
async fn pour(stack: &Stack, head: &str, chunk: &[u8], most: u64) -> (u64, String) {
    let (mut read, mut write) = TcpStream::connect(stack.address).await.unwrap().into_split();
    write.write_all(head.as_bytes()).await.unwrap();
    let pouring = async {
        let mut poured = 0;
        while poured < most && write.write_all(chunk).await.is_ok() {
            poured += u64::try_from(chunk.len()).unwrap();
        }
        poured
    };
    let answering = async {
        let mut answer = Vec::new();
        // Whoever refuses may close before everything was read, which ends in an error here.
        let _ = read.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::join!(pouring, answering)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_in_chunks_is_refused_early_and_kept_nowhere() {
    let stack = Stack::new().await;
    let _berth = stack.start().await;
    let token = stack.token(Uuid::new_v4());
    let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        )
    };
    let before = resident_bytes();

    for path in ["/v1/checkout", "/webhooks/stripe", "/v1/cart/items"] {
        let (poured, answer) = pour(&stack, &head(path), &chunk, 1024 * 1024 * 1024).await;

        assert!(poured < 64 * 1024 * 1024, "{path}: {poured} bytes were taken");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
    }
    assert!(resident_bytes() < before + MOST_BYTES, "{} bytes more", resident_bytes() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_brackets_and_packed_bodies_are_no_json() {
    let stack = Stack::new().await;
    let _berth = stack.start().await;
    let user = Uuid::new_v4();
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    let post = |body: Vec<u8>, encoding: Option<&'static str>| {
        let request = stack.client.post(format!("{}/v1/checkout", stack.base())).bearer_auth(stack.token(user));
        let request = request.header("content-type", "application/json");
        let request =
            encoding.map_or(request.try_clone().unwrap(), |encoding| request.header("content-encoding", encoding));
        async move { request.body(body).send().await.unwrap().status() }
    };
    // 42 bytes of gzip: the beginning of what could be a gigabyte.
    let packed = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0xed; 32]].concat();

    let arrays = post(deep("[", "]").into_bytes(), None).await;
    let objects = post(deep("{\"a\":", "}").replace(":}", ":1}").into_bytes(), None).await;
    let inside = post(format!("{{\"items\":{}}}", deep("[", "]")).into_bytes(), None).await;
    let gzip = post(packed, Some("gzip")).await;
    let latin = post(b"{\"coupon_code\":\"\xe9\"}".to_vec(), None).await;

    for status in [arrays, objects, inside, gzip, latin] {
        assert!(status.is_client_error(), "{status}");
    }
    assert_eq!(stack.count("select count(*) from berth.orders").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_end_their_request_are_hung_up_on_and_keep_nobody_out() {
    let clients = usize::try_from(size("SLOW_CLIENTS", 200)).unwrap();
    let stack = Stack::new().await;
    let _berth = stack.start().await;
    let mut slow = join_all((0..clients).map(|_| TcpStream::connect(stack.address))).await;
    for stream in slow.iter_mut().map(|stream| stream.as_mut().unwrap()) {
        stream.write_all(b"G").await.unwrap();
    }

    let ask = || async { stack.client.get(format!("{}/v1/plans", stack.base())).send().await.unwrap().status() };
    let meanwhile = join_all((0..50).map(|_| ask())).await;
    let hung_up = join_all(slow.into_iter().map(|stream| async {
        let mut stream = stream.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await.is_ok()
    }))
    .await;

    assert!(meanwhile.iter().all(|status| *status == StatusCode::OK), "{meanwhile:?}");
    assert_eq!(hung_up.iter().filter(|hung_up| **hung_up).count(), clients);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_when_all_connections_are_taken_waits_and_is_served() {
    let stack = Stack::with(StackOptions::default().setting("http.max_connections", "16")).await;
    let _berth = stack.start().await;
    let mut held = join_all((0..16).map(|_| TcpStream::connect(stack.address))).await;
    for stream in held.iter_mut().map(|stream| stream.as_mut().unwrap()) {
        stream.write_all(b"G").await.unwrap();
    }
    let client = reqwest_without_pool();

    let asked = client.get(format!("{}/healthz", stack.base())).send();
    let waited = tokio::time::timeout(Duration::from_millis(300), asked).await.is_err();
    drop(held);
    let served = client.get(format!("{}/healthz", stack.base())).send().await.unwrap().status();

    assert!(waited, "a seventeenth connection was served");
    assert_eq!(served, StatusCode::OK);
}

fn reqwest_without_pool() -> reqwest::Client {
    berth::gateways::http_client::build(berth::gateways::http_client::Timeouts {
        connect: Duration::from_secs(5),
        total: Duration::from_secs(30),
    })
    .unwrap()
}

/// Texts that end a header, a line or a tag where somebody forgot to look.
const EVIL: [&str; 5] = [
    "Ada\r\nBcc: all@evil.example",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "'; drop table berth.orders; --",
    "{{ 7 * 7 }}${7*7}%s\u{202e}",
];

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_are_made_to_break_out_stay_texts() {
    let stack = Stack::new().await;
    let _berth = stack.start().await;

    for (nth, evil) in EVIL.iter().enumerate() {
        let user = Uuid::new_v4();
        let me = json!({ "name": evil, "country": "DE",
            "address": { "line1": evil, "city": "Kiel", "postal_code": "24103" } });
        let (status, said) = put(&stack, user, "/v1/me", &me).await;
        assert!(status == 200 || status == 400 || status == 422, "{nth}: {status} {said}");
        let (_, session) = stack.checkout(user, "shared-monthly", 1).await;
        stack.pay(&session).await;
    }
    stack
        .until_count("select count(*) from berth.orders where phase = 'completed'", i64::try_from(EVIL.len()).unwrap())
        .await;
    stack.until_idle().await;

    let mails = stack.mailbox.mails();
    assert!(mails.len() >= EVIL.len());
    for mail in &mails {
        let message = mail.message();
        assert_eq!(mail.to.len(), 1, "{:?}", mail.to);
        assert!(!message.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("bcc")), "{:?}", message.headers);
        let html = message.html.unwrap_or_default();
        assert!(!html.contains("<script") && !html.contains("49${7*7}"), "{html}");
    }
    stack.audit().await;
}

async fn put(stack: &Stack, user: Uuid, path: &str, body: &Value) -> (u16, Value) {
    let request = stack.client.put(format!("{}{path}", stack.base())).bearer_auth(stack.token(user)).json(body);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}
