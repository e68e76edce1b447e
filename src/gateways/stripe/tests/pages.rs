//! Lists: cursors, bounds, and items that cannot be read.

use super::server::Step;
use super::*;

fn intents(from: usize, count: usize, has_more: bool) -> Step {
    let items: Vec<String> = (from..from + count)
        .map(|n| format!(r#"{{"id":"pi_{n}","status":"succeeded","metadata":{{"attempt_id":"att_{n}"}}}}"#))
        .collect();
    Step::answer(200, &format!(r#"{{"object":"list","data":[{}],"has_more":{has_more}}}"#, items.join(",")))
}

#[tokio::test]
async fn an_attempt_is_found_on_a_later_page_by_its_metadata() {
    let server = Server::start([intents(0, 100, true), intents(100, 3, false)]);

    let search = stripe(&server).find_payment_intents("cus_1", at(1_795_370_000)).await.unwrap();

    let found: Vec<&str> = search.with_metadata("attempt_id", "att_101").map(|intent| intent.id.as_str()).collect();
    assert_eq!(found, ["pi_101"]);
    assert!(search.complete);
    let queries: Vec<String> = server.received().iter().map(server::Received::query).collect();
    insta::assert_snapshot!(queries.join("\n"), @r"
    GET /v1/payment_intents
    created[gte]=1795370000
    customer=cus_1
    limit=100
    GET /v1/payment_intents
    created[gte]=1795370000
    customer=cus_1
    limit=100
    starting_after=pi_99
    ");
}

#[tokio::test]
async fn a_search_that_does_not_end_says_that_it_is_incomplete() {
    let server = Server::start([intents(0, 1, true)]);

    let search = stripe(&server).find_payment_intents("cus_1", at(0)).await.unwrap();

    assert!(!search.complete);
    assert_eq!(server.received().len(), MAX_SEARCH_PAGES);
}

#[tokio::test]
async fn a_search_with_an_unreadable_intent_fails_rather_than_miss_it() {
    let server = Server::start([Step::answer(200, r#"{"data":[{"id":"pi_1"}],"has_more":false}"#)]);

    let error = stripe(&server).find_payment_intents("cus_1", at(0)).await.unwrap_err();

    assert!(
        matches!(&error, GatewayError::Transient { reason } if reason.contains("data[0]: missing field `status`")),
        "{error:?}"
    );
}

#[tokio::test]
async fn events_come_raw_and_in_pages_and_an_odd_one_hides_none() {
    let body = r#"{"object":"list","data":[ {"id":"evt_2","type":"charge.refunded", "created":1795370000,"data":{"object":{"object":"charge","id":"ch_1"}}},
        {"id":"evt_?"}, {"id":"evt_1","type":"new.kind"}],"has_more":true}"#;
    let server = Server::start([Step::answer(200, body)]);

    let page = stripe(&server)
        .events(at(1_795_000_000)..at(1_795_086_400), Some("evt_3"), &["charge.refunded", "new.kind"])
        .await
        .unwrap();

    let ids: Vec<&str> = page.events.iter().map(|listed| listed.event.id.as_str()).collect();
    assert_eq!(ids, ["evt_2", "evt_1"]);
    assert_eq!(page.next.as_deref(), Some("evt_1"));
    assert_eq!(page.unreadable, [EventError::Shape { problem: "missing field `type`".to_owned() }]);
    assert_eq!(page.events[1].json.as_str(), r#"{"id":"evt_1","type":"new.kind"}"#);
    assert_eq!(page.events[0].event.charge().unwrap().id, "ch_1");
    insta::assert_snapshot!(server.one().query(), @r"
    GET /v1/events
    created[gte]=1795000000
    created[lt]=1795086400
    limit=100
    starting_after=evt_3
    types[0]=charge.refunded
    types[1]=new.kind
    ");
}

#[tokio::test]
async fn the_last_page_of_events_has_no_next() {
    let server = Server::start([Step::answer(200, r#"{"data":[{"id":"evt_1","type":"x"}],"has_more":false}"#)]);

    let page = stripe(&server).events(at(0)..at(1), None, &[]).await.unwrap();

    assert_eq!(page.next, None);
}

#[tokio::test]
async fn more_types_than_stripe_takes_are_refused_before_sending() {
    let server = Server::start([Step::answer(200, "{}")]);

    let error = stripe(&server).events(at(0)..at(1), None, &["x"; 21]).await.unwrap_err();

    assert!(matches!(error, GatewayError::Refused { .. }));
    assert!(server.received().is_empty());
}
