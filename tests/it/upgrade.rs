//! Two versions on one queue: what the older one does not know it keeps for the newer one.

use berth_jobs::Queue;
use serde_json::json;

use super::support::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_newer_version_waits_for_it_uses_no_attempt_and_holds_nobody_up() {
    let stack = Stack::new().await;
    let _older = stack.start().await;
    let unknown = stack.insert_job("greet_the_moon", Queue::Mail, &json!({ "phase": "full" }), None).await;
    let more = stack.insert_job("no_op", Queue::Mail, &json!({ "note": "x", "phase": "full" }), None).await;

    stack.until_count("select count(*) from berth.jobs where state = 'queued' and last_error is not null", 2).await;
    let known = stack.insert_job("no_op", Queue::Mail, &json!({}), None).await;
    stack.until_count("select count(*) from berth.jobs where state = 'done'", 1).await;
    let kept: Vec<(String, i32, String, bool)> = sqlx::query_as(
        "select state, attempt, last_error, snooze_deadline > berth.now() + interval '6 days'
         from berth.jobs where id = any($1) order by kind",
    )
    .bind([unknown, more])
    .fetch_all(&stack.pool)
    .await
    .unwrap();
    // The newer version comes: here it is this one that knows the jobs by now.
    sqlx::query("update berth.jobs set kind = 'no_op', payload = '{}', run_at = berth.now() where id = any($1)")
        .bind([unknown, more])
        .execute(&stack.pool)
        .await
        .unwrap();

    stack.until_count("select count(*) from berth.jobs where state = 'done'", 3).await;
    for ((state, attempt, why, waits_for_days), says) in
        kept.iter().zip(["no job is called `greet_the_moon`", "the payload does not fit: unknown field `phase`"])
    {
        assert_eq!((state.as_str(), *attempt, *waits_for_days), ("queued", 0, true));
        assert!(why.starts_with(says) && why.ends_with("; a newer version may know it"), "{why}");
    }
    assert!(![unknown, more].contains(&known));
}
