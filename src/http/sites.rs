//! The customers' sites of the panel `site`: a request whose Host is `<username>.<domain>` gets that account's files.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State as Extract},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;
use tower_http::services::ServeDir;

use crate::gateways::panels::site::{SiteName, State, account_of, public_html};

mod host;
mod path;

/// Accounts looked up at once: each occupies a thread of tokio's blocking pool for as long as a few `stat`s take.
const LOOKUPS: usize = 64;

const NOT_FOUND: &str = "There is nothing at this address.";
const NO_SITE: &str = "There is no site of this name.";
/// Visitors learn that it is away, and from nobody here why: that is between its owner and the shop.
const SUSPENDED: &str = "This site is not available at the moment. If it is yours, sign in to your hosting account.";
const READ_ONLY: &str = "This site answers only GET and HEAD.";
const TWO_HOSTS: &str = "A request has one Host.";
const BROKEN: &str = "This site cannot be read at the moment.";

/// The sites under one domain. Cheap to clone.
#[derive(Clone)]
pub struct Sites {
    inner: Arc<Inner>,
}

struct Inner {
    sites_dirs: Vec<PathBuf>,
    domain: String,
    lookups: Semaphore,
}

/// What a site says to a request for a path.
enum Answer {
    /// Serve from this directory.
    From(PathBuf),
    NotFound,
    NoSite,
    Suspended,
}

impl Sites {
    /// `domain` is the parent of the sites' host names, such as `localhost`. Every name below it is taken for a site,
    /// so Berth's own API must not be reached under one.
    #[must_use]
    pub fn new(sites_dirs: Vec<PathBuf>, domain: &str) -> Self {
        let domain = host::normal(domain);
        Self { inner: Arc::new(Inner { sites_dirs, domain, lookups: Semaphore::new(LOOKUPS) }) }
    }

    /// `api`, behind the sites: requests for any other host reach it untouched.
    pub fn before(self, api: Router) -> Router {
        api.layer(middleware::from_fn_with_state(self, by_host))
    }

    async fn answer(&self, label: &str, request: Request) -> Response {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let refused = page(StatusCode::METHOD_NOT_ALLOWED, READ_ONLY);
            return with(refused, header::ALLOW, "GET, HEAD");
        }
        let Some(name) = SiteName::parse(label) else {
            return page(StatusCode::NOT_FOUND, NO_SITE);
        };
        match self.find(name.clone(), request.uri().path()).await {
            Ok(Answer::From(root)) => serve(root, request).await,
            Ok(Answer::NotFound) => page(StatusCode::NOT_FOUND, NOT_FOUND),
            Ok(Answer::NoSite) => page(StatusCode::NOT_FOUND, NO_SITE),
            // Without `Retry-After`: nobody knows when.
            Ok(Answer::Suspended) => page(StatusCode::SERVICE_UNAVAILABLE, SUSPENDED),
            Err(error) => {
                tracing::error!(%error, site = %name, "a site could not be read");
                page(StatusCode::INTERNAL_SERVER_ERROR, BROKEN)
            }
        }
    }

    /// Reads the account afresh on every request: a suspension holds from the moment that it is written.
    async fn find(&self, name: SiteName, requested: &str) -> io::Result<Answer> {
        let _slot = self.inner.lookups.acquire().await.map_err(io::Error::other)?;
        let (inner, wanted) = (Arc::clone(&self.inner), path::Wanted::parse(requested));
        let found = tokio::task::spawn_blocking(move || find(&inner.sites_dirs, &name, wanted)).await;
        found.map_err(io::Error::other)?
    }
}

/// One directory that cannot be read, such as on a disk that is away, takes no site of another one with it.
fn find(sites_dirs: &[PathBuf], name: &SiteName, wanted: Option<path::Wanted>) -> io::Result<Answer> {
    let mut unreadable = None;
    for sites_dir in sites_dirs {
        match find_in(sites_dir, name, wanted.as_ref()) {
            Ok(Answer::NoSite) => {}
            Err(error) => unreadable = Some(error),
            found => return found,
        }
    }
    unreadable.map_or(Ok(Answer::NoSite), Err)
}

fn find_in(sites_dir: &Path, name: &SiteName, wanted: Option<&path::Wanted>) -> io::Result<Answer> {
    match account_of(sites_dir, name)? {
        None => return Ok(Answer::NoSite),
        Some(State::Suspended { .. }) => return Ok(Answer::Suspended),
        Some(State::Active) => {}
    }
    let root = public_html(sites_dir, name).canonicalize()?;
    let there = wanted.is_some_and(|wanted| wanted.is_servable(&root));
    Ok(if there { Answer::From(root) } else { Answer::NotFound })
}

async fn by_host(Extract(sites): Extract<Sites>, request: Request, next: Next) -> Response {
    let response = match host::label(&request, &sites.inner.domain) {
        Ok(None) => return next.run(request).await,
        Ok(Some(label)) => sites.answer(&label, request).await,
        Err(host::TwoHosts) => page(StatusCode::BAD_REQUEST, TWO_HOSTS),
    };
    with(response, header::X_CONTENT_TYPE_OPTIONS, "nosniff")
}

/// Index pages, ranges, conditional requests and types of content are the library's; what may be served was decided before.
async fn serve(root: PathBuf, request: Request) -> Response {
    let response = match ServeDir::new(root).oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    };
    if response.status() == StatusCode::NOT_FOUND {
        return page(StatusCode::NOT_FOUND, NOT_FOUND); // removed since it was found
    }
    response
}

fn page(status: StatusCode, sentence: &'static str) -> Response {
    let title = status.canonical_reason().unwrap_or("Sorry");
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <h1>{title}</h1>\n<p>{sentence}</p>\n</html>\n"
    );
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, html).into_response()
}

fn with(mut response: Response, name: HeaderName, value: &'static str) -> Response {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

#[cfg(test)]
mod tests;
