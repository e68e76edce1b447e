//! Two versions on one queue: what the older one does not know it keeps for the newer one.

use berth_jobs::Queue;
use serde_json::json;

use super::support::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_newer_version_waits_for_it_uses_no_attempt_and_holds_nobody_up() {
    let stack = Stack::new().await;
    let _older = stack.start().await;
    let unknown = stack.insert_job("greet_the_moon", Queue::Mail, &json!({ "phase": "full" }), None).await;

    stack.until_count("select count(*) from berth.jobs where state = 'queued' and last_error is not null", 1).await;
    let known = stack.insert_job("no_op", Queue::Mail, &json!({}), None).await;
    stack.until_count("select count(*) from berth.jobs where state = 'done'", 1).await;
    let kept: (String, i32, String, bool) = sqlx::query_as(
        "select state, attempt, last_error, snooze_deadline > berth.now() + interval '6 days'
         from berth.jobs where id = $1",
    )
    .bind(unknown)
    .fetch_one(&stack.pool)
    .await
    .unwrap();
    // The newer version comes: here it is this one that knows the job by now.
    sqlx::query("update berth.jobs set kind = 'no_op', payload = '{}', run_at = berth.now() where id = $1")
        .bind(unknown)
        .execute(&stack.pool)
        .await
        .unwrap();

    stack.until_count("select count(*) from berth.jobs where state = 'done'", 2).await;
    let why = "no job is called `greet_the_moon`; a newer version may know it";
    assert_eq!(kept, ("queued".to_owned(), 0, why.to_owned(), true));
    assert_ne!(known, unknown);
}
