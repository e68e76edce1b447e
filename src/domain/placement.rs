//! Which server a new account is placed on.

/// A server that takes new accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Its name in the configuration.
    pub name: &'a str,
    /// How many accounts it holds.
    pub placed: u32,
    /// How many it may hold, if that is limited.
    pub capacity: Option<u32>,
    /// How many times as many it takes as one of weight 1.
    pub weight: u32,
}

/// What a server without a limit is taken to hold, beside those that have one.
const UNLIMITED: u32 = 10_000;

impl Candidate<'_> {
    fn is_full(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.placed >= capacity)
    }

    fn room(&self) -> u128 {
        u128::from(self.capacity.unwrap_or(UNLIMITED)) * u128::from(self.weight)
    }
}

/// The one that is filled least for its size and weight; `None` when all are full. Of those that are filled alike, the
/// larger one, then the first by name.
#[must_use]
pub fn choose<'a>(candidates: impl IntoIterator<Item = Candidate<'a>>) -> Option<&'a str> {
    let free = candidates.into_iter().filter(|candidate| !candidate.is_full());
    free.min_by(|a, b| {
        let filled = |one: &Candidate<'_>, other: &Candidate<'_>| u128::from(one.placed) * other.room();
        filled(a, b).cmp(&filled(b, a)).then(b.room().cmp(&a.room())).then(a.name.cmp(b.name))
    })
    .map(|candidate| candidate.name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn server(name: &str, placed: u32, capacity: Option<u32>, weight: u32) -> Candidate<'_> {
        Candidate { name, placed, capacity, weight }
    }

    #[test]
    fn the_server_that_is_filled_least_takes_the_next_account() {
        let half = server("half", 50, Some(100), 1);
        let third = server("third", 300, Some(900), 1);

        assert_eq!(choose([half, third]), Some("third"));
    }

    #[test]
    fn a_full_server_takes_none_and_without_another_there_is_none() {
        let full = server("full", 10, Some(10), 9);
        let nearly = server("nearly", 9, Some(10), 1);

        assert_eq!(choose([full, nearly]), Some("nearly"));
        assert_eq!(choose([full]), None);
        assert_eq!(choose([]), None);
    }

    #[test]
    fn a_server_of_twice_the_weight_takes_twice_as_many() {
        let mut placed = [0, 0];
        for _ in 0..300 {
            let next = choose([server("one", placed[0], Some(1_000), 1), server("two", placed[1], Some(1_000), 2)]);
            placed[usize::from(next == Some("two"))] += 1;
        }

        assert_eq!(placed, [100, 200]);
    }

    proptest! {
        #[test]
        fn two_hundred_accounts_spread_over_three_like_servers_evenly(start in 0_u32..50) {
            let mut placed = [start, 0, 0];
            for _ in 0..200 {
                let names = ["a", "b", "c"];
                let next = choose(names.iter().zip(placed).map(|(name, placed)| server(name, placed, Some(1_000), 1)));
                placed[names.iter().position(|name| next == Some(*name)).unwrap()] += 1;
            }

            let most = *placed.iter().max().unwrap();
            prop_assert!(most - placed.iter().min().unwrap() <= 1, "{placed:?}");
        }
    }
}
