//! What happens to an account while its panel is at work on it is kept, and acted upon next.

use berth::{
    domain::account::{LiftCause, SuspensionReason},
    gateways::panels::RemoteState,
};
use berth_jobs::{Queue, ids::AccountId};
use serde_json::json;
use tokio::sync::oneshot;

use super::on_watched_panel;
use crate::support::{
    Stack, WatchedPanel,
    hosting::{Live, happens, invoiced, is_paid},
};

/// The panel is at work: its change has happened, and its answer waits.
async fn held(panel: &WatchedPanel, begin: impl AsyncFnOnce()) -> oneshot::Sender<()> {
    let (happened, release) = panel.hold_change();
    begin().await;
    happened.await.unwrap();
    release
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pays_while_the_site_is_being_suspended_works_again_at_once_and_hears_of_nothing() {
    let (stack, panel, berth, live) = on_watched_panel().await;
    let unpaid = async || happens(&berth.app, &live, |state| state.suspend(SuspensionReason::NonPayment)).await;
    let release = held(&panel, unpaid).await;

    is_paid(&berth.app, &live).await;
    assert_eq!(stack.phase_of(&live).await, "suspending", "only the panel's answer leads on");
    release.send(()).unwrap();
    stack.until_phase(&live, "active").await;

    assert_eq!(
        stack.way_of(&live).await,
        ["suspending", "suspending", "suspended", "unsuspending", "active"],
        "the second one is the payment"
    );
    assert_eq!(panel.state_of(live.id, &live.username).await, Some(RemoteState::Active));
    assert_eq!(stack.mail_kinds_of(&live).await, Vec::<String>::new());
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cancels_while_the_site_is_being_suspended_is_removed_next() {
    let (stack, panel, berth, live) = on_watched_panel().await;
    let order = invoiced(&berth.app, &live, "0.00").await;
    let abused = async || happens(&berth.app, &live, |state| state.suspend(SuspensionReason::Abuse)).await;
    let release = held(&panel, abused).await;

    let cancel = json!({ "at": "now", "confirm": true });
    let shown = stack.as_owner_of(&live, "POST", "/cancel", cancel.clone()).await.ok();
    assert_eq!(shown["renewal_date"], json!(null), "{shown}");
    stack.as_owner_of(&live, "POST", "/cancel", cancel).await.ok();
    let phase: String = sqlx::query_scalar("select phase from berth.renewals where order_id = $1")
        .bind(order.0)
        .fetch_one(&stack.pool)
        .await
        .unwrap();
    assert_eq!(phase, "void", "it is called off with the wish, not with its end");
    release.send(()).unwrap();
    stack.until_phase(&live, "terminated").await;

    assert_eq!(panel.state_of(live.id, &live.username).await, None);
    let kinds = stack.mail_kinds_of(&live).await;
    assert_eq!(kinds, ["cancellation_confirmed", "account_suspended", "account_terminated"]);
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_comes_while_the_site_is_let_work_suspends_it_next() {
    let (stack, panel, berth, live) = on_watched_panel().await;
    happens(&berth.app, &live, |state| state.suspend(SuspensionReason::NonPayment)).await;
    stack.until_phase(&live, "suspended").await;
    let release = held(&panel, async || is_paid(&berth.app, &live).await).await;

    sqlx::query(
        "insert into berth.disputes
             (id, payment_id, order_id, customer_id, status, currency, amount, opened_at, followed)
         select 'du_1', p.id, p.order_id, o.customer_id, 'needs_response', p.currency, p.amount, berth.now(), 'open'
         from berth.payments p join berth.orders o on o.id = p.order_id",
    )
    .execute(&stack.pool)
    .await
    .unwrap();
    happens(&berth.app, &live, |state| state.suspend(SuspensionReason::Dispute)).await;
    release.send(()).unwrap();
    stack.until_phase(&live, "suspended").await;

    let state = panel.state_of(live.id, &live.username).await;
    assert_eq!(state, Some(RemoteState::Suspended { reason: Some("dispute".to_owned()), ours: true }));
    assert_eq!(stack.mail_kinds_of(&live).await, ["account_suspended", "account_suspended"]);
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wished_of_an_account_that_is_being_made_is_done_once_it_is() {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &Queue::ALL).await;
    let (happened, release) = panel.hold();
    let order = stack.agree(&berth.app, &[("shared-monthly", 1)]).await;
    stack.tell_paid(&berth.app, order).await;
    let id: AccountId = happened.await.unwrap();
    let live = Live { id, user: uuid::Uuid::nil(), username: String::new() };

    let body = json!({ "reason": "fraud", "note": "a stolen card" });
    stack.as_staff_of(&live, "POST", "/suspend", body).await.ok();
    release.send(()).unwrap();
    stack.until_phase(&live, "suspended").await;

    assert_eq!(stack.count("select count(*) from berth.orders where phase = 'completed'").await, 1);
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_that_comes_and_goes_while_the_panel_is_at_work_leaves_no_trace_on_it() {
    let (stack, panel, berth, live) = on_watched_panel().await;
    happens(&berth.app, &live, |state| state.suspend(SuspensionReason::NonPayment)).await;
    stack.until_phase(&live, "suspended").await;
    let release = held(&panel, async || is_paid(&berth.app, &live).await).await;

    happens(&berth.app, &live, |state| state.suspend(SuspensionReason::Dispute)).await;
    happens(&berth.app, &live, |state| state.lift(SuspensionReason::Dispute, LiftCause::DisputeWon)).await;
    release.send(()).unwrap();
    stack.until_phase(&live, "active").await;

    assert_eq!(panel.state_of(live.id, &live.username).await, Some(RemoteState::Active));
    assert_eq!(stack.mail_kinds_of(&live).await, ["account_suspended", "account_unsuspended"]);
    stack.audit_rows().await;
    berth.stop().await;
}
