//! Passwords for accounts: drawn evenly from the system's randomness, accepted by every panel.

use secrecy::{SecretString, zeroize::Zeroizing};

use super::{SecretError, fill_randomly};
use crate::domain::username::Username;

const UPPER: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
const LOWER: &[u8] = b"abcdefghijkmnopqrstuvwxyz";
const DIGITS: &[u8] = b"23456789";
const MARKS: &[u8] = b"-_";

const PASSWORD_LEN: usize = 20;

/// Four of five draws meet the rules; a hundred failures mean that the randomness is none.
const MAX_PASSWORD_DRAWS: usize = 100;

/// A password for an account: 20 letters and digits without those that look alike (I, O, l, 0, 1), one of them inside replaced by
/// `-` or `_`. It has an upper-case letter, a lower-case letter and a digit, does not contain the username in any case, and needs no
/// quoting in shells and URLs. Every password that meets these rules is equally likely.
///
/// # Errors
/// When the system gives no randomness.
pub fn generate_password(username: &Username) -> Result<SecretString, SecretError> {
    let mut dice = Dice::new();
    for _ in 0..MAX_PASSWORD_DRAWS {
        let password = draw_password(&mut dice)?;
        if meets_the_rules(&password, username) {
            return Ok(SecretString::from(password.as_str()));
        }
    }
    Err(SecretError::NoPassword)
}

fn draw_password(dice: &mut Dice) -> Result<Zeroizing<String>, SecretError> {
    let letters = [UPPER, LOWER, DIGITS].concat();
    // Neither first, where a program might take it for an option, nor last, where a reader might take it for punctuation.
    let marked = 1 + dice.roll(PASSWORD_LEN - 2)?;
    let mut password = Zeroizing::new(String::with_capacity(PASSWORD_LEN));
    for place in 0..PASSWORD_LEN {
        let choices = if place == marked { MARKS } else { letters.as_slice() };
        let chosen = dice.roll(choices.len())?;
        password.extend(choices.get(chosen).copied().map(char::from));
    }
    Ok(password)
}

fn meets_the_rules(password: &str, username: &Username) -> bool {
    let has = |class: &[u8]| password.bytes().any(|byte| class.contains(&byte));
    let names_the_account = password.to_ascii_lowercase().contains(username.as_str());
    has(UPPER) && has(LOWER) && has(DIGITS) && !names_the_account
}

/// Whole numbers, each equally likely, from bytes of the system's generator.
struct Dice {
    bytes: Zeroizing<[u8; 64]>,
    used: usize,
}

impl Dice {
    fn new() -> Self {
        let bytes = Zeroizing::new([0; 64]);
        Self { used: bytes.len(), bytes }
    }

    /// A number from 0 to `sides − 1`, for 1 to 256 sides. Bytes beyond the largest multiple of `sides` are thrown away: keeping them
    /// would make small numbers likelier.
    fn roll(&mut self, sides: usize) -> Result<usize, SecretError> {
        /// The chance that so many bytes in a row are thrown away is below 2^-128.
        const MAX_ROLLS: usize = 128;
        let fair = 256 - 256 % sides;
        for _ in 0..MAX_ROLLS {
            let byte = usize::from(self.byte()?);
            if byte < fair {
                return Ok(byte % sides);
            }
        }
        Err(SecretError::Randomness("it repeats itself".to_owned()))
    }

    fn byte(&mut self) -> Result<u8, SecretError> {
        if self.used >= self.bytes.len() {
            fill_randomly(self.bytes.as_mut_slice())?;
            self.used = 0;
        }
        let byte = self.bytes.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        Ok(byte)
    }
}

#[cfg(test)]
mod tests;
