//! A stand-in for a HestiaCP server: it speaks its API's HTTP, keeps users, and refuses with its codes and in its words.
//!
//! Shapes, codes and sentences are those of Hestia's scripts and of recordings of them (`tests/recorded.json`).

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{RwLock, RwLockWriteGuard},
    task::JoinSet,
};

mod commands;
mod domains;
mod users;

pub(crate) use users::World;

use commands::Outcome;

/// Hestia's arguments have names of their own: `arg1` to `arg13`.
const ARGS_MAX: usize = 13;
/// How long a change is at work; of real ones it is a second.
const TAKES: Duration = Duration::from_millis(1);
/// What PHP says that it answers, unless it is told otherwise.
const HTML: &str = "text/html; charset=UTF-8";

/// The fields of a request.
type Fields = Vec<(String, String)>;

/// The server. It serves until it is dropped.
pub(crate) struct Double {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

struct Shared {
    world: Mutex<World>,
    /// Every `v-add-user` holds this while it is at work.
    creating: RwLock<()>,
}

impl Double {
    /// A server with packages, an administrator, and a key for Berth.
    pub(crate) async fn new() -> Self {
        let shared = Arc::new(Shared { world: Mutex::new(World::new()), creating: RwLock::default() });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("a bound port");
        let app = Router::new().route("/api/", any(serve)).with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { address, shared, _serving: serving }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that the server holds.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world.lock().unwrap()
    }

    /// Waits for the creates that are at work or wait for it, and holds up those that come while the guard lives. A create
    /// goes on whether or not somebody waits for its answer.
    pub(crate) async fn hold_creates(&self) -> RwLockWriteGuard<'_, ()> {
        self.shared.creating.write().await
    }
}

async fn serve(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let fields = fields(&headers, &body);
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim());
    let is_code = field("returncode") == "yes";
    let (id, secret) = match field("hash").split_once(':') {
        Some((id, secret)) if field("access_key").is_empty() => (id, secret),
        _ => (field("access_key"), field("secret_key")),
    };
    if id.is_empty() {
        let error = "Error: data received is null or invalid, check https://hestiacp.com/docs/server-administration/rest-api.html";
        return refused(405, StatusCode::METHOD_NOT_ALLOWED, error, is_code);
    }
    let command = field("cmd").to_owned();
    let args: Vec<_> = (1..=ARGS_MAX).map(|nth| field(&format!("arg{nth}")).to_owned()).collect();
    if let Err((code, error)) = shared.world.lock().unwrap().check_key(id, secret, &command) {
        return refused(code, status(code), &format!("Error: {error}"), is_code);
    }
    let work = async move {
        let _creating = if command == "v-add-user" { Some(shared.creating.read().await) } else { None };
        let changes = !command.starts_with("v-list") && !command.starts_with("v-search");
        if changes {
            shared.world.lock().unwrap().begin(&args[0]);
            tokio::time::sleep(TAKES).await;
        }
        let mut world = shared.world.lock().unwrap();
        let outcome = world.run(&command, &args);
        if changes {
            world.end(&args[0]);
        }
        answer(&outcome, is_code)
    };
    // What has begun is finished, also when the caller hangs up.
    #[expect(clippy::disallowed_methods, reason = "a script at the server outlives the request that began it")]
    let working = tokio::spawn(work);
    working.await.expect("no command panics")
}

/// The form's fields, or those of a JSON object.
fn fields(headers: &HeaderMap, body: &[u8]) -> Fields {
    let is_form = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if is_form {
        return url::form_urlencoded::parse(body).into_owned().collect();
    }
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else { return Fields::new() };
    object.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
}

/// What the API itself refuses.
fn refused(code: u16, status: StatusCode, error: &str, is_code: bool) -> Response {
    let body = if is_code { code.to_string() } else { error.to_owned() };
    let headers = [("hestia-exit-code", code.to_string()), ("content-type", HTML.to_owned())];
    (status, headers, body).into_response()
}

/// What a command has printed. With `returncode=yes` the status is 200 whatever the code, which is the body.
fn answer(outcome: &Outcome, is_code: bool) -> Response {
    let (code, printed) = match outcome {
        Ok(printed) => (0, printed.trim().to_owned()),
        Err((code, printed)) => (*code, printed.trim().to_owned()),
    };
    let status = match code {
        _ if is_code => StatusCode::OK,
        0 if printed.is_empty() => StatusCode::NO_CONTENT,
        0 => StatusCode::OK,
        code => status(code),
    };
    let body = if is_code { code.to_string() } else { printed };
    let mut response = (status, [("hestia-exit-code", code.to_string())], body).into_response();
    let is_json = code == 0 && !is_code && prints_json(outcome);
    let kind = if is_json { "application/json; charset=utf-8" } else { HTML };
    response.headers_mut().insert(CONTENT_TYPE, kind.parse().expect("a header's value"));
    response
}

/// An object with something in it: an empty one is no more to PHP than nothing.
fn prints_json(outcome: &Outcome) -> bool {
    let printed = outcome.as_deref().unwrap_or_default();
    serde_json::from_str::<Value>(printed).is_ok_and(|value| value.as_object().is_some_and(|object| !object.is_empty()))
}

/// The status of HTTP that goes with an exit code; that of most is 400.
fn status(code: u16) -> StatusCode {
    match code {
        2 => StatusCode::UNPROCESSABLE_ENTITY,
        5 | 6 | 9 | 10 | 21 => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    }
}
