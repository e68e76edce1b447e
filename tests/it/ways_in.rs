//! How other applications ask for jobs: HTTP, SQL, Redis, Rust and the shell, with what is refused at each door.

mod http;
mod inbox;
mod page;
mod sql;

use berth::{
    secrets::{Place, SecretKeys, generate_api_token, hash_token, signing_key},
    store::{Store, api_keys::NewApiKey},
};
use berth_jobs::ids::ApiKeyId;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::support::Stack;

/// An application's key.
pub(crate) struct Key {
    id: ApiKeyId,
    pub(crate) token: String,
    signing_key: SecretString,
}

impl Stack {
    /// As redis-cli reads it.
    fn redis_url(&self) -> String {
        self.redis.url().replace("redis://:", "redis://default:")
    }

    /// A key as `berth keys create … --inbox` makes one.
    pub(crate) async fn key(&self, application: &str, kinds: &[&str]) -> Key {
        self.key_until(application, kinds, None).await
    }

    async fn key_until(&self, application: &str, kinds: &[&str], expires_at: Option<Timestamp>) -> Key {
        let (id, token) = (ApiKeyId::new(), generate_api_token().unwrap());
        let signing_key = signing_key(&token);
        let keys = SecretKeys::parse(self.config().secrets.key.as_ref().unwrap()).unwrap();
        let sealed = keys.seal(&Place::signing_key_of(id), &signing_key).unwrap().into_string();
        let new = NewApiKey {
            id,
            application: application.to_owned(),
            token_hash: hash_token(token.expose_secret()),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            sealed_signing_key: Some(sealed),
            expires_at,
        };
        Store::on(self.pool.clone()).add_api_key(&new).await.unwrap();
        Key { id, token: token.expose_secret().to_owned(), signing_key }
    }
}
