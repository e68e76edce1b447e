//! The gateway against a scripted server on a real socket.

mod cards;
mod charges;
mod doubt;
mod endpoints;
mod pages;
mod parameters;
mod server;
mod vectors;

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use super::*;
use server::Server;

const SECRET: &str = "sk_test_berthNobodyMaySee";

fn config(server: &Server, timeout: Duration) -> StripeConfig {
    StripeConfig { secret_key: SecretString::from(SECRET), api_base: server.url().parse().unwrap(), timeout }
}

/// Retries at once, so that no test waits.
fn stripe(server: &Server) -> Stripe {
    with_timeout(server, Duration::from_secs(10))
}

fn with_timeout(server: &Server, timeout: Duration) -> Stripe {
    let retry = RetryPolicy { attempts: 3, first_pause: Duration::from_millis(1), max_pause: Duration::from_secs(1) };
    Stripe::with_retries(&config(server, timeout), retry).unwrap()
}

fn key() -> IdempotencyKey {
    IdempotencyKey::new("berth:pi:attempt_1").unwrap()
}

fn ours(pairs: &[(&str, &str)]) -> Metadata {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn charge() -> NewCharge {
    NewCharge {
        customer: "cus_1".to_owned(),
        payment_method: "pm_1".to_owned(),
        amount: Amount::new(1999, "USD"),
        description: None,
        metadata: ours(&[("invoice_id", "inv_1"), ("attempt_id", "att_1")]),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

const SUCCEEDED: &str = r#"{"id":"pi_1","object":"payment_intent","status":"succeeded","amount":1999,"amount_received":1999,
    "currency":"usd","customer":"cus_1","latest_charge":"ch_1","client_secret":"pi_1_secret_x","metadata":{"attempt_id":"att_1"}}"#;
