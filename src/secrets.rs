//! Secrets: sealing what is stored encrypted, and making passwords, tokens and keys from the system's randomness.

mod api_token;
mod password;
mod pay_link;

use std::fmt;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use berth_jobs::ids::{AccountId, ApiKeyId};
use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use rand::{TryRngCore, rngs::OsRng};
use secrecy::{ExposeSecret, SecretBox, SecretString, zeroize::Zeroizing};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use api_token::{API_TOKEN_PREFIX, generate_api_token, is_signed, signing_key};
pub use password::generate_password;

use crate::domain::username::UsernameKey;

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 24;

/// Names the form `v1.<key id>.<nonce>.<ciphertext>`: XChaCha20-Poly1305, both parts in base64url.
const VERSION: &str = "v1";

/// Keys are rotated a few times in the life of an installation; a longer list is a mistake.
const MAX_KEYS: usize = 16;

const MAX_KEY_ID_LEN: usize = 32;

/// Passwords and panel credentials are short: whatever is longer was not meant to be sealed.
const MAX_PLAINTEXT_LEN: usize = 64 * 1024;

/// Why a secret could not be sealed, opened or made. None of these shows the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The configured keys cannot be read. The text may hold key material, so only the place is told.
    #[error("secret key number {number} is not of the form key-id:base64-of-32-bytes")]
    InvalidKey {
        /// Where it stands in the list, from 1.
        number: usize,
    },
    /// The list of keys is empty or too long.
    #[error("there must be 1 to {MAX_KEYS} secret keys, not {found}")]
    NumberOfKeys {
        /// How many there are.
        found: usize,
    },
    /// Two keys have one id, so it would be unclear which one opens a value.
    #[error("the id {key_id:?} names two secret keys")]
    DuplicateKey {
        /// The id.
        key_id: String,
    },
    /// The value was sealed with a key that is not configured (any more).
    #[error("the value was sealed with the key {key_id:?}, which is not among the secret keys")]
    UnknownKey {
        /// The id that the value names.
        key_id: String,
    },
    /// Not a sealed value.
    #[error("the value is not of the form v1.key-id.nonce.ciphertext")]
    Malformed,
    /// It was sealed for another row or column, with another key of that id, or was altered.
    #[error("the value does not open in {place}: it belongs elsewhere or was altered")]
    DoesNotOpen {
        /// Where it was found.
        place: Place,
    },
    /// Longer than anything that is kept sealed.
    #[error("a secret of more than {MAX_PLAINTEXT_LEN} bytes is not sealed")]
    TooLong,
    /// The system gave no randomness.
    #[error("the system's random number generator failed: {0}")]
    Randomness(String),
    /// No password met the rules; with a working random number generator this does not happen.
    #[error("no password that meets the rules was drawn")]
    NoPassword,
}

/// Where a sealed value is kept. A value copied to another row or column does not open there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The table's name.
    pub table: &'static str,
    /// The row's id.
    pub row: Uuid,
    /// The column's name.
    pub column: &'static str,
}

impl Place {
    /// Where an account's password is sealed.
    #[must_use]
    pub fn password_of(account: AccountId) -> Self {
        Self { table: "hosting_accounts", row: account.0, column: "sealed_password" }
    }

    /// Where what an application signs with is sealed.
    #[must_use]
    pub fn signing_key_of(key: ApiKeyId) -> Self {
        Self { table: "api_keys", row: key.0, column: "sealed_signing_key" }
    }

    fn associated_data(&self) -> String {
        format!("{}|{}|{}", self.table, self.row, self.column)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} of row {}", self.table, self.column, self.row)
    }
}

/// A secret as it is stored: `v1.<key id>.<nonce>.<ciphertext>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(String);

impl Sealed {
    /// The text to store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text to store.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

struct SecretKey {
    id: String,
    bytes: SecretBox<[u8; KEY_LEN]>,
}

impl SecretKey {
    fn parse(text: &str) -> Option<Self> {
        let (id, encoded) = text.trim().split_once(':')?;
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if id.is_empty() || id.len() > MAX_KEY_ID_LEN || !id.bytes().all(legal) {
            return None;
        }
        let decoded = Zeroizing::new(STANDARD.decode(encoded).ok()?);
        if decoded.len() != KEY_LEN {
            return None;
        }
        let bytes = SecretBox::init_with_mut(|bytes: &mut [u8; KEY_LEN]| bytes.copy_from_slice(&decoded));
        Some(Self { id: id.to_owned(), bytes })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(<&Key>::from(self.bytes.expose_secret()))
    }
}

/// The keys of an installation: the first one seals, every one opens. To rotate, put a new key before the old one, seal the stored
/// values again, then drop the old one.
pub struct SecretKeys {
    first: SecretKey,
    older: Vec<SecretKey>,
}

impl SecretKeys {
    /// Reads `key-id:base64-of-32-bytes`, or several with commas between them.
    ///
    /// # Errors
    /// When a key is not of that form, or an id is used twice.
    pub fn parse(text: &SecretString) -> Result<Self, SecretError> {
        let texts = || text.expose_secret().split(',');
        let found = texts().count();
        if text.expose_secret().trim().is_empty() || found > MAX_KEYS {
            let found = if found > MAX_KEYS { found } else { 0 };
            return Err(SecretError::NumberOfKeys { found });
        }
        let mut keys: Vec<SecretKey> = Vec::with_capacity(found);
        for (text, number) in texts().zip(1..) {
            let key = SecretKey::parse(text).ok_or(SecretError::InvalidKey { number })?;
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(SecretError::DuplicateKey { key_id: key.id });
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(SecretError::NumberOfKeys { found: 0 })?;
        Ok(Self { first, older: keys.collect() })
    }

    /// Encrypts a secret for the one place where it may be opened. Sealing the same secret twice gives two different texts.
    ///
    /// # Errors
    /// When the secret is too long, or the system gives no randomness.
    pub fn seal(&self, place: &Place, plaintext: &SecretString) -> Result<Sealed, SecretError> {
        if plaintext.expose_secret().len() > MAX_PLAINTEXT_LEN {
            return Err(SecretError::TooLong);
        }
        let mut nonce = [0_u8; NONCE_LEN];
        fill_randomly(&mut nonce)?;
        let associated_data = place.associated_data();
        let payload = Payload { msg: plaintext.expose_secret().as_bytes(), aad: associated_data.as_bytes() };
        let ciphertext =
            self.first.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| SecretError::TooLong)?;
        Ok(Sealed(format!(
            "{VERSION}.{}.{}.{}",
            self.first.id,
            URL_SAFE_NO_PAD.encode(nonce),
            URL_SAFE_NO_PAD.encode(ciphertext)
        )))
    }

    /// Decrypts what was sealed for this place.
    ///
    /// # Errors
    /// When its key is not configured, or it was sealed for another place or altered.
    pub fn open(&self, place: &Place, sealed: &str) -> Result<SecretString, SecretError> {
        let (key_id, nonce, ciphertext) = take_apart(sealed)?;
        let key = std::iter::once(&self.first)
            .chain(&self.older)
            .find(|key| key.id == key_id)
            .ok_or_else(|| SecretError::UnknownKey { key_id: key_id.to_owned() })?;
        let associated_data = place.associated_data();
        let payload = Payload { msg: &ciphertext, aad: associated_data.as_bytes() };
        let plaintext = key
            .cipher()
            .decrypt(&nonce, payload)
            .map(Zeroizing::new)
            .map_err(|_| SecretError::DoesNotOpen { place: *place })?;
        let text = std::str::from_utf8(&plaintext).map_err(|_| SecretError::Malformed)?;
        Ok(SecretString::from(text))
    }

    /// Whether a value was sealed with the first key; if not, rotation must seal it again.
    ///
    /// # Errors
    /// When it is not a sealed value.
    pub fn is_current(&self, sealed: &str) -> Result<bool, SecretError> {
        take_apart(sealed).map(|(key_id, _, _)| key_id == self.first.id)
    }

    /// The ids of the keys, the first one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.first).chain(&self.older).map(|key| key.id.as_str())
    }

    /// The same secret, sealed with the first key.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`seal`](Self::seal).
    pub fn seal_again(&self, place: &Place, sealed: &str) -> Result<Sealed, SecretError> {
        self.seal(place, &self.open(place, sealed)?)
    }

    /// The key that usernames are derived with, itself derived from the first key. A rotation changes only names not yet given:
    /// a given name is read from the account's row.
    #[must_use]
    pub fn username_key(&self) -> UsernameKey {
        // HMAC fills short keys with zeros up to its block of 64 bytes, so this is the HMAC of the 32 bytes.
        let mut block = Zeroizing::new([0_u8; 64]);
        for (to, from) in block.iter_mut().zip(self.first.bytes.expose_secret()) {
            *to = *from;
        }
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        mac.update(b"berth username key v1");
        UsernameKey::new(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let older: Vec<&str> = self.older.iter().map(|key| key.id.as_str()).collect();
        f.debug_struct("SecretKeys").field("first", &self.first.id).field("older", &older).finish()
    }
}

fn take_apart(sealed: &str) -> Result<(&str, XNonce, Vec<u8>), SecretError> {
    let mut parts = sealed.split('.');
    let (Some(VERSION), Some(key_id), Some(nonce), Some(ciphertext), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SecretError::Malformed);
    };
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| SecretError::Malformed);
    let nonce = <[u8; NONCE_LEN]>::try_from(decode(nonce)?).map_err(|_| SecretError::Malformed)?;
    Ok((key_id, XNonce::from(nonce), decode(ciphertext)?))
}

/// A new key for `SecretKeys`, as text for the configuration: its id is random, so that it never meets an older one's.
///
/// # Errors
/// When the system gives no randomness.
pub fn generate_key_text() -> Result<SecretString, SecretError> {
    let mut id = [0_u8; 4];
    fill_randomly(&mut id)?;
    let mut key = Zeroizing::new([0_u8; KEY_LEN]);
    fill_randomly(key.as_mut_slice())?;
    let encoded = Zeroizing::new(STANDARD.encode(key.as_slice()));
    let text = Zeroizing::new(format!("k{}:{}", hex::encode(id), encoded.as_str()));
    Ok(SecretString::from(text.as_str()))
}

/// A token for a link: 256 random bits in base64url, 43 characters. Store only its [`hash_token`].
///
/// # Errors
/// When the system gives no randomness.
pub fn generate_token() -> Result<SecretString, SecretError> {
    let mut token = Zeroizing::new([0_u8; 32]);
    fill_randomly(token.as_mut_slice())?;
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(token.as_slice()));
    Ok(SecretString::from(text.as_str()))
}

/// What is stored of a token: its SHA-256. Tokens are long and random, so no salt and no slow hash are needed.
#[must_use]
pub fn hash_token(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn fill_randomly(bytes: &mut [u8]) -> Result<(), SecretError> {
    OsRng.try_fill_bytes(bytes).map_err(|error| SecretError::Randomness(error.to_string()))
}

#[cfg(test)]
mod tests;
