//! Who gets in, and what keeps others out.

use berth_jobs::Queue;
use reqwest::{Method, StatusCode};
use uuid::Uuid;

use super::{Answer, Browser, HERE, staff_token};
use crate::support::{Stack, StackOptions};

const SESSIONS: &str = "select count(*) from berth.console_sessions";

async fn set(stack: &Stack, sql: &'static str) {
    sqlx::query(sql).execute(&stack.pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_every_page_leads_to_the_sign_in_and_back() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let mut browser = Browser::new(&stack);
    for (path, to) in [
        ("/console", "/console/login"),
        ("/console/jobs?state=dead", "/console/login?next=%2Fconsole%2Fjobs%3Fstate%3Ddead"),
        ("/console/mails/mail_01k9z3m6sne5y8r7q2w4x6t8va/html", "/console/login?next="),
    ] {
        assert!(browser.get(path).await.to().starts_with(to), "{path}");
    }
    let post = browser.send(Method::POST, "/console/alerts/x/resolve", &[("reason", "x")], &[HERE]).await;
    assert_eq!(post.status, StatusCode::NOT_FOUND, "an address of nothing");
    let job = "/console/jobs/job_01k9z3m6sne5y8r7q2w4x6t8va/retry";
    assert_eq!(browser.send(Method::POST, job, &[("reason", "x")], &[HERE]).await.to(), "/console/login");

    let token = staff_token(&stack, Uuid::new_v4(), true);
    let fields = [("token", token.as_str()), ("next", "/console/jobs?state=dead")];
    let answer = browser.send(Method::POST, "/console/login", &fields, &[HERE]).await;

    assert_eq!(answer.to(), "/console/jobs?state=dead");
    let elsewhere = [("token", token.as_str()), ("next", "//evil.test/")];
    assert_eq!(browser.send(Method::POST, "/console/login", &elsewhere, &[HERE]).await.to(), "/console");
    browser.sign_in(&token).await;
    assert!(browser.page("/console").await.text().contains("ops@shop.test"));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_strangers_and_tokens_that_are_over_are_refused() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let auth = stack.config().auth;
    let long_ago = berth::clock::Clock::machine() - jiff::SignedDuration::from_hours(2);
    let over = std::time::Duration::from_secs(60);
    let over = berth::http::auth::development_token(&auth, Uuid::new_v4(), None, true, long_ago, over).unwrap();
    for (token, says) in [
        (staff_token(&stack, Uuid::new_v4(), false), "This token is a customer's."),
        ("nonsense".to_owned(), "This token is not valid"),
        (String::new(), "This token is not valid"),
        ("a\nb".to_owned(), "This is no token"),
        (over, "its time is over"),
    ] {
        let mut browser = Browser::new(&stack);

        let answer = browser.sign_in(&token).await;

        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{says}");
        assert!(answer.text().contains(says), "{says}: {}", answer.text());
        assert!(browser.cookie.is_none(), "{says}");
    }
    assert_eq!(stack.count(SESSIONS).await, 0);
    // The console's cookie is its own: a bearer token opens no page of it.
    let bearer = format!("Bearer {}", staff_token(&stack, Uuid::new_v4(), true));
    let answer = Browser::new(&stack).send(Method::GET, "/console", &[], &[("authorization", &bearer)]).await;
    assert_eq!(answer.to(), "/console/login");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_kept_from_scripts_other_sites_and_unencrypted_ways() {
    let local = Stack::new().await;
    let public = Stack::with(StackOptions::default().setting("http.public_url", "https://shop.test")).await;
    for (stack, flags, prefix) in [
        (&local, "Max-Age=28800; Path=/; HttpOnly; SameSite=Strict", "berth_console="),
        (&public, "Max-Age=28800; Path=/; HttpOnly; SameSite=Strict; Secure", "__Host-berth_console="),
    ] {
        let berth = stack.start_with(&[]).await;
        let mut browser = Browser::new(stack);

        let answer = browser.sign_in(&staff_token(stack, Uuid::new_v4(), true)).await;

        let cookie = answer.header("set-cookie");
        let (pair, rest) = cookie.split_once("; ").unwrap();
        assert!(pair.starts_with(prefix) && rest == flags, "{cookie}");
        // 256 bits, of which the table holds nothing but the hash.
        let secret = pair.strip_prefix(prefix).unwrap();
        assert_eq!(secret.len(), 43, "{secret}");
        let stored: Vec<u8> =
            sqlx::query_scalar("select hash from berth.console_sessions").fetch_one(&stack.pool).await.unwrap();
        assert_eq!(stored, berth::secrets::hash_token(secret));
        berth.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_somebody_else_has_set_is_never_taken_over() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let mut browser = Browser::new(&stack);
    browser.cookie = Some("berth_console=set_by_somebody_else_who_knows_it_well_0000".to_owned());
    let planted = browser.cookie.clone();

    browser.sign_in(&staff_token(&stack, Uuid::new_v4(), true)).await;
    let first = browser.cookie.clone();
    browser.sign_in(&staff_token(&stack, Uuid::new_v4(), true)).await;

    assert_ne!(first, planted);
    assert_ne!(browser.cookie, first, "every sign-in has a session of its own");
    let other = Browser { stack: &stack, cookie: planted };
    assert_eq!(other.get("/console").await.to(), "/console/login");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_the_sign_out_after_an_idle_hour_and_after_eight() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let signed = Browser::signed_in(&stack).await;
    let away = async || signed.get("/console").await.status == StatusCode::SEE_OTHER;

    set(&stack, "update berth.console_sessions set seen_at = now() - interval '59 minutes'").await;
    let by_itself = signed.send(Method::GET, "/console", &[], &[("x-berth-live", "1")]).await;
    assert_eq!(by_itself.status, StatusCode::OK);
    assert_eq!(
        stack.count("select count(*) from berth.console_sessions where seen_at < now() - interval '58 minutes'").await,
        1,
        "a page that refreshes itself is nobody's use"
    );
    assert!(!away().await);
    assert_eq!(
        stack.count("select count(*) from berth.console_sessions where seen_at > now() - interval '1 minute'").await,
        1
    );
    set(&stack, "update berth.console_sessions set seen_at = now() - interval '61 minutes'").await;
    assert!(away().await, "an hour without use");

    let signed = Browser::signed_in(&stack).await;
    set(&stack, "update berth.console_sessions set opened_at = now() - interval '481 minutes'").await;
    assert_eq!(signed.get("/console").await.to(), "/console/login", "eight hours");

    let signed = Browser::signed_in(&stack).await;
    assert_eq!(stack.count(SESSIONS).await, 1, "whoever signs in sweeps out what is over");
    let answer = signed.submit("/console", "/console/logout", &[]).await;
    assert_eq!(answer.to(), "/console/login");
    assert!(answer.header("set-cookie").contains("Max-Age=0"), "{}", answer.header("set-cookie"));
    assert_eq!(signed.get("/console").await.to(), "/console/login", "the old cookie opens nothing");
    assert_eq!(stack.count(SESSIONS).await, 0);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_no_page_of_the_session_has_written_does_nothing() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let job = stack.insert_job("no_op", Queue::Mail, &serde_json::json!({}), None).await;
    set(&stack, "update berth.jobs set state = 'dead', finished_at = now()").await;
    let id = berth_jobs::ids::JobId(job);
    let (page, retry) = (format!("/console/jobs/{id}"), format!("/console/jobs/{id}/retry"));
    let signed = Browser::signed_in(&stack).await;
    let other = Browser::signed_in(&stack).await;
    let (ours, theirs) = (signed.page(&page).await.csrf(), other.page(&page).await.csrf());
    assert_ne!(ours, theirs);

    let forged: [(&str, &[(&str, &str)]); 6] = [
        ("", &[HERE]),
        (&theirs, &[HERE]),
        (&ours, &[("sec-fetch-site", "cross-site")]),
        (&ours, &[("sec-fetch-site", "same-site")]),
        (&ours, &[("origin", "https://evil.test")]),
        (&ours, &[]),
    ];
    for (token, headers) in forged {
        let answer = signed.send(Method::POST, &retry, &[("csrf", token), ("reason", "x")], headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{token} {headers:?}");
    }
    assert_eq!(stack.count("select count(*) from berth.jobs where state = 'dead'").await, 1);
    assert_eq!(stack.count("select count(*) from berth.audit").await, 0);

    let no_reason = signed.send(Method::POST, &retry, &[("csrf", &ours), ("reason", " ")], &[HERE]).await;
    assert_eq!(no_reason.status, StatusCode::BAD_REQUEST);
    let origin = format!("http://{}", stack.address);
    let good = [("csrf", ours.as_str()), ("reason", "the panel is mended")];
    let answer = signed.send(Method::POST, &retry, &good, &[("origin", &origin)]).await;
    assert_eq!(answer.to(), format!("{page}?done=retried"), "an older browser says the origin only");
    assert_eq!(stack.count("select count(*) from berth.audit where action = 'job.retry'").await, 1);
    // The sign-in itself cannot be forged either.
    let token = staff_token(&stack, Uuid::new_v4(), true);
    for headers in [&[][..], &[("sec-fetch-site", "cross-site")]] {
        let answer = Browser::new(&stack).send(Method::POST, "/console/login", &[("token", &token)], headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    berth.stop().await;
}

fn is_guarded(answer: &Answer, path: &str) {
    let policy = answer.header("content-security-policy");
    for part in ["default-src 'none'", "form-action", "frame-ancestors", "base-uri 'none'"] {
        assert!(policy.contains(part), "{path}: {policy}");
    }
    assert!(!policy.contains("unsafe-eval") && !policy.contains("script-src 'unsafe"), "{path}: {policy}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
    assert_eq!(answer.header("cache-control"), "no-store", "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_forbids_frames_foreign_scripts_and_being_kept() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let signed = Browser::signed_in(&stack).await;
    for (browser, path) in [
        (&signed, "/console"),
        (&signed, "/console/jobs"),
        (&signed, "/console/jobs/job_01k9z3m6sne5y8r7q2w4x6t8va"),
        (&signed, "/console/nothing"),
        (&signed, "/console/console.js"),
        (&signed, "/console/console.css"),
        (&Browser::new(&stack), "/console/login"),
        (&Browser::new(&stack), "/console"),
        (&Browser::new(&stack), "/console/enter/x"),
    ] {
        let answer = browser.get(path).await;

        is_guarded(&answer, path);
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        for inline in ["<style", " style=", "<script>", " onclick="] {
            assert!(!answer.body.contains(inline), "{path}: {inline}");
        }
    }
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_tries_tokens_is_locked_out_for_a_while() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let mut browser = Browser::new(&stack);
    for _ in 0..10 {
        assert_eq!(browser.sign_in("nonsense").await.status, StatusCode::FORBIDDEN);
    }

    let answer = browser.sign_in(&staff_token(&stack, Uuid::new_v4(), true)).await;

    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "a good token comes too late as well");
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    is_guarded(&answer, "/console/login");
    let ticket = browser.send(Method::POST, "/console/enter", &[("ticket", "x")], &[HERE]).await;
    assert_eq!(ticket.status, StatusCode::TOO_MANY_REQUESTS, "by whatever door");
    assert_eq!(browser.get("/console/login").await.status, StatusCode::OK, "whoever only looks is not counted");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_the_shells_opens_one_session_within_a_minute() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let staff = berth::store::console::Staff { id: Uuid::new_v4(), name: "ops@shop1".to_owned() };
    let keep = async |secret: &str| {
        berth.app.store.keep_console_ticket(&berth::secrets::hash_token(secret), &staff).await.unwrap();
    };
    let mut browser = Browser::new(&stack);
    let enter = async |browser: &Browser<'_>, ticket: &str| {
        browser.send(Method::POST, "/console/enter", &[("ticket", ticket)], &[HERE]).await
    };
    keep("one").await;
    keep("two").await;

    let page = browser.page("/console/enter/one").await;
    assert!(page.body.contains("value=\"one\""), "{}", page.body);
    let answer = enter(&browser, "one").await;

    assert_eq!(answer.to(), "/console");
    browser.cookie = Some(answer.header("set-cookie").split(';').next().unwrap().to_owned());
    assert!(browser.page("/console").await.text().contains("ops@shop1"));
    assert_eq!(enter(&browser, "one").await.status, StatusCode::FORBIDDEN, "once");
    set(&stack, "update berth.console_tickets set expires_at = now() - interval '1 second'").await;
    assert_eq!(enter(&browser, "two").await.status, StatusCode::FORBIDDEN, "within a minute");
    assert_eq!(enter(&browser, "three").await.status, StatusCode::FORBIDDEN);
    berth.stop().await;
}
