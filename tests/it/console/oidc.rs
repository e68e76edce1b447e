//! Signing in at a provider, and all that must not sign anybody in.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::{Answer, Browser};
use crate::{
    secrets::Log,
    support::{
        Stack,
        oidc::{CLIENT, Manner, Provider, SECRET, Signed},
    },
};

const SESSIONS: &str = "select count(*) from berth.console_sessions";
const SENT_AWAY: &str = "select count(*) from berth.console_sign_ins";

/// The value that an answer gives this cookie.
fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let set = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let mut of_name = set.filter_map(|text| text.split(';').next()?.strip_prefix(name)?.strip_prefix('='));
    of_name.next().map(str::to_owned)
}

/// Where a browser is sent, and what it keeps.
struct Sent {
    to: Url,
    cookie: String,
}

/// Presses the button.
async fn begin(stack: &Stack, path: &str) -> Sent {
    let answer = Browser::new(stack).get(path).await;
    let kept = cookie(&answer, "berth_oidc").expect("a browser that is sent away keeps something");
    Sent { to: answer.to().parse().unwrap(), cookie: format!("berth_oidc={kept}") }
}

/// Goes to the provider; answers the path and query that it sends back to.
async fn at_the_provider(stack: &Stack, sent: &Sent) -> String {
    let answer = stack.client.get(sent.to.clone()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let back: Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
    assert!(back.as_str().starts_with(&format!("http://localhost:{}/console/oidc/callback?", stack.address.port())));
    format!("{}?{}", back.path(), back.query().unwrap())
}

/// Comes back, as a browser that another site has sent.
async fn come_back(stack: &Stack, path: &str, cookie: Option<&str>) -> Answer {
    let browser = Browser { stack, cookie: cookie.map(str::to_owned) };
    browser.send(Method::GET, path, &[], &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]).await
}

/// The whole way.
async fn sign_in(stack: &Stack) -> Answer {
    let sent = begin(stack, "/console/oidc").await;
    let back = at_the_provider(stack, &sent).await;
    come_back(stack, &back, Some(&sent.cookie)).await
}

/// A parameter of an address is another; `None` takes it away.
fn with(path: &str, name: &str, value: Option<&str>) -> String {
    let mut url: Url = format!("http://localhost{path}").parse().unwrap();
    let kept: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(of, _)| of != name).collect();
    url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(value.map(|value| (name, value)));
    format!("{}?{}", url.path(), url.query().unwrap())
}

/// What comes back in place of one's own answer, given another's.
type Changed = fn(&str, &str) -> String;

fn let_nobody_in(answer: &Answer, case: &str) {
    assert_eq!(cookie(answer, "berth_console"), None, "{case}");
    assert_eq!(cookie(answer, "berth_oidc").as_deref(), Some(""), "{case}: the attempt is over");
    assert!(
        answer.body.contains("role=\"alert\"") && answer.body.contains("name=\"token\""),
        "{case}: {}",
        answer.text()
    );
}

/// Ten a minute may try; a test that tries more begins anew, as a minute later.
async fn a_minute_later(stack: &Stack, berth: crate::support::Running) -> crate::support::Running {
    berth.stop().await;
    stack.start_with(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_signs_in_at_the_provider_and_comes_to_the_page_that_was_wanted() {
    let provider = Provider::start().await;
    let stack = Stack::with(provider.options()).await;
    let berth = stack.start_with(&[]).await;
    let asked = Browser::new(&stack).page("/console/login?next=%2Fconsole%2Fjobs%3Fstate%3Ddead").await;
    assert!(asked.text().contains("Sign in with Harbour ID"), "{}", asked.text());
    let button = asked.links().into_iter().find(|link| link.starts_with("/console/oidc")).expect("a button");

    let sent = begin(&stack, &button).await;
    let pairs: std::collections::BTreeMap<_, _> = sent.to.query_pairs().into_owned().collect();
    assert_eq!((pairs["client_id"].as_str(), pairs["response_type"].as_str()), (CLIENT, "code"));
    let back = at_the_provider(&stack, &sent).await;
    let answer = come_back(&stack, &back, Some(&sent.cookie)).await;

    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert!(
        answer.body.contains("http-equiv=\"refresh\" content=\"0; url=&#x2f;console&#x2f;jobs?state=dead\""),
        "{}",
        answer.body
    );
    assert_eq!(cookie(&answer, "berth_oidc").as_deref(), Some(""));
    let session = cookie(&answer, "berth_console").expect("a session");
    let signed = Browser { stack: &stack, cookie: Some(format!("berth_console={session}")) };
    let page = signed.page("/console/jobs?state=dead").await;
    assert!(page.text().contains("ada@shop.test (u-4711)"), "{}", page.text());
    assert_eq!(stack.count(SENT_AWAY).await, 0);

    // What is done is written down under that name, and by the same id whenever they sign in.
    let answer = sign_in(&stack).await;
    let again =
        Browser { stack: &stack, cookie: cookie(&answer, "berth_console").map(|of| format!("berth_console={of}")) };
    for browser in [&signed, &again] {
        let csrf = browser.page("/console").await.csrf();
        let fields = [("csrf", csrf.as_str()), ("reason", "a look at it")];
        browser.send(Method::POST, "/console/sweeps/accounts/run", &fields, &[super::HERE]).await;
    }
    let actors: Vec<(String, Option<String>)> = sqlx::query_as(
        "select a.actor, s.name from berth.audit a left join berth.console_staff s on s.id::text = a.actor",
    )
    .fetch_all(&stack.pool)
    .await
    .unwrap();
    assert_eq!(actors.len(), 2, "{actors:?}");
    assert_eq!(actors[0], actors[1]);
    assert_eq!(actors[0].1.as_deref(), Some("ada@shop.test (u-4711)"));
    let log = signed.page("/console/audit").await.text();
    assert!(log.contains("ada@shop.test (u-4711) sweep.run"), "{log}");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_there_and_back_belongs_to_one_browser_and_is_gone_once() {
    let provider = Provider::start().await;
    let stack = Stack::with(provider.options()).await;
    let mut berth = stack.start_with(&[]).await;
    let other = begin(&stack, "/console/oidc").await;
    let theirs = at_the_provider(&stack, &other).await;
    // Each is tried with an attempt of its own, and the good answer comes after it.
    let cases: [(&str, Changed, Option<&str>); 8] = [
        ("another's answer", |_, theirs| theirs.to_owned(), None),
        ("another's state", |ours, theirs| with(ours, "state", Some(&state_of(theirs))), None),
        ("no state", |ours, _| with(ours, "state", None), None),
        ("no code", |ours, _| with(ours, "code", None), None),
        ("another's browser", |ours, _| ours.to_owned(), Some(&other.cookie)),
        (
            "a cookie that was made up",
            |ours, _| ours.to_owned(),
            Some("berth_oidc=made_up_by_somebody_else_000000000000000000"),
        ),
        ("another provider", |ours, _| with(ours, "iss", Some("https://evil.test")), None),
        ("a provider that does not say who it is", |ours, _| with(ours, "iss", None), None),
    ];

    for (at, (case, changed, instead)) in cases.into_iter().enumerate() {
        if at % 3 == 2 {
            berth = a_minute_later(&stack, berth).await;
        }
        let sent = begin(&stack, "/console/oidc").await;
        let ours = at_the_provider(&stack, &sent).await;
        let answer = come_back(&stack, &changed(&ours, &theirs), Some(instead.unwrap_or(&sent.cookie))).await;

        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{case}: {}", answer.text());
        let_nobody_in(&answer, case);
        if instead.is_none() {
            let late = come_back(&stack, &ours, Some(&sent.cookie)).await;
            assert_eq!(late.status, StatusCode::FORBIDDEN, "{case}: an attempt is used up by whatever came back");
        }
    }
    berth = a_minute_later(&stack, berth).await;
    let sent = begin(&stack, "/console/oidc").await;
    let back = at_the_provider(&stack, &sent).await;
    let without = come_back(&stack, &back, None).await;
    assert_eq!(without.status, StatusCode::FORBIDDEN, "a browser that has begun nothing: {}", without.text());
    assert_eq!(come_back(&stack, &back, Some(&sent.cookie)).await.status, StatusCode::OK);
    let replayed = come_back(&stack, &back, Some(&sent.cookie)).await;
    assert!(replayed.text().contains("was used before"), "{}", replayed.text());
    let_nobody_in(&replayed, "the same answer twice");
    // A code that was used, brought back to an attempt of one's own.
    let sent = begin(&stack, "/console/oidc").await;
    let back = with(&at_the_provider(&stack, &sent).await, "code", Some(&provider.given()[0]));
    let stolen = come_back(&stack, &back, Some(&sent.cookie)).await;
    assert_eq!(stolen.status, StatusCode::FORBIDDEN, "PKCE: another's code is worth nothing: {}", stolen.text());
    assert_eq!(stack.count(SESSIONS).await, 1);
    berth.stop().await;
}

fn state_of(path: &str) -> String {
    let url: Url = format!("http://localhost{path}").parse().unwrap();
    url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_over_after_ten_minutes() {
    let provider = Provider::start().await;
    let stack = Stack::with(provider.options()).await;
    let berth = stack.start_with(&[]).await;
    let sent = begin(&stack, "/console/oidc").await;
    let back = at_the_provider(&stack, &sent).await;
    sqlx::query("update berth.console_sign_ins set expires_at = now() - interval '1 second'")
        .execute(&stack.pool)
        .await
        .unwrap();

    let answer = come_back(&stack, &back, Some(&sent.cookie)).await;

    assert!(answer.text().contains("older than ten minutes"), "{}", answer.text());
    let_nobody_in(&answer, "too late");
    assert_eq!(provider.exchanges(), 0, "nothing was asked of the provider");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_lies_signs_nobody_in() {
    let provider = Provider::start().await;
    let stack = Stack::with(provider.options()).await;
    let mut berth = stack.start_with(&[]).await;
    let now = berth::clock::Clock::machine().as_second();
    let claims = |claims: Value| Manner { claims, ..Manner::default() };
    let signed = |signed| Manner { signed, ..Manner::default() };
    let cases = [
        ("another nonce", claims(json!({ "nonce": "of another sign-in" }))),
        ("no nonce", claims(json!({ "nonce": null }))),
        ("another audience", claims(json!({ "aud": "another client" }))),
        ("two audiences", claims(json!({ "aud": [CLIENT, "another client"] }))),
        ("no audience", claims(json!({ "aud": null }))),
        ("another party", claims(json!({ "azp": "another client" }))),
        ("another issuer", claims(json!({ "iss": "https://evil.test" }))),
        ("the issuer with a slash", claims(json!({ "iss": format!("{}/", provider.issuer) }))),
        ("no issuer", claims(json!({ "iss": null }))),
        ("expired", claims(json!({ "exp": now - 60, "iat": now - 360 }))),
        ("no end", claims(json!({ "exp": null }))),
        ("not yet", claims(json!({ "nbf": now + 600 }))),
        ("no time of issue", claims(json!({ "iat": null }))),
        ("no subject", claims(json!({ "sub": null }))),
        ("a subject that cannot be shown", claims(json!({ "sub": "a\r\nb" }))),
        ("alg none", signed(Signed::ByNobody)),
        ("HS256 by the public key", signed(Signed::ByThePublicKey)),
        ("another key", signed(Signed::ByAStranger)),
        ("an algorithm that is not configured", signed(Signed::ByAnotherAlgorithm)),
        ("a key without an id", signed(Signed::ByAKeyWithoutId)),
        (
            "no token",
            Manner { refuses: Some((StatusCode::OK, json!({ "id_token": "e30.e30.e30" }))), ..Manner::default() },
        ),
    ];

    for (at, (case, manner)) in cases.into_iter().enumerate() {
        if at % 5 == 4 {
            berth = a_minute_later(&stack, berth).await;
        }
        provider.does(manner);

        let answer = sign_in(&stack).await;

        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{case}: {}", answer.text());
        let_nobody_in(&answer, case);
        assert!(answer.text().contains("does not hold"), "{case}: {}", answer.text());
    }
    berth = a_minute_later(&stack, berth).await;
    provider.claims(json!({ "aud": [CLIENT], "azp": CLIENT, "exp": now - 5, "email": null }));
    assert_eq!(sign_in(&stack).await.status, StatusCode::OK, "what is right, within the leeway");
    assert_eq!(stack.count(SESSIONS).await, 1);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_of_the_staff_is_told_so_and_let_in_nowhere() {
    let provider = Provider::start().await;
    let stack = Stack::with(provider.options()).await;
    let berth = stack.start_with(&[]).await;
    for groups in [json!(["everybody"]), json!("Staff"), json!(null), json!({ "staff": true })] {
        provider.claims(json!({ "groups": groups }));

        let answer = sign_in(&stack).await;

        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{groups}");
        let_nobody_in(&answer, &groups.to_string());
        assert!(answer.text().contains("not one of the staff's"), "{groups}: {}", answer.text());
    }
    assert_eq!(stack.count(SESSIONS).await, 0);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_refuses_or_is_away_is_a_page_and_the_token_still_works() {
    let provider = Provider::start().await;
    let stack = Stack::with(provider.options()).await;
    let mut berth = stack.start_with(&[]).await;
    // Before anything is known of it.
    provider.does(Manner { away: true, ..Manner::default() });
    let away = Browser::new(&stack).get("/console/oidc?next=%2Fconsole%2Fjobs").await;
    assert_eq!(away.status, StatusCode::BAD_GATEWAY);
    assert!(away.text().contains("The provider does not answer as it should"), "{}", away.text());
    assert!(away.body.contains("value=\"&#x2f;console&#x2f;jobs\""), "the page that was wanted is not forgotten");
    assert_eq!(stack.count(SENT_AWAY).await, 0);

    // While the person is there: it refuses, it is away, or it does not know us.
    berth = a_minute_later(&stack, berth).await;
    for (case, error, says) in [
        ("denied", "access_denied", "The sign-in was refused there"),
        ("its own trouble", "server_error", "trouble of its own"),
        ("of the protocol", "login_required", "login_required"),
        ("somebody's words", "<b>Call 0900 and say your password</b>", "does not say why"),
    ] {
        provider.does(Manner::default());
        let sent = begin(&stack, "/console/oidc").await;
        let back = at_the_provider(&stack, &sent).await;
        let back = with(&with(&back, "code", None), "error", Some(error));

        let answer = come_back(&stack, &back, Some(&sent.cookie)).await;

        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{case}");
        let_nobody_in(&answer, case);
        assert!(answer.text().contains(says) && !answer.text().contains("0900"), "{case}: {}", answer.text());
    }
    berth = a_minute_later(&stack, berth).await;
    let refuses =
        |status, error: &str| Manner { refuses: Some((status, json!({ "error": error }))), ..Manner::default() };
    for (case, manner, status) in [
        ("away", Manner { away: true, ..Manner::default() }, StatusCode::BAD_GATEWAY),
        ("used code", refuses(StatusCode::BAD_REQUEST, "invalid_grant"), StatusCode::FORBIDDEN),
        ("wrong secret", refuses(StatusCode::UNAUTHORIZED, "invalid_client"), StatusCode::BAD_GATEWAY),
        ("no token", refuses(StatusCode::OK, "none"), StatusCode::BAD_GATEWAY),
    ] {
        provider.does(Manner::default());
        let sent = begin(&stack, "/console/oidc").await;
        let back = at_the_provider(&stack, &sent).await;
        provider.does(manner);

        let answer = come_back(&stack, &back, Some(&sent.cookie)).await;

        assert_eq!(answer.status, status, "{case}: {}", answer.text());
        let_nobody_in(&answer, case);
    }
    Browser::signed_in(&stack).await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_code_no_token_and_no_secret_is_logged_however_it_ends() {
    let log = Log::begin();
    let provider = Provider::start().await;
    let stack = Stack::with(provider.options()).await;
    let berth = stack.start_with(&[]).await;
    let mut secrets = vec![SECRET.to_owned()];
    for manner in [
        Manner::default(),
        Manner { claims: json!({ "nonce": "another" }), ..Manner::default() },
        Manner { signed: Signed::ByThePublicKey, ..Manner::default() },
        Manner { refuses: Some((StatusCode::UNAUTHORIZED, json!({ "error": "invalid_client" }))), ..Manner::default() },
    ] {
        provider.does(manner);
        let sent = begin(&stack, "/console/oidc").await;
        let back = at_the_provider(&stack, &sent).await;
        let answer = come_back(&stack, &back, Some(&sent.cookie)).await;
        secrets.push(sent.cookie.split_once('=').unwrap().1.to_owned());
        secrets.extend(cookie(&answer, "berth_console"));
    }
    berth.stop().await;
    secrets.extend(provider.given());
    assert!(secrets.len() > 10, "{secrets:?}");

    // The test and its provider are of this process too: only what Berth itself says is looked at, and what it is made of.
    let text = log.text();

    assert!(text.contains("a session of the console was opened by OpenID Connect"));
    assert_eq!(text.matches("somebody was not let in to the console by OpenID Connect").count(), 3);
    for line in text.lines().filter(|line| line.contains(" berth::")) {
        for secret in &secrets {
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            assert!(!line.contains(secret.as_str()) && !line.contains(&encoded), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_led_elsewhere_by_signing_in_at_the_provider() {
    let provider = Provider::start().await;
    let stack = Stack::with(provider.options()).await;
    let berth = stack.start_with(&[]).await;
    for next in ["//evil.test", "https://evil.test/console", "/console//evil.test", "/v1/me"] {
        let encoded: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let sent = begin(&stack, &format!("/console/oidc?next={encoded}")).await;
        let back = at_the_provider(&stack, &sent).await;

        let answer = come_back(&stack, &back, Some(&sent.cookie)).await;

        assert_eq!(answer.status, StatusCode::OK, "{next}");
        assert!(answer.body.contains("content=\"0; url=&#x2f;console\""), "{next}: {}", answer.body);
        assert!(!answer.body.contains("evil"), "{next}");
    }
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_out_and_the_sessions_rules_hold_for_this_door_as_well() {
    let provider = Provider::start().await;
    let stack = Stack::with(provider.options()).await;
    let berth = stack.start_with(&[]).await;
    let planted = "berth_console=set_by_somebody_else_who_knows_it_well_0000";
    let sent = begin(&stack, "/console/oidc").await;
    let back = at_the_provider(&stack, &sent).await;

    let answer = come_back(&stack, &back, Some(&format!("{planted}; {}", sent.cookie))).await;

    let session = cookie(&answer, "berth_console").unwrap();
    assert!(!planted.contains(&session), "a session that somebody else has set is never taken over");
    let flags = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned());
    let flags: Vec<String> = flags.filter(|set| set.starts_with("berth_console=")).collect();
    assert!(flags[0].ends_with("; Max-Age=28800; Path=/; HttpOnly; SameSite=Strict"), "{flags:?}");
    let other = Browser { stack: &stack, cookie: Some(planted.to_owned()) };
    assert_eq!(other.get("/console").await.to(), "/console/login");
    for name in ["content-security-policy", "x-frame-options", "cache-control", "referrer-policy"] {
        assert!(!answer.header(name).is_empty(), "{name}");
    }
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(Browser::new(&stack).get("/console/oidc").await.status);
        answers.push(come_back(&stack, &back, Some(&sent.cookie)).await.status);
    }
    assert!(answers[..2].iter().all(|status| *status != StatusCode::TOO_MANY_REQUESTS), "{answers:?}");
    assert!(answers.contains(&StatusCode::TOO_MANY_REQUESTS), "{answers:?}");
    assert!(
        answers[20..].iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count() > 10,
        "{answers:?}"
    );
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_provider_there_is_no_such_door() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let browser = Browser::new(&stack);

    for path in ["/console/oidc", "/console/oidc/callback?code=x&state=y"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(!browser.page("/console/login").await.body.contains("/console/oidc"));
    berth.stop().await;
}
