//! What listeners are told of: one task reads the orders that somebody listens to, for all listeners together. Between two
//! looks nothing is held of the database, and while nobody listens nothing is asked of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use berth_jobs::ids::{CustomerId, OrderId};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    error::chain,
    store::{Store, StoreError, live_orders::LiveOrder},
};

/// How often the orders that somebody listens to are read: no later than this a change is told.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long to leave a database alone that did not answer.
const PAUSE: Duration = Duration::from_secs(2);
/// So many orders are read by one statement.
const MOST_AT_ONCE: usize = 500;
/// Listeners of one process: each costs a socket and some kilobytes.
const MOST_LISTENERS: usize = 2_000;
/// Listeners of one customer in one process: more open windows than anybody looks at.
const MOST_OF_A_CUSTOMER: usize = 10;

/// Orders as their listeners see them; `None` before the first look.
pub(super) type Orders = watch::Receiver<Option<Arc<LiveOrder>>>;

/// The orders that are listened to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Feed {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    watched: Mutex<HashMap<OrderId, watch::Sender<Option<Arc<LiveOrder>>>>>,
    listened: Notify,
    listeners: Mutex<HashMap<CustomerId, usize>>,
}

/// Why nobody more may listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The customer listens often enough.
    OfCustomer,
    /// This process has listeners enough.
    Everywhere,
}

/// A listener's place; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    feed: Feed,
    customer: CustomerId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut listeners = lock(&self.feed.inner.listeners);
        if let Some(count) = listeners.get_mut(&self.customer) {
            *count -= 1;
            if *count == 0 {
                listeners.remove(&self.customer);
            }
        }
    }
}

impl Feed {
    pub(in super::super) fn new(store: Store) -> Self {
        let inner = Inner { store, watched: Mutex::default(), listened: Notify::new(), listeners: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Takes a place among the listeners.
    pub(super) fn place(&self, customer: CustomerId) -> Result<Place, Full> {
        let mut listeners = lock(&self.inner.listeners);
        if listeners.values().sum::<usize>() >= MOST_LISTENERS {
            return Err(Full::Everywhere);
        }
        let own = listeners.entry(customer).or_default();
        if *own >= MOST_OF_A_CUSTOMER {
            return Err(Full::OfCustomer);
        }
        *own += 1;
        Ok(Place { feed: self.clone(), customer })
    }

    /// Listens to an order from now on.
    pub(super) fn listen(&self, order: OrderId) -> Orders {
        let orders = lock(&self.inner.watched).entry(order).or_insert_with(|| watch::channel(None).0).subscribe();
        self.inner.listened.notify_one();
        orders
    }

    /// Reads what is listened to, until `stop`.
    pub(in super::super) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let orders = self.listened_to();
            let wait = if orders.is_empty() {
                None
            } else {
                Some(self.look(&orders).await.map_or_else(paused, |()| LOOK_EVERY))
            };
            let next = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => self.inner.listened.notified().await,
                }
            };
            tokio::select! {
                () = next => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// The orders that somebody still listens to.
    fn listened_to(&self) -> Vec<OrderId> {
        let mut watched = lock(&self.inner.watched);
        watched.retain(|_, orders| orders.receiver_count() > 0);
        watched.keys().copied().collect()
    }

    async fn look(&self, orders: &[OrderId]) -> Result<(), StoreError> {
        for some in orders.chunks(MOST_AT_ONCE) {
            let seen = self.inner.store.live_orders(some).await?;
            let watched = lock(&self.inner.watched);
            for order in seen {
                let Some(listeners) = watched.get(&order.id) else { continue };
                listeners.send_if_modified(|known| {
                    let is_news = known.as_ref().is_none_or(|known| known.change < order.change);
                    if is_news {
                        *known = Some(Arc::new(order));
                    }
                    is_news
                });
            }
        }
        Ok(())
    }
}

fn paused(error: StoreError) -> Duration {
    tracing::warn!(error = chain(&error), "the orders that are listened to could not be read");
    PAUSE
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::config::Config;

    fn feed() -> Feed {
        let config = Config::from_settings(&[("database.url", "postgres://localhost/none")]).unwrap();
        Feed::new(Store::new(&config.database).unwrap())
    }

    #[tokio::test]
    async fn a_customer_has_so_many_places_and_gets_one_back_that_is_left() {
        let feed = feed();
        let (one, other) = (CustomerId(Uuid::new_v4()), CustomerId(Uuid::new_v4()));

        let mut places: Vec<Place> = (0..MOST_OF_A_CUSTOMER).map(|_| feed.place(one).unwrap()).collect();

        assert_eq!(feed.place(one).unwrap_err(), Full::OfCustomer);
        assert!(feed.place(other).is_ok());
        places.pop();
        assert!(feed.place(one).is_ok());
        drop(places);
        assert!(lock(&feed.inner.listeners).is_empty(), "who has left is not remembered");
    }

    #[tokio::test]
    async fn all_customers_together_have_so_many_places() {
        let feed = feed();
        let customer = || CustomerId(Uuid::new_v4());

        let places: Vec<Place> = (0..MOST_LISTENERS).map(|_| feed.place(customer()).unwrap()).collect();

        assert_eq!(feed.place(customer()).unwrap_err(), Full::Everywhere);
        drop(places);
        assert!(feed.place(customer()).is_ok());
    }

    #[tokio::test]
    async fn an_order_that_nobody_listens_to_any_more_is_not_read() {
        let feed = feed();
        let order = OrderId::new();

        let listeners = (feed.listen(order), feed.listen(order));
        assert_eq!(feed.listened_to(), [order]);
        drop(listeners);

        assert_eq!(feed.listened_to(), []);
    }
}
