//! Who is asking, where that is an application: by a key that an operator gave it.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use berth_jobs::ids::ApiKeyId;

use super::{Authenticated, Authenticator, Customer, Refusal, Role, bearer};
use crate::{
    app::App,
    http::{coupon_checks::KeyChecks, orders::of_store, problem::Problem},
    secrets::{API_TOKEN_PREFIX, hash_token},
    store::api_keys::ApiKey,
    ways_in::Caller,
};

/// An application, as an argument of a route. Refuses with 401; who has signed in as a person, with 403; and with 429 where a
/// key asks too often.
#[derive(Clone, Debug)]
pub struct AuthenticatedMachine {
    /// Its key.
    pub key: ApiKeyId,
    /// Its name, and what it may ask for.
    pub caller: Caller,
}

/// A member of staff, or an application.
#[derive(Clone, Debug)]
pub enum StaffOrMachine {
    Staff(Customer),
    Machine(AuthenticatedMachine),
}

impl<S: Sync> FromRequestParts<S> for StaffOrMachine
where
    App: FromRef<S>,
    Authenticator: FromRef<S>,
    KeyChecks: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match bearer(&parts.headers) {
            Ok(token) if token.starts_with(API_TOKEN_PREFIX) => {
                machine(token, &App::from_ref(state), &KeyChecks::from_ref(state)).await.map(Self::Machine)
            }
            Ok(_) | Err(_) => {
                let Authenticated(customer) = Authenticated::from_request_parts(parts, state).await?;
                match customer.role {
                    Role::Staff => Ok(Self::Staff(customer)),
                    Role::Customer => Err(Problem::forbidden("Only staff and applications may do this.")),
                }
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for AuthenticatedMachine
where
    App: FromRef<S>,
    Authenticator: FromRef<S>,
    KeyChecks: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let only = "Only applications may do this, by a key that `berth keys create` makes.";
        match StaffOrMachine::from_request_parts(parts, state).await? {
            StaffOrMachine::Machine(machine) => Ok(machine),
            StaffOrMachine::Staff(_) => Err(Problem::forbidden(only)),
        }
    }
}

/// The application with this token. Only its hash is looked for, so that how long that takes says nothing of the token.
async fn machine(token: &str, app: &App, checks: &KeyChecks) -> Result<AuthenticatedMachine, Problem> {
    let key = app
        .store
        .api_key_of(&hash_token(token))
        .await
        .map_err(of_store)?
        .ok_or(Refusal::Token("no key that holds has this token"))?;
    let ApiKey { id, application, kinds } = key;
    checks.count(id)?;
    Ok(AuthenticatedMachine { key: id, caller: Caller { application, kinds } })
}
