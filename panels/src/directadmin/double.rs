//! A stand-in for a DirectAdmin server: it speaks its HTTP, keeps accounts, and refuses in its words. That not only our own
//! client takes it for one is shown by `tests/oracle.rs`.
//!
//! Shapes are the documentation's (legacy API and `swagger.json`) and those that open clients and the panel's own pages read.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, Method, StatusCode, header::AUTHORIZATION},
    response::{Html, IntoResponse, Response},
    routing::any,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{RwLock, RwLockWriteGuard},
    task::JoinSet,
};

mod api;
mod commands;
mod users;
mod wire;

pub(crate) use users::World;
pub(crate) use wire::Wire;

/// So many wrong credentials in a row, and nobody at that address is answered any more.
const FAILURES_MAX: u32 = 5;

/// The parameters of a call.
pub(crate) type Params = Vec<(String, String)>;

/// The server. It serves until it is dropped.
pub(crate) struct Double {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

struct Shared {
    world: Mutex<World>,
    /// Every create holds this while it is at work.
    creating: RwLock<()>,
    failures: Mutex<u32>,
}

/// Who calls: whose key it is, and as whom.
pub(crate) struct Caller {
    pub(crate) user: String,
}

impl Double {
    /// A server with an admin, Berth's reseller and another one.
    pub(crate) async fn new() -> Self {
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new()),
            creating: RwLock::default(),
            failures: Mutex::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("a bound port");
        let app = Router::new()
            .route("/api/{*path}", any(serve_api))
            .route("/{command}", any(serve))
            .with_state(Arc::clone(&shared));
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

    /// As an operator does who takes an address off the list.
    pub(crate) fn lift_ban(&self) {
        *self.shared.failures.lock().unwrap() = 0;
    }
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    Path(command): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let caller = match shared.caller(&headers) {
        Ok(caller) => caller,
        Err(page) => return *page,
    };
    let pairs = |text: &[u8]| url::form_urlencoded::parse(text).into_owned().collect::<Params>();
    let mut params = pairs(query.unwrap_or_default().as_bytes());
    params.extend(pairs(&body));
    let is_json = params.iter().any(|(name, value)| name == "json" && value == "yes");
    let work = async move {
        let is_create = command.ends_with("ACCOUNT_USER");
        let _creating = if is_create { Some(shared.creating.read().await) } else { None };
        let mut world = shared.world.lock().unwrap();
        let outcome = world.call(&caller, &command, &params);
        wire::response(world.wire, is_json, outcome)
    };
    // What has begun is finished, also when the caller hangs up.
    #[expect(clippy::disallowed_methods, reason = "a command at the server outlives the request that began it")]
    let working = tokio::spawn(work);
    working.await.expect("no call panics")
}

async fn serve_api(
    State(shared): State<Arc<Shared>>,
    method: Method,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let caller = match shared.caller(&headers) {
        Ok(caller) => caller,
        Err(_) => return (StatusCode::UNAUTHORIZED, Json(json!({"type": "UNAUTHORIZED"}))).into_response(),
    };
    shared.world.lock().unwrap().api(&caller, &method, &path, &body)
}

impl Shared {
    /// Who calls, by Basic credentials; or the page that is shown to nobody in particular. Wrong ones are counted.
    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Box<Response>> {
        let mut failures = self.failures.lock().unwrap();
        let world = self.world.lock().unwrap();
        if world.licence_lapsed {
            let page = "<!DOCTYPE html><html><body>License Error: your license has expired</body></html>";
            return Err(Box::new(Html(page).into_response()));
        }
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(basic);
        let caller = given.and_then(|(user, key)| world.caller(&user, &key));
        if *failures >= FAILURES_MAX {
            let page = "<html><body>Your IP is blacklisted</body></html>";
            return Err(Box::new(Html(page).into_response()));
        }
        match caller {
            Some(caller) => {
                *failures = 0;
                Ok(caller)
            }
            None => {
                *failures += 1;
                Err(Box::new(([("X-DirectAdmin", "Unauthorized")], Html(wire::LOGIN_PAGE)).into_response()))
            }
        }
    }
}

fn basic(header: &str) -> Option<(String, String)> {
    let encoded = header.strip_prefix("Basic ")?;
    let pair = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    pair.split_once(':').map(|(user, key)| (user.to_owned(), key.to_owned()))
}
