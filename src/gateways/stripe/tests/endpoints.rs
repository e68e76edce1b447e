//! Webhook endpoints and what a key is good for.

use super::server::Step;
use super::*;

const ENDPOINT: &str = r#"{"id":"we_1","object":"webhook_endpoint","url":"https://shop.example/webhooks/stripe",
    "status":"enabled","enabled_events":["refund.created"],"api_version":"2026-09-30.endive","livemode":false,
    "secret":"whsec_nobodyMaySee"}"#;

#[tokio::test]
async fn a_key_tells_its_mode_and_stripes_clock() {
    let date = [("date", "Thu, 26 Nov 2026 12:00:00 GMT")];
    let body = r#"{"object":"balance","livemode":true,"available":[],"pending":[]}"#;
    let server = Server::start([Step::with_headers(200, &date, body)]);

    let standing = stripe(&server).standing().await.unwrap();

    assert_eq!(standing.livemode, Some(true));
    assert_eq!(standing.server_time, Some("2026-11-26T12:00:00Z".parse().unwrap()));
    assert_eq!(server.received()[0].line, "GET /v1/balance");
}

#[tokio::test]
async fn a_restricted_key_is_good_and_a_wrong_one_is_not() {
    let refused = |status| Step::answer(status, r#"{"error":{"type":"invalid_request_error","message":"no"}}"#);

    let restricted = stripe(&Server::start([refused(403)])).standing().await.unwrap();
    let wrong = stripe(&Server::start([refused(401)])).standing().await.unwrap_err();

    assert_eq!(restricted, Standing { livemode: None, server_time: None });
    assert!(wrong.is_misconfigured(), "{wrong:?}");
}

#[tokio::test]
async fn an_endpoint_is_made_changed_listed_and_ended() {
    let list = format!(r#"{{"object":"list","data":[{ENDPOINT}],"has_more":false}}"#);
    let gone = Step::answer(200, r#"{"id":"we_1","object":"webhook_endpoint","deleted":true}"#);
    let server =
        Server::start([Step::answer(200, ENDPOINT), Step::answer(200, ENDPOINT), Step::answer(200, &list), gone]);
    let (stripe, url) = (stripe(&server), "https://shop.example/webhooks/stripe".parse().unwrap());

    let made = stripe.create_webhook_endpoint(&key(), &url, &["refund.created"]).await.unwrap();
    stripe.update_webhook_endpoint(&key(), "we_1", &["refund.created", "refund.failed"]).await.unwrap();
    let all = stripe.webhook_endpoints().await.unwrap();
    stripe.delete_webhook_endpoint("we_1").await.unwrap();

    assert!(!format!("{made:?}").contains("nobodyMaySee"), "{made:?}");
    assert_eq!(all[0].id, "we_1");
    let received = server.received();
    let shown: Vec<String> =
        received.iter().map(|request| format!("{}\n{}", request.query().trim(), request.form())).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    POST /v1/webhook_endpoints
    api_version=2026-09-30.endive
    enabled_events[0]=refund.created
    description=Berth
    url=https://shop.example/webhooks/stripe
    POST /v1/webhook_endpoints/we_1
    disabled=false
    enabled_events[0]=refund.created
    enabled_events[1]=refund.failed
    GET /v1/webhook_endpoints
    limit=100

    DELETE /v1/webhook_endpoints/we_1
    ");
}

#[tokio::test]
async fn an_id_that_is_none_is_not_put_into_a_path() {
    let server = Server::start([Step::answer(200, ENDPOINT)]);

    let refused = stripe(&server).delete_webhook_endpoint("we_1/../customers").await.unwrap_err();

    assert!(matches!(refused, GatewayError::Refused { status: 400, .. }), "{refused:?}");
    assert!(server.received().is_empty());
}
