//! Applications' keys: the token that they send, and what is derived of it to sign entries of the Redis inbox.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{SecretError, generate_token};

/// What every such token begins with, so that it is told from a person's, and found by those who look for leaked ones.
pub const API_TOKEN_PREFIX: &str = "berth_";
/// What stands before the token where the signing key is made of it.
const PURPOSE: &str = "berth-inbox:";

/// A new token: `berth_` and 256 random bits in base64url.
///
/// # Errors
/// When the system gives no randomness.
pub fn generate_api_token() -> Result<SecretString, SecretError> {
    Ok(SecretString::from(format!("{API_TOKEN_PREFIX}{}", generate_token()?.expose_secret())))
}

/// The key that entries of the inbox are signed with: SHA-256 of `berth-inbox:` and the token, in 64 hexadecimal digits. Who has
/// it cannot find the token.
#[must_use]
pub fn signing_key(token: &SecretString) -> SecretString {
    SecretString::from(hex::encode(Sha256::digest(format!("{PURPOSE}{}", token.expose_secret()))))
}

/// Whether `mac` (hexadecimal) is the HMAC-SHA-256 of `text` under the signing key's digits, in a time that says nothing.
#[must_use]
pub fn is_signed(signing_key: &SecretString, text: &str, mac: &str) -> bool {
    let (Ok(mac), Ok(mut ours)) =
        (hex::decode(mac), Hmac::<Sha256>::new_from_slice(signing_key.expose_secret().as_bytes()))
    else {
        return false;
    };
    ours.update(text.as_bytes());
    ours.verify_slice(&mac).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_openssl_makes_of_the_same() {
        // key=$(printf berth-inbox:berth_x | sha256sum | cut -c 1-64); printf 'a\nb' | openssl dgst -sha256 -hmac "$key"
        let key = signing_key(&SecretString::from("berth_x"));
        let mac = "a3cf24cb91f503c9d2c2769ef8a0944b23eca6c8457202a473d041c25d754872";

        assert!(is_signed(&key, "a\nb", mac));
        assert!(!is_signed(&key, "a\nc", mac));
        assert!(!is_signed(&signing_key(&SecretString::from("berth_y")), "a\nb", mac));
        assert!(!is_signed(&key, "a\nb", "not hexadecimal") && !is_signed(&key, "a\nb", ""));
    }

    #[test]
    fn no_two_tokens_are_the_same() {
        let (one, other) = (generate_api_token().unwrap(), generate_api_token().unwrap());

        assert_ne!(one.expose_secret(), other.expose_secret());
        assert!(one.expose_secret().starts_with("berth_") && one.expose_secret().len() == 49);
    }
}
