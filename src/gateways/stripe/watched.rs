//! Every call of Stripe's API is a span of a trace, is counted by its outcome, and is timed.

use std::time::Instant;

use super::{error::GatewayError, transport::Call};
use crate::{
    metrics::{Calls, called},
    trace::Span,
};

/// The words of Stripe's paths. What is none of them is an id.
const WORDS: [&str; 18] = [
    "attach",
    "cancel",
    "capture",
    "charges",
    "checkout",
    "confirm",
    "customers",
    "detach",
    "disputes",
    "events",
    "expire",
    "payment_intents",
    "payment_methods",
    "prices",
    "refunds",
    "search",
    "sessions",
    "setup_intents",
];

/// Makes the call whose answer `answer` is.
pub(super) async fn watched<T>(
    call: &Call,
    answer: impl Future<Output = Result<T, GatewayError>>,
) -> Result<T, GatewayError> {
    let resource = template(call.resource());
    let mut span = Span::call("stripe");
    span.note("http.request.method", call.method());
    span.note("berth.resource", &resource);
    let began = Instant::now();
    let answer = span.within(answer).await;
    let outcome = outcome(&answer);
    span.note("outcome", outcome);
    if answer.is_err() {
        span.fail();
    }
    called(Calls::Stripe, &resource, outcome, began.elapsed());
    answer
}

fn outcome<T>(answer: &Result<T, GatewayError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(GatewayError::Declined { .. }) => "declined",
        Err(GatewayError::RateLimited { .. }) => "rate_limited",
        Err(GatewayError::Refused { .. }) => "refused",
        Err(GatewayError::InDoubt { .. }) => "in_doubt",
        Err(GatewayError::Transient { .. }) => "transient",
    }
}

/// A path with `{id}` for each id: `/customers/{id}/payment_methods`.
fn template(path: &str) -> String {
    let words = path.split('/').filter(|word| !word.is_empty());
    words.fold(String::new(), |path, word| format!("{path}/{}", if WORDS.contains(&word) { word } else { "{id}" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_no_part_of_a_resources_name() {
        for (path, shown) in [
            ("/payment_intents/pi_3abc/confirm", "/payment_intents/{id}/confirm"),
            ("/checkout/sessions", "/checkout/sessions"),
            ("/checkout/sessions/cs_test_a1/expire", "/checkout/sessions/{id}/expire"),
            ("/customers/cus_x/payment_methods/pm_y", "/customers/{id}/payment_methods/{id}"),
        ] {
            assert_eq!(template(path), shown);
        }
    }
}
