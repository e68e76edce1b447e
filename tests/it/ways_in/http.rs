//! `POST /v1/jobs` and its neighbours.

use axum::http::StatusCode;
use berth::clock::Clock;
use berth_jobs::{
    client::{Client, ClientError, Options},
    diagnosis::NoOp,
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{super::support::StackOptions, *};

const JOBS: &str = "select count(*) from berth.jobs";

impl Stack {
    async fn ask_as(&self, token: &str, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.base());
        let request = match body {
            Some(body) => self.client.post(url).json(body),
            None => self.client.get(url),
        };
        let response = request.bearer_auth(token).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }
}

fn problem(body: &Value) -> &str {
    body["type"].as_str().unwrap().rsplit('/').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_asked_for_runs_and_is_asked_for_once_under_its_key() {
    let stack = Stack::new().await;
    let _berth = stack.start().await;
    let key = stack.key("crm", &["no_op"]).await;
    let body = json!({ "kind": "no_op", "payload": { "note": "a" }, "key": "night-1" });

    let first = stack.ask_as(&key.token, "/v1/jobs", Some(&body)).await;
    stack.until_count("select count(*) from berth.jobs where kind = 'no_op' and state = 'done'", 1).await;
    let again = stack.ask_as(&key.token, "/v1/jobs", Some(&body)).await;
    let shown = stack.ask_as(&key.token, &format!("/v1/jobs/{}", first.1["id"].as_str().unwrap()), None).await;
    let found = stack.ask_as(&key.token, "/v1/jobs?key=night-1", None).await;

    assert_eq!((first.0, &first.1["created"]), (StatusCode::ACCEPTED, &json!(true)));
    assert_eq!((again.0, &again.1["created"], &again.1["state"]), (StatusCode::OK, &json!(false), &json!("done")));
    assert_eq!(first.1["id"], again.1["id"]);
    assert_eq!((shown.0, &shown.1["payload"]), (StatusCode::OK, &json!({ "note": "a" })));
    assert_eq!(shown.1, found.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let stack = Stack::new().await;
    let _berth = stack.start().await;
    let key = stack.key("crm", &["no_op", "provision_account", "sweep_accounts"]).await;
    let asked = json!({ "kind": "no_op", "payload": {}, "key": "taken" });
    stack.ask_as(&key.token, "/v1/jobs", Some(&asked)).await;
    stack.until_idle().await;
    let before = stack.count(JOBS).await;
    let refused = [
        (json!({ "kind": "make_coffee", "payload": {} }), 422, "job-kind-unknown"),
        (json!({ "kind": "complete_checkout", "payload": {} }), 422, "job-kind-unknown"),
        (json!({ "kind": "suspend_account", "payload": {} }), 403, "forbidden"),
        (json!({ "kind": "provision_account", "payload": {} }), 422, "job-payload-invalid"),
        (json!({ "kind": "provision_account", "payload": { "account_id": "ord_1" } }), 422, "job-payload-invalid"),
        (json!({ "kind": "no_op", "payload": [] }), 422, "job-payload-invalid"),
        (json!({ "kind": "no_op", "payload": { "note": "x", "more": 1 } }), 422, "job-payload-invalid"),
        (json!({ "kind": "sweep_accounts", "payload": { "as_of": "soon" } }), 422, "job-payload-invalid"),
        (json!({ "kind": "no_op", "payload": {}, "key": "" }), 422, "job-key-invalid"),
        (json!({ "kind": "no_op", "payload": {}, "key": "k".repeat(256) }), 422, "job-key-invalid"),
        (json!({ "kind": "no_op", "payload": {}, "run_at": "2099-01-01T00:00:00Z" }), 422, "job-time-refused"),
        (json!({ "kind": "no_op", "payload": { "note": "b" }, "key": "taken" }), 422, "idempotency-key-reused"),
        (json!({ "kind": "no_op", "payload": {}, "queue": "mail" }), 400, "invalid-body"),
        (json!({ "kind": "no_op" }), 400, "invalid-body"),
    ];

    for (body, status, expected) in refused {
        let (answered, told) = stack.ask_as(&key.token, "/v1/jobs", Some(&body)).await;
        assert_eq!((answered.as_u16(), problem(&told)), (status, expected), "{body}: {told}");
    }
    assert_eq!(stack.count(JOBS).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_jobs_are_taken_in_at_once_or_none_of_them() {
    let stack = Stack::new().await;
    let _berth = stack.start().await;
    let key = stack.key("crm", &["no_op"]).await;
    let job = |nth: usize| json!({ "kind": "no_op", "payload": { "note": nth.to_string() }, "key": format!("k{nth}") });
    let mut jobs: Vec<Value> = (0..1_000).map(job).collect();

    let all = stack.ask_as(&key.token, "/v1/jobs/batch", Some(&json!({ "jobs": jobs }))).await;
    stack.until_count("select count(*) from berth.jobs where kind = 'no_op' and state = 'done'", 1_000).await;
    let again = stack.ask_as(&key.token, "/v1/jobs/batch", Some(&json!({ "jobs": jobs }))).await;
    jobs.push(job(1_000));
    let too_many = stack.ask_as(&key.token, "/v1/jobs/batch", Some(&json!({ "jobs": jobs }))).await;
    let one_bad = json!({ "jobs": [job(2_000), job(2_001), { "kind": "no_op", "payload": { "not": 1 } }, job(2_002)] });
    let one_bad = stack.ask_as(&key.token, "/v1/jobs/batch", Some(&one_bad)).await;
    let twice = [job(3_000), json!({ "kind": "no_op", "payload": {}, "key": "k3000" })];
    let twice = stack.ask_as(&key.token, "/v1/jobs/batch", Some(&json!({ "jobs": twice }))).await;
    let none = stack.ask_as(&key.token, "/v1/jobs/batch", Some(&json!({ "jobs": [] }))).await;

    assert_eq!((all.0, all.1["jobs"].as_array().unwrap().len()), (StatusCode::ACCEPTED, 1_000));
    let ids =
        |answer: &Value| answer["jobs"].as_array().unwrap().iter().map(|job| job["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&all.1), ids(&again.1));
    assert!(again.1["jobs"].as_array().unwrap().iter().all(|job| job["created"] == false && job["state"] == "done"));
    assert_eq!((too_many.0.as_u16(), problem(&too_many.1)), (422, "job-batch-size"));
    assert_eq!((one_bad.0.as_u16(), problem(&one_bad.1), &one_bad.1["index"]), (422, "job-payload-invalid", &json!(2)));
    assert_eq!((twice.0.as_u16(), problem(&twice.1), &twice.1["index"]), (422, "idempotency-key-reused", &json!(1)));
    assert_eq!((none.0.as_u16(), problem(&none.1)), (422, "job-batch-size"));
    assert_eq!(stack.count(JOBS).await, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_at_once_under_one_key_are_one_job() {
    let stack = Stack::new().await;
    let _berth = stack.start().await;
    let key = stack.key("crm", &["no_op"]).await;
    let body = json!({ "kind": "no_op", "payload": {}, "key": "k" });

    let asked = (0..20).map(|_| stack.ask_as(&key.token, "/v1/jobs", Some(&body)));
    let answers = futures::future::join_all(asked).await;

    assert_eq!(answers.iter().filter(|(_, answer)| answer["created"] == true).count(), 1);
    assert!(answers.iter().all(|(_, answer)| answer["id"] == answers[0].1["id"]));
    assert_eq!(stack.count(JOBS).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_key_that_holds_opens_the_door_and_for_its_own_kinds() {
    let stack = Stack::new().await;
    let _berth = stack.start().await;
    let now = Clock::machine();
    let key = stack.key("crm", &["no_op"]).await;
    let other = stack.key("till", &["sync_cards"]).await;
    let ended = stack.key_until("crm", &["no_op"], Some(now - SignedDuration::from_secs(1))).await;
    let revoked = stack.key("crm", &["no_op"]).await;
    let renewed = stack.key("crm", &["no_op"]).await;
    let store = Store::on(stack.pool.clone());
    assert!(store.revoke_api_key(revoked.id).await.unwrap() && !store.revoke_api_key(revoked.id).await.unwrap());
    let body = json!({ "kind": "no_op", "payload": {}, "key": "k" });
    let auth = stack.config().auth;
    let person = |staff| {
        let hour = std::time::Duration::from_secs(3600);
        berth::http::auth::development_token(&auth, Uuid::new_v4(), Some("a@b.example"), staff, now, hour).unwrap()
    };

    let (status, job) = stack.ask_as(&key.token, "/v1/jobs", Some(&body)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let shown = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    for (token, status) in [
        (ended.token.as_str(), 401),
        (&revoked.token, 401),
        ("berth_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 401),
        ("berth_", 401),
        (&person(false), 403),
        (&person(true), 403),
    ] {
        assert_eq!(stack.ask_as(token, "/v1/jobs", Some(&body)).await.0.as_u16(), status, "{token}");
        assert_eq!(stack.ask_as(token, &shown, None).await.0.as_u16(), status, "{token}");
    }
    assert_eq!(stack.ask_as(&other.token, &shown, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(stack.ask_as(&other.token, "/v1/jobs?key=k", None).await.0, StatusCode::NOT_FOUND);
    let by_the_new_key = stack.ask_as(&renewed.token, "/v1/jobs", Some(&body)).await;
    assert_eq!((by_the_new_key.0, &by_the_new_key.1["id"]), (StatusCode::OK, &job["id"]));
    let used = store.api_keys().await.unwrap();
    let used: Vec<bool> =
        [key.id, ended.id].map(|id| used.iter().any(|row| row.id == id && row.last_used_at.is_some())).into();
    assert_eq!(used, [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_run_the_sweeps_that_their_keys_are_for_and_confirm_nothing() {
    let stack = Stack::new().await;
    let _berth = stack.start().await;
    let key = stack.key("cron", &["sweep_unpaid_orders"]).await;
    let body = json!({ "reason": "nightly" });

    let run = stack.ask_as(&key.token, "/v1/sweeps/unpaid_orders", Some(&body)).await;
    let other = stack.ask_as(&key.token, "/v1/sweeps/accounts", Some(&body)).await;
    let confirm = json!({ "reason": "nightly", "confirm": "plan_01k9z3m6sne5y8r7q2w4x6t8va" });
    let confirm = stack.ask_as(&key.token, "/v1/sweeps/unpaid_orders", Some(&confirm)).await;

    assert_eq!(run.0, StatusCode::ACCEPTED, "{}", run.1);
    assert_eq!((other.0, confirm.0), (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN));
    assert_eq!(stack.text("select actor from berth.audit where action = 'sweep.run'").await, "app:cron");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_with_a_key_waits_and_other_keys_do_not() {
    let stack = Stack::with(StackOptions::default().setting("http.requests_per_key", "5")).await;
    let _berth = stack.start().await;
    let (eager, other) = (stack.key("crm", &["no_op"]).await, stack.key("crm", &["no_op"]).await);
    let body = json!({ "kind": "no_op", "payload": {} });

    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(stack.ask_as(&eager.token, "/v1/jobs", Some(&body)).await.0.as_u16());
    }
    let others = stack.ask_as(&other.token, "/v1/jobs", Some(&body)).await;

    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 3, "{statuses:?}");
    assert_eq!(others.0, StatusCode::ACCEPTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schemas_are_those_of_all_kinds_that_may_be_asked_for() {
    let stack = Stack::new().await;
    let _berth = stack.start().await;

    let answer: Value =
        stack.client.get(format!("{}/v1/jobs/schemas", stack.base())).send().await.unwrap().json().await.unwrap();

    let schemas = answer["schemas"].as_object().unwrap();
    assert_eq!(schemas["provision_account"]["required"], json!(["account_id"]));
    assert!(!schemas.contains_key("complete_checkout") && schemas.contains_key("sweep_accounts"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_asks_for_many_and_tells_refusals_from_absence() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let key = stack.key("crm", &["no_op"]).await;
    let client = Client::new(stack.client.clone(), &stack.base(), &key.token);
    let job = |note: &str| NoOp { note: Some(note.to_owned()) };

    let many = client.enqueue_all(&[(job("a"), Options::key("1")), (job("b"), Options::default())]).await.unwrap();
    let later = client.enqueue(&job("c"), &Options::key("2").at("2030-01-01T00:00:00Z")).await;
    let reused = client.enqueue(&job("d"), &Options::key("1")).await;
    stack.until_count("select count(*) from berth.jobs where state = 'done'", 2).await;
    let done = client.job_under_key("1").await.unwrap();
    berth.stop().await;
    let away = client.job(many[0].id).await;

    assert!(many.iter().all(|job| job.created));
    assert!(
        matches!(later, Err(ClientError::Refused { status: 422, ref problem, .. }) if problem == "job-time-refused")
    );
    assert!(matches!(reused, Err(ClientError::Refused { ref problem, .. }) if problem == "idempotency-key-reused"));
    assert_eq!((done.id, done.state.as_str()), (many[0].id, "done"));
    assert!(matches!(away, Err(ClientError::Away(_))));
}
