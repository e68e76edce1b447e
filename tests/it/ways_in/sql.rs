//! `select berth.enqueue(…)`: in the caller's transaction, by role and kind, with the refusals and the keys of the program's own.

use berth::{
    effects::NewJob,
    ways_in::{Asked, Caller, Refused, external},
};
use berth_jobs::{
    client::{Options, enqueue_in},
    diagnosis::NoOp,
    ids::JobId,
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::*;

const JOBS: &str = "select count(*) from berth.jobs";

impl Stack {
    /// A role of the database that logs in, let to ask for these kinds; answers its name and its URL.
    pub(super) async fn role(&self, kinds: &[&str]) -> (String, String) {
        let name = format!("app_{}", Uuid::new_v4().simple());
        let made = format!("create role {name} login password 'secret'");
        // The name is made of hexadecimal digits.
        sqlx::query(sqlx::AssertSqlSafe(made)).execute(&self.pool).await.unwrap();
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        sqlx::query("select berth.allow_enqueue($1, $2)").bind(&name).bind(&kinds).execute(&self.pool).await.unwrap();
        let mut url = url::Url::parse(self.postgres.url()).unwrap();
        url.set_username(&name).unwrap();
        url.set_password(Some("secret")).unwrap();
        (name, url.into())
    }
}

async fn enqueue(
    db: &mut PgConnection,
    kind: &str,
    payload: &Value,
    key: Option<&str>,
) -> Result<String, (String, String)> {
    let asked = sqlx::query_scalar("select berth.enqueue($1, $2, $3)").bind(kind).bind(payload).bind(key);
    asked.fetch_one(db).await.map_err(|error| {
        let error = error.as_database_error().unwrap();
        (error.code().unwrap_or_default().into_owned(), error.message().to_owned())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_in_a_transaction_happens_with_it_or_not_at_all() {
    let stack = Stack::new().await;
    let _berth = stack.start().await;
    let (_, url) = stack.role(&["no_op"]).await;
    let mut db = PgConnection::connect(&url).await.unwrap();
    let job = NoOp { note: Some("sql".to_owned()) };

    let mut given_up = db.begin().await.unwrap();
    enqueue_in(&mut given_up, &job, &Options::key("a")).await.unwrap();
    given_up.rollback().await.unwrap();
    let after_the_rollback = stack.count(JOBS).await;
    let mut kept = db.begin().await.unwrap();
    let id: JobId = enqueue_in(&mut kept, &job, &Options::key("a")).await.unwrap();
    kept.commit().await.unwrap();
    stack.until_count("select count(*) from berth.jobs where state = 'done'", 1).await;
    let again = enqueue_in(&mut db, &job, &Options::key("a")).await.unwrap();
    let state: Option<String> =
        sqlx::query_scalar("select berth.job_state($1)").bind(id.to_string()).fetch_one(&mut db).await.unwrap();

    assert_eq!((after_the_rollback, again, state.as_deref()), (0, id, Some("done")));
    assert_eq!(stack.count(JOBS).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_asks_for_what_it_was_let_and_sees_nothing_else() {
    let stack = Stack::new().await;
    let (name, url) = stack.role(&["no_op"]).await;
    let mut db = PgConnection::connect(&url).await.unwrap();
    let account = json!({ "account_id": "acc_01k9z3m6sne5y8r7q2w4x6t8va" });

    let own = enqueue(&mut db, "no_op", &json!({}), None).await;
    let other = enqueue(&mut db, "provision_account", &account, None).await.unwrap_err();
    let unknown = enqueue(&mut db, "make_coffee", &json!({}), None).await.unwrap_err();
    let inner = enqueue(&mut db, "complete_checkout", &json!({}), None).await.unwrap_err();
    for sql in [
        "select count(*) from berth.jobs",
        "select count(*) from berth.api_keys",
        "select count(*) from berth.hosting_accounts",
        "insert into berth.enqueue_rights (role_name, kind) values (session_user, 'provision_account')",
        "select berth.allow_enqueue(session_user::text, array['provision_account'])",
        "select berth.filled_key('x', '{}')",
    ] {
        let refused = sqlx::query(sql).execute(&mut db).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"), "{sql}");
    }
    sqlx::query("select berth.forbid_enqueue($1)").bind(&name).execute(&stack.pool).await.unwrap();
    let forbidden = enqueue(&mut db, "no_op", &json!({}), None).await.unwrap_err();

    assert!(own.is_ok_and(|id| id.starts_with("job_")));
    assert_eq!(other, ("42501".to_owned(), format!("the role {name} may not ask for provision_account")));
    assert_eq!(unknown, ("22023".to_owned(), "no job that may be asked for is called `make_coffee`".to_owned()));
    assert_eq!((inner.0.as_str(), forbidden.0.as_str()), ("22023", "42501"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_a_roles_own_and_stand_for_one_job() {
    let stack = Stack::new().await;
    let ((_, one), (_, other)) = (stack.role(&["no_op"]).await, stack.role(&["no_op"]).await);
    let mut one = PgConnection::connect(&one).await.unwrap();
    let mut other = PgConnection::connect(&other).await.unwrap();

    let first = enqueue(&mut one, "no_op", &json!({ "note": "a" }), Some("k")).await.unwrap();
    let again = enqueue(&mut one, "no_op", &json!({ "note": "a" }), Some("k")).await.unwrap();
    let changed = enqueue(&mut one, "no_op", &json!({ "note": "b" }), Some("k")).await.unwrap_err();
    let of_another = enqueue(&mut other, "no_op", &json!({ "note": "b" }), Some("k")).await.unwrap();
    let long = enqueue(&mut one, "no_op", &json!({}), Some(&"k".repeat(256))).await.unwrap_err();

    assert_eq!(first, again);
    assert_eq!(changed, ("22023".to_owned(), format!("the key `k` stands for another job: {first}")));
    assert_ne!(first, of_another);
    assert_eq!(long.0, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_already_is_answered_and_begins_no_sooner_than_the_asking_commit() {
    let stack = Stack::new().await;
    let (_, url) = stack.role(&["sweep_accounts"]).await;
    let mut db = PgConnection::connect(&url).await.unwrap();
    let waiting = enqueue(&mut db, "sweep_accounts", &json!({}), None).await.unwrap();

    let mut asking = db.begin().await.unwrap();
    let joined = enqueue(&mut asking, "sweep_accounts", &json!({}), None).await.unwrap();
    let taken = sqlx::query_scalar::<_, i64>(
        "select count(*) from (select from berth.jobs where state = 'queued' for update skip locked) j",
    );
    let taken_meanwhile = taken.fetch_one(&stack.pool).await.unwrap();
    asking.commit().await.unwrap();

    assert_eq!((joined, taken_meanwhile), (waiting, 0));
}

/// What the program and the function make of the same payload.
async fn compare(stack: &Stack, db: &mut PgConnection, caller: &Caller, kind: &str, payload: &Value) {
    sqlx::query("delete from berth.jobs").execute(&stack.pool).await.unwrap();
    let asked = Asked { kind: kind.to_owned(), payload: payload.clone(), key: None, run_at: None };
    let by_rust = caller.admit(&asked, jiff::Timestamp::UNIX_EPOCH);
    let by_sql = enqueue(db, kind, payload, None).await;

    match (by_rust, by_sql) {
        (Ok(NewJob { job, .. }), Ok(_)) => {
            type Row = (String, i16, Option<String>, Option<String>);
            let row: Row = sqlx::query_as("select queue, class, coalesce_key, serial from berth.jobs")
                .fetch_one(&stack.pool)
                .await
                .unwrap();
            let like = job.kind();
            let expected = (like.queue.to_string(), like.class.number(), job.coalesce_key(), job.serial());
            assert_eq!(row, expected, "{kind} {payload}");
        }
        (Err(Refused::Payload(_)), Err((code, _))) => assert_eq!(code, "22023"),
        (by_rust, by_sql) => panic!("{kind} {payload}: {by_rust:?} by the program, {by_sql:?} by SQL"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_takes_and_refuses_what_the_program_does_and_gives_the_same_keys() {
    let stack = Stack::new().await;
    let kinds: Vec<&str> = external().map(|kind| kind.name).collect();
    let (_, url) = stack.role(&kinds).await;
    let mut db = PgConnection::connect(&url).await.unwrap();
    let caller = Caller { application: "x".to_owned(), kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect() };
    let id = |prefix: &str| format!("{prefix}01k9z3m6sne5y8r7q2w4x6t8va");
    let mut values = vec![json!(null), json!(7), json!(true), json!([]), json!({}), json!(""), json!("a text")];
    values.extend(["acc_", "ord_", "pay_", "chg_"].map(|prefix| json!(id(prefix))));
    values.extend(["acc_01k9", "acc_81k9z3m6sne5y8r7q2w4x6t8va", "acc_01K9Z3M6SNE5Y8R7Q2W4X6T8VA"].map(Value::from));
    values.extend(["2030-01-01T00:00:00Z", "2030-02-30T00:00:00Z", "2030-01-01", "tomorrow"].map(Value::from));
    values.extend([json!("0190b6a2-7c5e-7d3a-9f21-3b6f0c1d2e4f"), json!("du_1")]);

    for kind in external() {
        let schema = (kind.schema)();
        let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        for payload in [json!(null), json!([]), json!("x"), json!({}), json!({ "unknown": 1 })] {
            compare(&stack, &mut db, &caller, kind.name, &payload).await;
        }
        for (name, value) in properties.keys().flat_map(|name| values.iter().map(move |value| (name, value))) {
            compare(&stack, &mut db, &caller, kind.name, &json!({ name: value })).await;
        }
    }
}
