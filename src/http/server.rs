//! Serves connections, and lets the last requests end.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{app::App, error::chain, supervise::Supervisor};

/// How long a client may take to send a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before accepting again after the system refused, as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long `/readyz` tells that the process drains before connections are refused.
const NOTICE: Duration = Duration::from_millis(500);
/// How often the database is asked for the time.
const CLOCK_EVERY: Duration = Duration::from_secs(5);

/// Serves until the process drains, then until the last request has ended, at most for the grace.
///
/// # Errors
/// When no client for outgoing requests can be made.
pub async fn serve(app: App, listener: TcpListener, extra: Option<Router>, tasks: &Supervisor) -> io::Result<()> {
    let grace = app.config.work.shutdown_grace();
    let router = super::router(app.clone(), extra, tasks).map_err(io::Error::other)?;
    let most = app.config.http.max_connections;
    let (keeper, stopped) = (app, tasks.stopped.clone());
    tasks.run("clock", move || keep_clock(keeper.clone(), stopped.clone()));
    let draining = tasks.draining.clone();
    let noticed = async move {
        draining.cancelled().await;
        tokio::time::sleep(NOTICE).await;
    };
    connections(listener, router, most, noticed, grace, tasks).await;
    Ok(())
}

/// Answers `most` connections at a time by `router` until `end`, then until the last request has ended, at most for the grace.
pub(super) async fn connections(
    listener: TcpListener,
    router: Router,
    most: usize,
    end: impl Future<Output = ()>,
    grace: Duration,
    tasks: &Supervisor,
) {
    let connections = GracefulShutdown::new();
    // Whoever comes when all are taken waits in the system's own queue until one ends.
    let places = Arc::new(Semaphore::new(most));
    let mut end = pin!(end);
    loop {
        let accepting = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, peer)| (stream, peer, place))
        };
        let (stream, peer, place) = tokio::select! {
            accepted = accepting => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut end => break,
        };
        let router = router.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        });
        // Answers are small and complete: waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        let connection = connections.watch(connection);
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended badly");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(grace, connections.shutdown()).await.is_err() {
        tracing::warn!("requests outlast the grace and are cut off");
    }
}

/// Follows the database's clock until `stop`.
async fn keep_clock(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match app.store.now().await {
            Ok(now) => app.clock.set(now),
            Err(error) => tracing::warn!(error = chain(&error), "the database's clock could not be read"),
        }
        tokio::select! {
            () = tokio::time::sleep(CLOCK_EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
}
