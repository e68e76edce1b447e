//! Identifiers of Stripe's look: a prefix and random letters and digits.

use rand::Rng as _;
use rand::distr::Alphanumeric;

const LETTERS: usize = 24;
const SESSION_LETTERS: usize = 58;

/// `prefix` (with its underscore) and 24 random letters and digits.
pub(super) fn new(prefix: &str) -> String {
    random(prefix, LETTERS)
}

/// A Checkout Session id: as long as Stripe's, so that columns too narrow for it are found here.
pub(super) fn checkout_session() -> String {
    random("cs_test_a1", SESSION_LETTERS)
}

fn random(prefix: &str, letters: usize) -> String {
    let tail = rand::rng().sample_iter(Alphanumeric).take(letters).map(char::from);
    prefix.chars().chain(tail).collect()
}
