//! A stand-in for a WHM server: it speaks its HTTP, keeps accounts, and refuses in its words. That not only our own client
//! takes it for one is shown by `tests/oracle.rs`.
//!
//! Shapes are the documentation's (API 1) and those of recordings (API 0, which is what a caller without `api.version` gets).

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::any,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{RwLock, RwLockWriteGuard},
    task::JoinSet,
};

mod accounts;

pub(crate) use accounts::{Suspension, World};

/// So many wrong credentials in a row, and cPHulk answers nobody at that address any more.
const FAILURES_MAX: u32 = 5;

/// The parameters of a call.
pub(crate) type Params = Vec<(String, String)>;

/// What a function answers: its data and what its script has printed, or why not.
pub(crate) type Outcome = Result<(Value, Option<String>), String>;

/// The server. It serves until it is dropped.
pub(crate) struct Double {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

struct Shared {
    world: Mutex<World>,
    /// Every `createacct` holds this while it is at work.
    creating: RwLock<()>,
    failures: Mutex<u32>,
}

impl Double {
    /// A server with packages, and with Berth's reseller and another one.
    pub(crate) async fn new() -> Self {
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new()),
            creating: RwLock::default(),
            failures: Mutex::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("a bound port");
        let app = Router::new().route("/json-api/{function}", any(serve)).with_state(Arc::clone(&shared));
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

    /// As an operator does who unbans an address.
    pub(crate) fn lift_ban(&self) {
        *self.shared.failures.lock().unwrap() = 0;
    }
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    Path(function): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(caller) = shared.caller(&headers) else { return denied() };
    let pairs = |text: &[u8]| url::form_urlencoded::parse(text).into_owned().collect::<Params>();
    let mut params = pairs(query.unwrap_or_default().as_bytes());
    params.extend(pairs(&body));
    let is_version_1 = params.iter().any(|(name, value)| name == "api.version" && value == "1");
    let work = async move {
        let _creating = if function == "createacct" { Some(shared.creating.read().await) } else { None };
        let outcome = shared.world.lock().unwrap().call(&caller, &function, &params);
        Json(if is_version_1 { version_1(&function, outcome) } else { version_0(&function, outcome) })
    };
    // What has begun is finished, also when the caller hangs up.
    #[expect(clippy::disallowed_methods, reason = "a script at the server outlives the request that began it")]
    let working = tokio::spawn(work);
    working.await.expect("no call panics").into_response()
}

impl Shared {
    /// The user that the credentials are of. Wrong ones are counted.
    fn caller(&self, headers: &HeaderMap) -> Option<String> {
        let mut failures = self.failures.lock().unwrap();
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(credentials);
        let is_right = given.as_ref().is_some_and(|(user, token)| self.world.lock().unwrap().is_token(user, token));
        if *failures >= FAILURES_MAX || !is_right {
            *failures += 1;
            return None;
        }
        *failures = 0;
        given.map(|(user, _)| user)
    }
}

/// `whm user:token` or Basic.
fn credentials(header: &str) -> Option<(String, String)> {
    let (scheme, rest) = header.split_once(' ')?;
    let pair = match scheme.to_ascii_lowercase().as_str() {
        "whm" => rest.to_owned(),
        "basic" => String::from_utf8(BASE64_STANDARD.decode(rest).ok()?).ok()?,
        _ => return None,
    };
    pair.split_once(':').map(|(user, token)| (user.to_owned(), token.to_owned()))
}

fn denied() -> Response {
    let body = json!({"cpanelresult": {"apiversion": "2", "error": "Access denied", "type": "text",
        "data": {"reason": "Access denied", "result": "0"}}});
    (StatusCode::FORBIDDEN, Json(body)).into_response()
}

fn version_1(function: &str, outcome: Outcome) -> Value {
    let (result, reason, data, raw) = match outcome {
        Ok((data, raw)) => (1, "OK".to_owned(), data, raw),
        Err(reason) => (0, reason, Value::Null, None),
    };
    let mut metadata = json!({"version": 1, "command": function, "result": result, "reason": reason});
    if let Some(raw) = raw {
        metadata["output"] = json!({"raw": raw});
    }
    let mut envelope = json!({"metadata": metadata});
    if !data.is_null() {
        envelope["data"] = data;
    }
    envelope
}

fn version_0(function: &str, outcome: Outcome) -> Value {
    let (status, message, data) = match outcome {
        Ok((data, raw)) => (1, raw.unwrap_or_else(|| "Ok".to_owned()), data),
        Err(reason) => (0, reason, Value::Null),
    };
    if matches!(function, "accountsummary" | "listaccts") {
        return json!({"status": status, "statusmsg": message, "acct": data.get("acct")});
    }
    json!({"result": [{"status": status, "statusmsg": message, "options": data}]})
}
