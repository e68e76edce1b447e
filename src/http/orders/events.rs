//! `GET /v1/orders/{id}/events`: an order's steps as they happen, as server-sent events. A browser cannot send a token
//! along with such a request, and a token in a URL ends up in logs: it brings a ticket instead, which opens one stream, once.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use berth_jobs::ids::{AccountId, CustomerId, OrderId};
use futures::Stream;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use super::{
    super::{
        Draining,
        auth::{Authenticated, Authenticator},
        problem::{Problem, ProblemJson, Refuses},
        segments::Segments,
    },
    Feed,
    feed::{Full, Orders, Place},
    of_store, order_of,
};
use crate::{
    app::App,
    domain::account::AccountPhase,
    effects::{Effects, NewStreamTicket},
    error::chain,
    secrets::{generate_token, hash_token},
    store::live_orders::LiveOrder,
};

/// How long a ticket can be taken.
const TICKET_HOLDS: SignedDuration = SignedDuration::from_secs(60);
/// How soon to try again when the database is away or there are listeners enough.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How often a silent stream says that it lives, so that no proxy takes it for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a stream lasts at most: who still listens asks again.
const LONGEST: Duration = Duration::from_secs(600);
/// How soon a client should come back when a stream has ended before its order.
const COME_BACK: Duration = Duration::from_secs(1);

/// The right to listen to an order once.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamTicket {
    /// For `GET /v1/orders/{id}/events?ticket=…`.
    ticket: String,
    /// Until when it can be taken.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Hands out the right to listen to one of your orders once, within a minute.
#[utoipa::path(post, path = "/v1/orders/{id}/ticket", tag = "orders", operation_id = "make_order_ticket",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`ord_…`")),
    responses(
        (status = 201, description = "The ticket.", body = StreamTicket),
        (status = 404, description = "You have no such order.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn ticket(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<OrderId>,
) -> Result<Response, Problem> {
    let order = order_of(&app, &customer, id).await?;
    let unavailable = |error: &dyn std::error::Error| {
        tracing::error!(%id, error = chain(error), "no ticket could be made");
        Problem::unavailable(RETRY_AFTER)
    };
    let ticket = generate_token().map_err(|error| unavailable(&error))?;
    let expires_at = app.clock.now().checked_add(TICKET_HOLDS).map_err(|error| unavailable(&error))?;
    let stored = NewStreamTicket {
        hash: hash_token(ticket.expose_secret()),
        // Whoever in the house listens, the order is its customer's.
        customer_id: order.customer.id,
        order_id: id,
        expires_at,
    };
    app.committer.write(Effects::none().stream_ticket(stored)).await.map_err(|error| unavailable(&error))?;
    let ticket = StreamTicket { ticket: ticket.expose_secret().to_owned(), expires_at };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(ticket)).into_response())
}

/// By what a listener is let in.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// A ticket for this order. Not needed beside a token.
    ticket: Option<String>,
}

/// What each event says.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderEventJson {
    #[schema(value_type = String)]
    order_id: OrderId,
    /// pending, processing, completed, failed or cancelled.
    status: &'static str,
    accounts: Vec<AccountStatusJson>,
}

/// Where an account of the order stands.
#[derive(Debug, Serialize, ToSchema)]
struct AccountStatusJson {
    #[schema(value_type = String)]
    id: AccountId,
    /// pending, active, suspended or cancelled.
    status: &'static str,
}

impl OrderEventJson {
    fn of(order: &LiveOrder) -> Self {
        let account = |(id, phase): &(AccountId, AccountPhase)| AccountStatusJson { id: *id, status: phase.status() };
        Self {
            order_id: order.id,
            status: order.phase.status(),
            accounts: order.accounts.iter().map(account).collect(),
        }
    }
}

/// Streams an order's status and its accounts' statuses: first as they are, then with every change.
///
/// Each event is called `order`; its data is JSON, its id a number that grows. The stream ends after the status
/// `completed`, `failed` or `cancelled` (close it then), and otherwise after ten minutes at most: come back with a new
/// ticket, or with a token and `Last-Event-ID`.
#[utoipa::path(get, path = "/v1/orders/{id}/events", tag = "orders", operation_id = "listen_to_order",
    security(("bearer" = []), ()),
    params(
        ("id" = String, Path, description = "`ord_…`"),
        EventsQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "What is known already is not told again."),
    ),
    responses(
        (status = 200, description = "Server-sent events; the data of each is as described.", body = OrderEventJson,
            content_type = "text/event-stream"),
        (status = 400, description = "A parameter is not what this takes.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 401, description = "Sign in, or bring a ticket that was not used and is not older than a minute.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 404, description = "You have no such order, or the ticket is for another one.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "You listen often enough: close a stream, or wait.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 503, description = "The database is away, the process stops, or it has listeners enough.",
            body = ProblemJson, content_type = "application/problem+json"),
    ),
)]
pub async fn listen(
    State(app): State<App>,
    State(authenticator): State<Authenticator>,
    State(feed): State<Feed>,
    State(Draining(draining)): State<Draining>,
    Segments(id): Segments<OrderId>,
    query: Result<Query<EventsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_request(error.body_text()))?;
    if draining.is_cancelled() {
        return Err(Problem::unavailable(RETRY_AFTER));
    }
    let customer = match query.ticket {
        Some(ticket) => by_ticket(&app, id, &ticket).await?,
        None => {
            let customer = authenticator.authenticate(&headers).await?;
            order_of(&app, &customer, id).await?;
            customer.id
        }
    };
    let place = feed.place(customer).map_err(|full| match full {
        Full::OfCustomer => Problem::too_many_requests(RETRY_AFTER),
        Full::Everywhere => Problem::unavailable(RETRY_AFTER),
    })?;
    // Listened to before it is read, so that no change falls in between.
    let orders = feed.listen(id);
    let now = app.store.live_orders(&[id]).await.map_err(of_store)?.pop().ok_or_else(Problem::not_found)?;
    let known = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    Ok(stream(Listener::new(now, known, orders, draining, place), HEARTBEAT))
}

fn stream(listener: Listener, heartbeat: Duration) -> Response {
    let heartbeat = KeepAlive::new().interval(heartbeat).text("still here");
    let mut response = Sse::new(listener.events()).keep_alive(heartbeat).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would keep events back until it has a bufferful.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Whose order it is that a ticket is for. The ticket is used up by this.
async fn by_ticket(app: &App, order: OrderId, ticket: &str) -> Result<CustomerId, Problem> {
    let taken = app.store.take_stream_ticket(&hash_token(ticket)).await.map_err(of_store)?;
    let (customer, of_ticket) = taken.ok_or_else(Problem::unauthorized)?;
    if of_ticket == order { Ok(customer) } else { Err(Problem::not_found()) }
}

/// One who listens to an order.
struct Listener {
    /// As it was when they came, until they are told.
    first: Option<LiveOrder>,
    /// The change that they know of.
    known: Option<i64>,
    orders: Orders,
    ends_at: Instant,
    draining: CancellationToken,
    is_over: bool,
    _place: Option<Place>,
}

impl Listener {
    fn new(
        now: LiveOrder,
        known: Option<i64>,
        orders: Orders,
        draining: CancellationToken,
        place: impl Into<Option<Place>>,
    ) -> Self {
        // An end is told again: it is why the stream ends.
        let is_known = known == Some(now.change) && !now.phase.is_final();
        Self {
            known: is_known.then_some(now.change),
            first: (!is_known).then_some(now),
            orders,
            ends_at: Instant::now() + LONGEST,
            draining,
            is_over: false,
            _place: place.into(),
        }
    }

    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> + Send {
        futures::stream::unfold(self, |mut listener| async move {
            let event = listener.next().await?;
            Some((Ok(event), listener))
        })
    }

    /// What to tell next; `None` when there will be nothing more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.is_over {
                return None;
            }
            if let Some(event) = self.news() {
                return Some(event);
            }
            tokio::select! {
                changed = self.orders.changed() => if changed.is_err() {
                    return Some(self.farewell());
                },
                () = tokio::time::sleep_until(self.ends_at) => return Some(self.farewell()),
                () = self.draining.cancelled() => return Some(self.farewell()),
            }
        }
    }

    fn news(&mut self) -> Option<Event> {
        let order = match self.first.take() {
            Some(first) => Arc::new(first),
            None => self.orders.borrow_and_update().clone()?,
        };
        if self.known.is_some_and(|known| order.change <= known) {
            return None;
        }
        self.known = Some(order.change);
        self.is_over = order.phase.is_final();
        let event = Event::default().event("order").id(order.change.to_string());
        Some(event.json_data(OrderEventJson::of(&order)).unwrap_or_else(|_| self.farewell()))
    }

    /// The end of the stream, but not of the order.
    fn farewell(&mut self) -> Event {
        self.is_over = true;
        Event::default().retry(COME_BACK).comment("come back")
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use http_body_util::BodyExt;
    use tokio::sync::watch;

    use super::*;
    use crate::domain::order::OrderPhase;

    fn order(phase: OrderPhase, change: i64) -> LiveOrder {
        LiveOrder { id: OrderId::new(), phase, change, accounts: Vec::new() }
    }

    struct World {
        orders: watch::Sender<Option<Arc<LiveOrder>>>,
        draining: CancellationToken,
    }

    impl World {
        fn new() -> Self {
            Self { orders: watch::channel(None).0, draining: CancellationToken::new() }
        }

        fn listener(&self, now: LiveOrder, known: Option<i64>) -> Listener {
            Listener::new(now, known, self.orders.subscribe(), self.draining.clone(), None)
        }

        fn tell(&self, order: LiveOrder) {
            self.orders.send_replace(Some(Arc::new(order)));
        }
    }

    /// Everything that the stream says until it ends.
    async fn said(listener: Listener) -> String {
        let bytes = stream(listener, Duration::from_millis(10)).into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn ids(said: &str) -> Vec<&str> {
        said.lines().filter_map(|line| line.strip_prefix("id: ")).collect()
    }

    #[tokio::test]
    async fn the_present_is_told_first_and_the_stream_ends_with_the_order() {
        let world = World::new();
        let listener = world.listener(order(OrderPhase::Pending, 1), None);
        world.tell(order(OrderPhase::Completed, 5));

        let said = said(listener).await;

        assert_eq!(ids(&said), ["1", "5"], "{said}");
        assert!(said.contains(r#""status":"completed""#) && said.matches("event: order\n").count() == 2, "{said}");
        assert!(!said.contains("retry"), "nobody has to come back: {said}");
    }

    #[tokio::test]
    async fn a_silent_stream_says_that_it_lives() {
        let world = World::new();
        let mut listener = world.listener(order(OrderPhase::Pending, 1), None);
        listener.ends_at = Instant::now() + Duration::from_millis(100);

        let said = said(listener).await;

        assert!(said.matches(": still here\n\n").count() > 1, "{said}");
        assert_eq!(ids(&said), ["1"], "a heartbeat is no event: {said}");
    }

    #[tokio::test]
    async fn what_is_known_is_not_told_again_but_an_end_is() {
        let world = World::new();

        let listener = world.listener(order(OrderPhase::Processing, 3), Some(3));
        world.tell(order(OrderPhase::Processing, 3));
        world.tell(order(OrderPhase::Completed, 4));
        assert_eq!(ids(&said(listener).await), ["4"]);
        assert_eq!(ids(&said(world.listener(order(OrderPhase::Completed, 4), Some(4))).await), ["4"]);
        assert_eq!(ids(&said(world.listener(order(OrderPhase::Cancelled, 2), Some(77))).await), ["2"]);
    }

    #[tokio::test]
    async fn a_look_that_is_older_than_what_was_told_is_not_told() {
        let world = World::new();
        world.tell(order(OrderPhase::Pending, 1));

        let mut listener = world.listener(order(OrderPhase::Processing, 2), None);
        assert!(listener.next().await.is_some());
        world.draining.cancel();

        let rest: Vec<_> = Box::pin(listener.events()).collect().await;
        assert_eq!(rest.len(), 1, "only the farewell");
    }

    #[tokio::test]
    async fn who_listens_while_the_process_stops_or_for_too_long_is_asked_to_come_back() {
        let world = World::new();
        let stopped = world.listener(order(OrderPhase::Pending, 1), None);
        let mut long = world.listener(order(OrderPhase::Pending, 1), None);
        long.ends_at = Instant::now();

        let long = said(long).await;
        world.draining.cancel();
        let stopped = said(stopped).await;

        for said in [long, stopped] {
            assert_eq!(ids(&said), ["1"], "{said}");
            assert!(said.ends_with("\n\n") && said.contains("retry: 1000\n"), "{said}");
        }
    }
}
