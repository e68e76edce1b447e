//! The secrets of an instance: made at its first start, kept in `.berth/keys.toml` for its owner alone.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::Context;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::write_private;
use crate::secrets::{generate_key_text, generate_token};

const FILE: &str = "keys.toml";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dev) struct Keys {
    /// Of the role `berth_app`.
    pub(super) database_password: String,
    pub(super) jwt_secret: String,
    /// As `secrets.key`.
    pub(super) secrets_key: String,
    pub(in crate::dev) webhook_secret: String,
    /// The only key that the Stripe simulator accepts.
    pub(in crate::dev) stripe_key: String,
}

impl Keys {
    /// Those of the last start, or new ones.
    pub(in crate::dev) fn kept_in(home: &Path) -> anyhow::Result<Self> {
        let path = home.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).with_context(|| {
                format!("{} cannot be read; `berth dev --reset` makes a new one and forgets the data", path.display())
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let keys = Self::new()?;
                write_private(&path, &toml::to_string(&keys)?)
                    .with_context(|| format!("{} cannot be written", path.display()))?;
                Ok(keys)
            }
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    fn new() -> anyhow::Result<Self> {
        let token = || generate_token().map(|token| token.expose_secret().to_owned());
        Ok(Self {
            database_password: token()?,
            jwt_secret: token()?,
            secrets_key: generate_key_text()?.expose_secret().to_owned(),
            webhook_secret: format!("whsec_{}", token()?),
            stripe_key: format!("sk_test_{}", token()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_made_once_and_for_their_owner_alone() {
        let home = tempfile::tempdir().unwrap();

        let first = Keys::kept_in(home.path()).unwrap();
        let again = Keys::kept_in(home.path()).unwrap();

        assert_eq!(first.jwt_secret, again.jwt_secret);
        assert_ne!(first.jwt_secret, first.database_password);
        let mode = fs::metadata(home.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
