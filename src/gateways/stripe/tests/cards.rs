//! Saved cards: all of them are read, and one is taken away.

use super::server::{Received, Step};
use super::*;

#[tokio::test]
async fn the_cards_of_a_customer_are_read_page_by_page() {
    let server = Server::start([
        Step::answer(200, r#"{"data":[{"id":"pm_2","type":"card","created":1795370001}],"has_more":true}"#),
        Step::answer(200, r#"{"data":[{"id":"pm_1","type":"card"}],"has_more":false}"#),
    ]);

    let cards = stripe(&server).cards("cus_1").await.unwrap();

    let ids: Vec<&str> = cards.iter().map(|card| card.id.as_str()).collect();
    assert_eq!(ids, ["pm_2", "pm_1"]);
    assert_eq!(cards[0].created, Some(at(1_795_370_001)));
    let queries: Vec<String> = server.received().iter().map(Received::query).collect();
    assert_eq!(
        queries,
        [
            "GET /v1/customers/cus_1/payment_methods\nlimit=100\ntype=card",
            "GET /v1/customers/cus_1/payment_methods\nlimit=100\nstarting_after=pm_2\ntype=card",
        ]
    );
}

#[tokio::test]
async fn a_list_of_cards_without_an_end_is_no_list() {
    let server = Server::start([Step::answer(200, r#"{"data":[{"id":"pm_1","type":"card"}],"has_more":true}"#)]);

    let error = stripe(&server).cards("cus_1").await.unwrap_err();

    assert!(matches!(error, GatewayError::Refused { .. }), "{error}");
    assert_eq!(server.received().len(), 5);
}

#[tokio::test]
async fn a_card_is_detached_under_a_key() {
    let server = Server::start([Step::answer(200, r#"{"id":"pm_1","type":"card","customer":null}"#)]);

    let detached = stripe(&server).detach_card(&key(), "pm_1").await.unwrap();

    assert_eq!(detached.customer, None);
    assert_eq!(server.one().line, "POST /v1/payment_methods/pm_1/detach");
    assert_eq!(server.one().header("idempotency-key"), Some("berth:pi:attempt_1"));
    assert!(stripe(&server).detach_card(&key(), "pm_1/../x").await.is_err());
}

#[tokio::test]
async fn a_charge_says_when_it_was_made_and_a_customer_whether_they_are_gone() {
    let server = Server::start([
        Step::answer(200, r#"{"id":"ch_1","created":1795370001,"status":"failed"}"#),
        Step::answer(200, r#"{"id":"cus_1","object":"customer","deleted":true}"#),
    ]);
    let stripe = stripe(&server);

    let charge = stripe.charge("ch_1").await.unwrap();
    let customer = stripe.customer("cus_1").await.unwrap();

    assert_eq!(charge.created, Some(at(1_795_370_001)));
    assert!(customer.deleted);
}
