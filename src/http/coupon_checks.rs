//! How often coupon codes may be tried: by one customer, and from one address; and what else is counted so. Each process
//! counts for itself.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use berth_jobs::ids::{ApiKeyId, CustomerId};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};

use super::{client_address::ClientAddress, problem::Problem};
use crate::config;

/// So many customers, and so many addresses, are remembered; a minute after their last try they are forgotten. Some hundred
/// bytes each.
const MOST_REMEMBERED: usize = 10_000;

/// Counts the tries. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct CouponChecks<C: Clock = DefaultClock>(Arc<Counters<C>>);

struct Counters<C: Clock> {
    customers: Counter<CustomerId, C>,
    addresses: Counter<IpAddr, C>,
    clock: C,
}

type Counter<K, C> = RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<<C as Clock>::Instant>>;

impl CouponChecks {
    pub(super) fn new(http: &config::Http) -> Self {
        Self::with_clock(http.coupon_checks_per_customer, http.coupon_checks_per_address, DefaultClock::default())
    }
}

impl<C: Clock + Clone> CouponChecks<C> {
    fn with_clock(per_customer: NonZeroU32, per_address: NonZeroU32, clock: C) -> Self {
        Self(Arc::new(Counters {
            customers: RateLimiter::hashmap_with_clock(Quota::per_minute(per_customer), clock.clone()),
            addresses: RateLimiter::hashmap_with_clock(Quota::per_minute(per_address), clock.clone()),
            clock,
        }))
    }

    /// Counts a try, before the code is looked up. Refuses with 429 when there were too many.
    pub(super) fn count(&self, customer: CustomerId, from: ClientAddress) -> Result<(), Problem> {
        let counters = &self.0;
        let now = counters.clock.now();
        let refuse = |wait: Duration| Problem::too_many_requests(whole_seconds(wait));
        counters.customers.check_if_room(customer, CustomerId(uuid::Uuid::nil()), now).map_err(refuse)?;
        let Some(address) = from.0.map(network) else { return Ok(()) };
        counters.addresses.check_if_room(address, IpAddr::V6(Ipv6Addr::UNSPECIFIED), now).map_err(refuse)
    }
}

/// Counts what anybody may ask for, by address. Cheap to clone; clones count together.
#[derive(Clone)]
pub(super) struct AddressChecks(Checks<IpAddr>);

impl AddressChecks {
    pub(super) fn per_minute(most: NonZeroU32) -> Self {
        Self(Checks::per_minute(most, IpAddr::V6(Ipv6Addr::UNSPECIFIED)))
    }

    /// Counts a request. Refuses with 429 when there were too many.
    pub(super) fn count(&self, from: ClientAddress) -> Result<(), Problem> {
        from.0.map(network).map_or(Ok(()), |address| self.0.count(address))
    }
}

/// Counts what each of many may ask for. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Checks<K: Hash + Eq + Clone>(Arc<Each<K>>);

struct Each<K: Hash + Eq + Clone> {
    counter: Counter<K, DefaultClock>,
    /// Who stands for all that find no room.
    rest: K,
    clock: DefaultClock,
}

/// What a customer may have a panel asked for.
pub(super) type SignInChecks = Checks<CustomerId>;

/// What may be asked for with an application's key.
pub(super) type KeyChecks = Checks<ApiKeyId>;

impl<K: Hash + Eq + Clone> Checks<K> {
    /// `rest` is nobody.
    pub(super) fn per_minute(most: NonZeroU32, rest: K) -> Self {
        let clock = DefaultClock::default();
        let counter = RateLimiter::hashmap_with_clock(Quota::per_minute(most), clock.clone());
        Self(Arc::new(Each { counter, rest, clock }))
    }

    /// Counts a request. Refuses with 429 when there were too many.
    pub(super) fn count(&self, who: K) -> Result<(), Problem> {
        let refuse = |wait: Duration| Problem::too_many_requests(whole_seconds(wait));
        let Each { counter, rest, clock } = &*self.0;
        counter.check_if_room(who, rest.clone(), clock.now()).map_err(refuse)
    }
}

trait CheckIfRoom<K, I> {
    /// Counts under `key`; where there are too many keys, under `rest` together with all others that find no room.
    fn check_if_room(&self, key: K, rest: K, now: I) -> Result<(), Duration>;
}

impl<K: Hash + Eq + Clone, C: Clock> CheckIfRoom<K, C::Instant> for Counter<K, C> {
    fn check_if_room(&self, key: K, rest: K, now: C::Instant) -> Result<(), Duration> {
        if self.len() >= MOST_REMEMBERED {
            self.retain_recent();
            self.shrink_to_fit();
        }
        let key = if self.len() >= MOST_REMEMBERED { rest } else { key };
        self.check_key(&key).map_err(|not_until| not_until.wait_time_from(now))
    }
}

/// One customer of a provider has a whole network of IPv6 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Never less than is to be waited.
fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use uuid::Uuid;

    use super::*;

    fn checks(per_customer: u32, per_address: u32) -> (CouponChecks<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let number = |number| NonZeroU32::new(number).unwrap();
        (CouponChecks::with_clock(number(per_customer), number(per_address), clock.clone()), clock)
    }

    fn customer(number: u128) -> CustomerId {
        CustomerId(Uuid::from_u128(number))
    }

    fn from(address: &str) -> ClientAddress {
        ClientAddress(Some(address.parse().unwrap()))
    }

    #[test]
    fn a_customer_tries_ten_codes_and_then_waits() {
        let (checks, clock) = checks(10, 1_000);
        let one = || checks.count(customer(1), from("192.0.2.1"));
        assert!((0..10).all(|_| one().is_ok()));

        assert_eq!(one().unwrap_err().status().as_u16(), 429);
        assert!(checks.count(customer(2), from("192.0.2.1")).is_ok(), "others are not held up");
        clock.advance(Duration::from_secs(6));
        assert!(one().is_ok() && one().is_err(), "a sixth of a minute gives a tenth of the tries back");
    }

    #[test]
    fn many_customers_of_one_address_share_its_tries() {
        let (checks, _) = checks(10, 3);
        assert!((0..3).all(|who| checks.count(customer(who + 1), from("192.0.2.1")).is_ok()));

        assert!(checks.count(customer(9), from("192.0.2.1")).is_err());
        assert!(checks.count(customer(9), from("192.0.2.2")).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (checks, _) = checks(10, 1);
        assert!(checks.count(customer(1), from("2001:db8:0:1::1")).is_ok());

        assert!(checks.count(customer(2), from("2001:db8:0:1:ffff::9")).is_err());
        assert!(checks.count(customer(3), from("2001:db8:0:2::1")).is_ok());
    }

    #[test]
    fn what_is_remembered_has_a_bound_and_is_forgotten() {
        let (checks, clock) = checks(10, u32::MAX);
        for who in 0..=u128::try_from(MOST_REMEMBERED).unwrap() + 5 {
            let _ = checks.count(customer(who + 1), from("192.0.2.1"));
        }
        let remembered = || checks.0.customers.len();
        assert!(remembered() <= MOST_REMEMBERED + 1, "{}", remembered());
        assert!((0..20).any(|who| checks.count(customer(u128::MAX - who), from("192.0.2.1")).is_err()));

        clock.advance(Duration::from_secs(61));
        assert!(checks.count(customer(u128::MAX), from("192.0.2.1")).is_ok());
        assert!(remembered() <= 2, "{}", remembered());
    }

    #[test]
    fn a_wait_is_never_told_too_short() {
        assert_eq!(whole_seconds(Duration::from_millis(5_001)), Duration::from_secs(6));
        assert_eq!(whole_seconds(Duration::from_secs(6)), Duration::from_secs(6));
    }
}
