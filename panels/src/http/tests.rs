//! Clients of panels, against real sockets.

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixListener},
    task::JoinSet,
};

use super::*;

mod certificates;

/// A server on this machine that says the same to every request, and does so until it is dropped.
struct Says {
    url: Url,
    _serving: JoinSet<()>,
}

impl Says {
    async fn new(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let answer = answer.into();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                read_head(&mut socket).await;
                drop(socket.write_all(&answer).await);
            }
        });
        Self { url, _serving: serving }
    }
}

/// Reads to the end of a request without a body.
async fn read_head(socket: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if socket.read(&mut byte).await.unwrap_or(0) == 0 {
            break;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn private(url: Url) -> HttpConfig {
    HttpConfig { private: true, ..HttpConfig::new(url) }
}

fn client(url: Url) -> Http {
    Http::new(private(url)).unwrap()
}

async fn ask(http: &Http, effect: Effect) -> Result<Answer, PanelError> {
    http.send(effect, http.request(Method::GET, ["a"])).await
}

/// What comes of a whole HTTP answer that is meant to be JSON.
async fn comes_of(effect: Effect, answer: &str) -> Result<serde_json::Value, PanelError> {
    let server = Says::new(answer).await;
    ask(&client(server.url), effect).await?.accepted()?.json()
}

fn with_body(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[track_caller]
fn is_transient<T>(answer: Result<T, PanelError>) {
    let error = answer.err().expect("it fails");
    assert!(matches!(error, PanelError::Transient(_)), "{error:?}");
}

#[track_caller]
fn is_ambiguous<T>(answer: Result<T, PanelError>) {
    let error = answer.err().expect("it fails");
    assert!(matches!(error, PanelError::Ambiguous(_)), "{error:?}");
}

#[track_caller]
fn is_misconfigured<T>(answer: Result<T, PanelError>) {
    let error = answer.err().expect("it fails");
    assert!(matches!(error, PanelError::Misconfigured(_)), "{error:?}");
}

#[tokio::test]
async fn an_answer_is_read_whole_and_the_path_is_escaped() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let http = client(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());

    let serve = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let head = read_head(&mut socket).await;
        socket.write_all(with_body("200 OK", "{\"a\":1}").as_bytes()).await.unwrap();
        head
    };
    let request = http.request(Method::GET, ["1.0", "a/b?c", "..", "d e"]);
    let (head, answer) = tokio::join!(serve, http.send(Effect::Read, request));

    assert!(head.starts_with("GET /1.0/a%2Fb%3Fc/d%20e HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(concat!("user-agent: berth/", env!("CARGO_PKG_VERSION"))), "{head}");
    assert_eq!(answer.unwrap().json::<serde_json::Value>().unwrap()["a"], 1);
}

#[tokio::test]
async fn a_unix_socket_is_spoken_to_as_a_server() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("panel.socket");
    let listener = UnixListener::bind(&path).unwrap();
    let endpoint = "http://localhost".parse().unwrap();
    let http = Http::new(HttpConfig { unix_socket: Some(path), ..HttpConfig::new(endpoint) }).unwrap();

    let serve = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        socket.write_all(with_body("200 OK", "[]").as_bytes()).await.unwrap();
    };
    let ((), answer) = tokio::join!(serve, ask(&http, Effect::Read));

    assert_eq!(answer.unwrap().body, b"[]");
}

#[tokio::test]
async fn a_socket_that_is_not_there_was_not_written_to() {
    let dir = tempfile::TempDir::new().unwrap();
    let endpoint = "http://localhost".parse().unwrap();
    let unix_socket = Some(dir.path().join("none"));
    let http = Http::new(HttpConfig { unix_socket, ..HttpConfig::new(endpoint) }).unwrap();

    is_transient(ask(&http, Effect::Mutation).await);
}

#[tokio::test]
async fn what_failed_before_a_byte_was_written_is_transient() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let refusing: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let not_tls = Says::new(with_body("400 Bad Request", "")).await;
    let not_tls = format!("https://127.0.0.1:{}", not_tls.url.port().unwrap()).parse().unwrap();
    let no_name = "https://no-such-panel.invalid".parse().unwrap();

    for url in [refusing, not_tls, no_name] {
        let http = Http::new(HttpConfig { connect_timeout: Duration::from_millis(500), ..private(url) }).unwrap();
        is_transient(ask(&http, Effect::Mutation).await);
    }
}

#[tokio::test]
async fn a_server_that_never_ends_the_handshake_is_given_up_and_was_not_written_to() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url: Url = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    let http = Http::new(HttpConfig { connect_timeout: Duration::from_millis(100), ..private(url) }).unwrap();

    is_transient(ask(&http, Effect::Mutation).await);
}

#[tokio::test]
async fn a_server_that_does_not_answer_leaves_a_mutation_open() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let short = Duration::from_millis(100);
    let http = Http::new(HttpConfig { read_timeout: short, mutation_timeout: short, ..private(url) }).unwrap();

    is_transient(ask(&http, Effect::Read).await);
    is_ambiguous(ask(&http, Effect::Mutation).await);
}

#[tokio::test]
async fn an_answer_that_is_lost_or_cut_off_leaves_a_mutation_open() {
    for answer in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"a\"",
        "not http at all\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"a\"",
        &with_body("200 OK", "{\"a\":"),
        &with_body("200 OK", "done"),
        &with_body("200 OK", ""),
        &with_body("200 OK", "<html><body>It works</body></html>"),
        &with_body("500 Internal Server Error", "{}"),
        &with_body("502 Bad Gateway", "<html>"),
        &with_body("524 A Timeout", ""),
        &with_body("408 Request Timeout", ""),
    ] {
        is_transient(comes_of(Effect::Read, answer).await);
        is_ambiguous(comes_of(Effect::Mutation, answer).await);
    }
}

#[tokio::test]
async fn credentials_redirects_and_logins_are_for_the_operator() {
    let login = r#"<!DOCTYPE html><html><form><input name="pass" TYPE="password"></form></html>"#;
    for answer in [
        &with_body("401 Unauthorized", ""),
        &with_body("403 Forbidden", "{}"),
        &with_body("200 OK", login),
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n",
        &with_body("304 Not Modified", ""),
    ] {
        is_misconfigured(comes_of(Effect::Read, answer).await);
        is_misconfigured(comes_of(Effect::Mutation, answer).await);
    }
}

#[tokio::test]
async fn another_refusal_is_for_good() {
    for status in ["400 Bad Request", "404 Not Found", "409 Conflict", "422 Unprocessable Entity"] {
        let refused = comes_of(Effect::Mutation, &with_body(status, "{}")).await.unwrap_err();

        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_fewer_requests_is_waited_for_within_bounds() {
    for (headers, seconds) in [
        ("", 30),
        ("retry-after: 7\r\n", 7),
        ("retry-after: 0\r\n", 1),
        ("retry-after: 999999\r\n", 3600),
        ("retry-after: soon\r\n", 30),
        ("retry-after: -5\r\n", 30),
        ("date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:50:37 GMT\r\n", 60),
        ("date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:00:00 GMT\r\n", 1),
        ("retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 1),
        ("retry-after: Tue, 31 Dec 2999 23:59:59 GMT\r\n", 3600),
    ] {
        let answer = format!("HTTP/1.1 429 Too Many Requests\r\n{headers}content-length: 0\r\n\r\n");

        let refused = comes_of(Effect::Mutation, &answer).await.unwrap_err();

        let PanelError::RateLimited { retry_after, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(retry_after.as_secs(), seconds, "{headers}");
    }
}

#[tokio::test]
async fn no_more_of_a_body_is_read_than_was_said() {
    let server = Says::new(with_body("200 OK", &"x".repeat(1001))).await;
    let endless = Says::new(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(64 * 1024))).await;
    let limited = |url: &Url, body_max| Http::new(HttpConfig { body_max, ..private(url.clone()) }).unwrap();

    assert_eq!(ask(&limited(&server.url, 1001), Effect::Read).await.unwrap().body.len(), 1001);
    is_transient(ask(&limited(&server.url, 1000), Effect::Read).await);
    is_ambiguous(ask(&limited(&server.url, 1000), Effect::Mutation).await);
    is_ambiguous(ask(&limited(&endless.url, 1000), Effect::Mutation).await);
}

#[test]
fn an_endpoint_is_an_origin_that_may_be_called() {
    let make = |url: &str, private| Http::new(HttpConfig { private, ..HttpConfig::new(url.parse().unwrap()) });

    for url in [
        "http://panel.example.net",
        "https://127.0.0.1:2087",
        "https://127.1:2087",
        "https://0x7f000001",
        "https://2130706433",
        "https://[::1]",
        "https://[::ffff:10.0.0.1]",
        "https://10.1.2.3",
    ] {
        is_misconfigured(make(url, false));
        assert!(make(url, true).is_ok(), "{url}");
    }
    for url in [
        "https://169.254.169.254",
        "https://[fe80::1]",
        "https://0.0.0.0",
        "https://[64:ff9b::a9fe:a9fe]",
        "http://8.8.8.8",
        "https://root:secret@panel.example.net",
        "https://panel.example.net/path",
        "https://panel.example.net/?query",
        "ftp://panel.example.net",
        "data:text/plain,panel",
    ] {
        is_misconfigured(make(url, true));
    }
    assert!(make("https://panel.example.net:2087/", false).is_ok());
}

#[tokio::test]
async fn a_name_is_judged_by_its_addresses_when_it_is_connected_to() {
    let server = Says::new(with_body("200 OK", "{}")).await;
    let port = server.url.port().unwrap();
    let by_name = |scheme: &str| format!("{scheme}://localhost:{port}").parse::<Url>().unwrap();

    let refused = ask(&Http::new(HttpConfig::new(by_name("https"))).unwrap(), Effect::Mutation).await;
    let allowed = ask(&client(by_name("http")), Effect::Mutation).await;

    let refused = refused.err().unwrap();
    assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
    assert!(refused.to_string().contains("may not be called"), "{refused}");
    assert_eq!(allowed.unwrap().status, 200);
}

#[tokio::test]
async fn no_failure_shows_a_url() {
    let http = client("http://127.0.0.1:1".parse().unwrap());
    let request = http.request(Method::GET, ["a"]).query(&[("token", "planted-secret")]);

    let error = http.send(Effect::Read, request).await.err().unwrap();

    assert!(!format!("{error:?}").contains("planted-secret"), "{error:?}");
}
