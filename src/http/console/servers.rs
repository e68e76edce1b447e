//! Servers: what they hold, how they fare, and having new accounts go elsewhere.

use axum::{extract::State, response::Response};
use serde_json::json;

use super::{
    answer::{Trouble, done, page},
    forms::{Asked, Because, Done, Named, Posted, audit, reason},
    session::Signed,
};
use crate::app::App;

/// All servers.
pub(super) async fn list(
    signed: Signed,
    State(app): State<App>,
    Asked(Done { done }): Asked<Done>,
) -> Result<Response, Trouble> {
    let servers = app.store.console_servers().await?;
    page(&app, &signed, ("servers", "servers.html"), json!({ "servers": servers, "done": done }))
}

/// Has new accounts go elsewhere.
pub(super) async fn drain(
    State(app): State<App>,
    name: Named<String>,
    posted: Posted<Because>,
) -> Result<Response, Trouble> {
    set(&app, name, posted, true).await
}

/// Has new accounts come again.
pub(super) async fn undrain(
    State(app): State<App>,
    name: Named<String>,
    posted: Posted<Because>,
) -> Result<Response, Trouble> {
    set(&app, name, posted, false).await
}

async fn set(
    app: &App,
    Named(name): Named<String>,
    Posted { signed, form }: Posted<Because>,
    drain: bool,
) -> Result<Response, Trouble> {
    let (action, what) = if drain { ("server.drain", "drained") } else { ("server.undrain", "undrained") };
    let audit = audit(app, &signed, action, &name, reason(&form.reason)?, json!({ "drained": drain }));
    if !app.store.drain_server_audited(&name, drain, audit).await? {
        return Err(Trouble::not_found());
    }
    app.servers.forget().await;
    Ok(done("/console/servers", what))
}
