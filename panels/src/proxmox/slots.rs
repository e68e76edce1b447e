//! Which number an account's machine has.
//!
//! The numbers that come into question follow from the account's id alone. So whoever asks again, after whatever was lost, asks
//! for the same number, which the cluster gives once: that makes a create safe to repeat. A number that somebody else has is
//! passed over for the next; of a range that is large enough that hardly happens.

use std::ops::RangeInclusive;

use berth_jobs::ids::AccountId;
use sha2::{Digest as _, Sha256};

use super::ProxmoxConfig;
use crate::PanelError;

/// How many numbers come into question for an account. Of a range of which a hundredth is taken, all of them are for one
/// account in 10^16.
pub(super) const PROBES: u32 = 8;
/// What Proxmox VE takes: the numbers below 100 are its own.
const VMIDS: RangeInclusive<u32> = 100..=999_999_999;

/// The range of numbers that are Berth's to give.
#[derive(Debug)]
pub(super) struct Slots {
    first: u32,
    count: u32,
}

impl Slots {
    pub(super) fn new(range: &RangeInclusive<u32>) -> Result<Self, PanelError> {
        let (first, last) = (*range.start(), *range.end());
        if !VMIDS.contains(&first) || !VMIDS.contains(&last) {
            let why = format!("the VMIDs are {first} to {last}, and must be within {VMIDS:?}");
            return Err(PanelError::misconfigured(why));
        }
        let count = last.saturating_add(1).saturating_sub(first);
        if count < ProxmoxConfig::VMIDS_MIN {
            let why = format!("there are {count} VMIDs to give, and must be {} or more", ProxmoxConfig::VMIDS_MIN);
            return Err(PanelError::misconfigured(why));
        }
        Ok(Self { first, count })
    }

    /// The numbers that come into question, in the order in which they do.
    pub(super) fn of(&self, account: AccountId) -> Vec<u32> {
        (0..PROBES).map(|probe| self.nth(account, probe)).collect()
    }

    /// Whether a number is one of Berth's.
    pub(super) fn contain(&self, vmid: u32) -> bool {
        vmid.checked_sub(self.first).is_some_and(|within| within < self.count)
    }

    fn nth(&self, account: AccountId, probe: u32) -> u32 {
        let digest = Sha256::digest(format!("{account} {probe}"));
        let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let within = number % u64::from(self.count);
        // What is left of a division by a u32 fits into one.
        self.first.saturating_add(u32::try_from(within).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accounts_numbers_are_its_own_and_always_the_same() {
        let slots = Slots::new(&(1_000_000..=9_999_999)).unwrap();
        let (account, another) = (AccountId::new(), AccountId::new());

        let numbers = slots.of(account);

        assert_eq!(numbers, slots.of(account));
        assert_ne!(numbers, slots.of(another));
        assert!(numbers.iter().all(|number| (1_000_000..=9_999_999).contains(number)), "{numbers:?}");
        assert!(numbers.windows(2).all(|two| two[0] != two[1]), "{numbers:?}");
    }

    #[test]
    fn the_order_of_accounts_does_not_show_in_their_numbers_and_the_whole_range_is_used() {
        let slots = Slots::new(&(100..=10_099)).unwrap();

        let firsts: Vec<_> = (0..4000).map(|_| slots.of(AccountId::new())[0]).collect();

        for tenth in 0..10 {
            let within = 100 + tenth * 1000..1100 + tenth * 1000;
            let count = firsts.iter().filter(|first| within.contains(*first)).count();
            assert!((250..550).contains(&count), "{count} of 4000 are in {within:?}");
        }
    }

    #[test]
    fn a_range_that_is_too_small_or_not_proxmoxs_is_refused() {
        for range in
            [100..=10_098, 99..=20_000, 999_000_000..=1_000_000_000, RangeInclusive::new(20_000, 10_000), 0..=u32::MAX]
        {
            let refused = Slots::new(&range).unwrap_err();

            assert!(matches!(refused, PanelError::Misconfigured(_)), "{range:?}: {refused:?}");
        }
    }
}
