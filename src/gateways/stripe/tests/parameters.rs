//! The exact parameters of every request.

use super::server::Step;
use super::*;

#[tokio::test]
async fn every_post_carries_key_version_type_and_authorization() {
    let server = Server::start([Step::answer(200, SUCCEEDED)]);

    stripe(&server).charge_off_session(&key(), &charge()).await.unwrap();

    let request = server.one();
    assert_eq!(request.line, "POST /v1/payment_intents");
    assert_eq!(request.header("idempotency-key"), Some("berth:pi:attempt_1"));
    assert_eq!(request.header("stripe-version"), Some("2026-09-30.endive"));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.header("authorization"), Some("Bearer sk_test_berthNobodyMaySee"));
    assert!(request.header("user-agent").unwrap().starts_with("berth/"));
}

#[test]
fn the_pinned_version_is_the_one_the_builders_were_generated_for() {
    assert_eq!(STRIPE_VERSION, stripe_shared::version::VERSION.as_str());
}

#[tokio::test]
async fn a_customer() {
    let server = Server::start([Step::answer(200, r#"{"id":"cus_1"}"#)]);
    let customer = NewCustomer {
        email: "zoë+shop@example.com".to_owned(),
        name: Some("Zoë & Söhne".to_owned()),
        metadata: ours(&[("customer_id", "cst_1")]),
    };

    let made = stripe(&server).ensure_customer(&key(), &customer).await.unwrap();

    assert_eq!(made.id, "cus_1");
    assert_eq!(server.one().line, "POST /v1/customers");
    insta::assert_snapshot!(server.one().form(), @r"
    email=zoë+shop@example.com
    name=Zoë & Söhne
    metadata[customer_id]=cst_1
    ");
}

#[tokio::test]
async fn a_checkout_session_has_our_ids_on_itself_and_on_its_intent() {
    let answer = r#"{"id":"cs_1","url":"https://checkout.stripe.com/c/pay/cs_1","status":"open","payment_status":"unpaid",
        "amount_total":2497,"currency":"usd","mode":"payment","livemode":false,"payment_intent":null,"customer":"cus_1",
        "client_reference_id":"ord_1","metadata":{"order_id":"ord_1"},"expires_at":1795456400}"#;
    let server = Server::start([Step::answer(200, answer)]);
    let line = |name: &str, minor, quantity| CheckoutLine {
        name: name.to_owned(),
        description: None,
        unit_price: Amount::new(minor, "usd"),
        quantity,
    };
    let mut described = line("Shared hosting, monthly", 999, 2);
    described.description = Some("example.com".to_owned());
    let session = NewCheckoutSession {
        customer: "cus_1".to_owned(),
        lines: vec![described, line("Backups", 499, 1)],
        client_reference_id: "ord_1".to_owned(),
        metadata: ours(&[("order_id", "ord_1"), ("version", "3")]),
        success_url: "https://shop.example/ok?s={CHECKOUT_SESSION_ID}".to_owned(),
        cancel_url: "https://shop.example/cart".to_owned(),
        expires_at: at(1_795_456_400),
    };

    let made = stripe(&server).create_checkout_session(&key(), &session).await.unwrap();

    assert_eq!(made.total(), Some(Amount::new(2497, "usd")));
    assert_eq!(made.status, Some(CheckoutStatus::Open));
    assert_eq!(made.payment_status, Some(CheckoutPaymentStatus::Unpaid));
    assert_eq!(made.expires_at, Some(at(1_795_456_400)));
    assert_eq!(server.one().line, "POST /v1/checkout/sessions");
    insta::assert_snapshot!(server.one().form(), @r"
    allowed_payment_method_types[0]=card
    cancel_url=https://shop.example/cart
    client_reference_id=ord_1
    customer=cus_1
    expires_at=1795456400
    line_items[0][price_data][currency]=usd
    line_items[0][price_data][product_data][description]=example.com
    line_items[0][price_data][product_data][name]=Shared hosting, monthly
    line_items[0][price_data][unit_amount]=999
    line_items[0][quantity]=2
    line_items[1][price_data][currency]=usd
    line_items[1][price_data][product_data][name]=Backups
    line_items[1][price_data][unit_amount]=499
    line_items[1][quantity]=1
    mode=payment
    payment_intent_data[setup_future_usage]=off_session
    success_url=https://shop.example/ok?s={CHECKOUT_SESSION_ID}
    metadata[order_id]=ord_1
    metadata[version]=3
    payment_intent_data[metadata][order_id]=ord_1
    payment_intent_data[metadata][version]=3
    ");
}

#[tokio::test]
async fn a_session_that_only_saves_a_card() {
    let server = Server::start([Step::answer(200, r#"{"id":"cs_1","mode":"setup","setup_intent":"seti_1"}"#)]);
    let session = NewCardSession {
        customer: "cus_1".to_owned(),
        currency: "EUR".to_owned(),
        metadata: ours(&[("customer_id", "cst_1")]),
        success_url: "https://shop.example/ok".to_owned(),
        cancel_url: "https://shop.example/cards".to_owned(),
        expires_at: at(1_795_456_400),
    };

    let made = stripe(&server).create_card_session(&key(), &session).await.unwrap();

    assert_eq!(made.setup_intent.as_deref(), Some("seti_1"));
    insta::assert_snapshot!(server.one().form(), @r"
    allowed_payment_method_types[0]=card
    cancel_url=https://shop.example/cards
    currency=eur
    customer=cus_1
    expires_at=1795456400
    mode=setup
    success_url=https://shop.example/ok
    metadata[customer_id]=cst_1
    setup_intent_data[metadata][customer_id]=cst_1
    ");
}

#[tokio::test]
async fn sessions_are_read_and_closed() {
    let server = Server::start([Step::answer(200, r#"{"id":"cs_1","status":"expired"}"#)]);
    let stripe = stripe(&server);

    stripe.checkout_session("cs_1").await.unwrap();
    stripe.expire_checkout_session(&key(), "cs_1").await.unwrap();

    let received = server.received();
    assert_eq!(received[0].query(), "GET /v1/checkout/sessions/cs_1\n");
    assert_eq!(received[0].header("idempotency-key"), None);
    assert_eq!(received[1].line, "POST /v1/checkout/sessions/cs_1/expire");
    assert_eq!(received[1].header("idempotency-key"), Some("berth:pi:attempt_1"));
    assert_eq!(received[1].form(), "");
}

#[tokio::test]
async fn a_charge_off_session() {
    let server = Server::start([Step::answer(200, SUCCEEDED)]);
    let mut charge = charge();
    charge.description = Some("Renewal of example.com".to_owned());

    let intent = stripe(&server).charge_off_session(&key(), &charge).await.unwrap();

    assert_eq!(intent.status, PaymentIntentStatus::Succeeded);
    assert_eq!(intent.received(), Some(Amount::new(1999, "usd")));
    insta::assert_snapshot!(server.one().form(), @r"
    allowed_payment_method_types[0]=card
    amount=1999
    confirm=true
    currency=usd
    customer=cus_1
    description=Renewal of example.com
    off_session=true
    payment_method=pm_1
    metadata[attempt_id]=att_1
    metadata[invoice_id]=inv_1
    ");
}

#[tokio::test]
async fn intents_are_confirmed_cancelled_and_read() {
    let server = Server::start([Step::answer(200, SUCCEEDED)]);
    let stripe = stripe(&server);

    stripe.confirm_payment_intent(&key(), "pi_1", "pm_2").await.unwrap();
    stripe.cancel_payment_intent(&key(), "pi_1").await.unwrap();
    stripe.payment_intent("pi_1").await.unwrap();

    let received = server.received();
    assert_eq!(received[0].line, "POST /v1/payment_intents/pi_1/confirm");
    assert_eq!(received[0].form(), "off_session=true\npayment_method=pm_2");
    assert_eq!(received[1].line, "POST /v1/payment_intents/pi_1/cancel");
    assert_eq!(received[1].form(), "");
    assert_eq!(received[2].query(), "GET /v1/payment_intents/pi_1\n");
}

#[tokio::test]
async fn a_refund() {
    let server =
        Server::start([Step::answer(200, r#"{"id":"re_1","status":"pending","amount":400,"payment_intent":"pi_1"}"#)]);
    let refund = NewRefund {
        payment_intent: "pi_1".to_owned(),
        amount: Amount::new(400, "usd"),
        reason: Some(RefundReason::RequestedByCustomer),
        metadata: ours(&[("refund_id", "ref_1")]),
    };

    let made = stripe(&server).refund(&key(), &refund).await.unwrap();

    assert_eq!(made.status, Some(RefundStatus::Pending));
    assert_eq!(server.one().line, "POST /v1/refunds");
    insta::assert_snapshot!(server.one().form(), @r"
    amount=400
    payment_intent=pi_1
    reason=requested_by_customer
    metadata[refund_id]=ref_1
    ");
}

#[tokio::test]
async fn lookups() {
    let server = Server::start([
        Step::answer(200, r#"{"data":[],"has_more":false}"#),
        Step::answer(200, r#"{"id":"re_1","status":null}"#),
        Step::answer(
            200,
            r#"{"id":"pm_1","type":"card","customer":"cus_1","card":{"brand":"visa","last4":"4242","exp_month":8,"exp_year":2030}}"#,
        ),
    ]);
    let stripe = stripe(&server);

    stripe.refunds_of("pi_1").await.unwrap();
    stripe.refund_status("re_1").await.unwrap();
    let method = stripe.payment_method("cus_1", "pm_1").await.unwrap();

    assert_eq!(method.card.unwrap().exp_year, Some(2030));
    let queries: Vec<String> = server.received().iter().map(server::Received::query).collect();
    insta::assert_snapshot!(queries.join("\n"), @r"
    GET /v1/refunds
    limit=100
    payment_intent=pi_1
    GET /v1/refunds/re_1

    GET /v1/customers/cus_1/payment_methods/pm_1
    ");
}

#[tokio::test]
async fn an_id_cannot_lead_to_another_resource() {
    let server = Server::start([Step::answer(200, SUCCEEDED)]);
    let stripe = stripe(&server);

    for id in ["", "pi_1/cancel", "pi_1?expand[]=customer", "../customers", "pi 1"] {
        let error = stripe.cancel_payment_intent(&key(), id).await.unwrap_err();
        assert!(
            matches!(&error, GatewayError::Refused { code: Some(code), .. } if code == BAD_ARGUMENT),
            "{id}: {error}"
        );
    }

    assert!(server.received().is_empty());
}

#[test]
fn a_live_key_is_not_sent_in_the_clear() {
    let config = |key: &str, base: &str| StripeConfig {
        secret_key: SecretString::from(key),
        api_base: base.parse().unwrap(),
        timeout: Duration::from_secs(1),
    };

    assert!(matches!(Stripe::new(&config("sk_live_1", "http://127.0.0.1:1")), Err(StripeConfigError::ApiBase)));
    assert!(matches!(Stripe::new(&config("sk_test_1\n", "https://api.stripe.com")), Err(StripeConfigError::SecretKey)));
    assert!(Stripe::new(&config("sk_live_1", "https://api.stripe.com")).is_ok());
    assert!(Stripe::new(&config("sk_test_1", "http://127.0.0.1:1")).is_ok());
}
