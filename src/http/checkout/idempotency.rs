//! `Idempotency-Key`, as Stripe has it: the same request under it is the same order, another one is refused, and two at
//! once are not both worked on.
//!
//! The key is a column of the order, not a stored answer, so it cannot go stale. Only who is being worked on just now is
//! kept in memory; of two processes both find one order, and Stripe's own key has them open one page.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use berth_jobs::ids::{CustomerId, OrderId};
use serde::Serialize;

use super::super::{orders::of_store, problem::Problem};
use crate::{app::App, effects::Idempotency, store::orders::Order};

/// The longest key of a caller's own.
const LONGEST_KEY: usize = 255;

/// 201 with the answer; `replayed` says that it was created by an earlier request under the same key.
pub(in crate::http) fn created(answer: impl Serialize, replayed: bool) -> Response {
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    if replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}

/// The keys that requests are being worked on under.
#[derive(Clone, Default)]
pub struct InFlight(Arc<Mutex<HashSet<(CustomerId, String)>>>);

/// A key that is this request's until it has been answered.
pub(super) struct Entered {
    keys: InFlight,
    entry: (CustomerId, String),
}

impl InFlight {
    /// Takes the key for one request; refused while another one has it.
    pub(super) fn enter(&self, customer: CustomerId, key: &str) -> Result<Entered, Problem> {
        let entry = (customer, key.to_owned());
        if !self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.clone()) {
            let detail = "Another request under this Idempotency-Key is being worked on: wait for its answer, or a moment \
                          and ask again.";
            return Err(Problem::conflict("idempotency-in-flight", detail));
        }
        Ok(Entered { keys: self.clone(), entry })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.keys.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.entry);
    }
}

/// The key that the caller has chosen, if any.
pub(in crate::http) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=LONGEST_KEY).contains(&key.len()))
        .ok_or_else(|| Problem::invalid_request("Idempotency-Key: 1 to 255 visible ASCII characters"))?;
    Ok(Some(key.to_owned()))
}

/// The order that was made under the key.
pub(super) async fn known(
    app: &App,
    customer: CustomerId,
    idempotency: &Idempotency,
) -> Result<Option<Order>, Problem> {
    let known = app.store.order_under_key(customer, &idempotency.key).await.map_err(of_store)?;
    let Some((id, request_hash)) = known else { return Ok(None) };
    if request_hash != idempotency.request_hash {
        let detail = "This Idempotency-Key was used for another checkout; take a new one.";
        return Err(Problem::unprocessable("idempotency-key-reused", detail));
    }
    Ok(Some(app.store.order(id).await.map_err(of_store)?))
}

/// The key has led to an order that can no longer be paid.
pub(super) fn spent(order: OrderId) -> Problem {
    let detail = "The order of this Idempotency-Key was not paid in time or was given up: take a new key to buy again.";
    Problem::conflict("idempotency-key-spent", detail).with("order_id", order.to_string())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_key_is_one_requests_until_that_has_been_answered() {
        let (keys, customer) = (InFlight::default(), CustomerId(Uuid::from_u128(1)));
        let entered = keys.enter(customer, "cart").unwrap();

        assert_eq!(keys.enter(customer, "cart").err().unwrap().slug(), "idempotency-in-flight");
        assert!(keys.enter(customer, "another").is_ok());
        assert!(keys.enter(CustomerId(Uuid::from_u128(2)), "cart").is_ok());
        drop(entered);
        assert!(keys.enter(customer, "cart").is_ok());
    }
}
