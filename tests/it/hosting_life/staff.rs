//! What staff alone may do to an account.

use berth::domain::{
    account::{LiftCause, SuspensionReason},
    timetable::{Step, Timetable, TimetableChanges, due},
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::on_watched_panel;
use crate::support::hosting::{Live, account, happens};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_staffs_is_refused_to_customers_and_needs_its_words() {
    let (stack, _panel, berth, live) = on_watched_panel().await;
    let before = account(&berth.app, &live).await.state;
    let requests = [
        ("POST", "/suspend", json!({ "reason": "staff", "note": "x" })),
        ("POST", "/unsuspend", json!({ "note": "x" })),
        ("POST", "/terminate", json!({ "reason": "x", "confirm": true })),
        ("PATCH", "", json!({ "exempt": true })),
        ("PATCH", "", json!({ "kept": false })),
        ("PATCH", "", json!({ "timetable": {} })),
    ];
    for (method, what, body) in requests {
        assert_eq!(stack.as_owner_of(&live, method, what, body.clone()).await.refusal(), (403, "forbidden"), "{body}");
        let nobody = Live { id: berth_jobs::ids::AccountId::new(), ..live.clone() };
        assert_eq!(stack.as_staff_of(&nobody, method, what, body).await.refusal(), (404, "not-found"));
    }
    let bad = [
        ("/suspend", json!({ "reason": "abuse" })),
        ("/suspend", json!({ "reason": "abuse", "note": "  " })),
        ("/suspend", json!({ "reason": "non_payment", "note": "x" })),
        ("/unsuspend", json!({})),
        ("/terminate", json!({ "confirm": true })),
    ];
    for (what, body) in bad {
        assert_eq!(
            stack.as_staff_of(&live, "POST", what, body.clone()).await.refusal(),
            (400, "invalid-body"),
            "{body}"
        );
    }
    let unconfirmed = stack.as_staff_of(&live, "POST", "/terminate", json!({ "reason": "x" })).await;
    assert_eq!(unconfirmed.refusal(), (422, "confirmation-required"));

    assert_eq!(account(&berth.app, &live).await.state, before);
    assert_eq!(stack.count("select count(*) from berth.audit").await, 0);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lifts_non_payment_says_for_how_long() {
    let (stack, _panel, berth, live) = on_watched_panel().await;
    happens(&berth.app, &live, |state| state.suspend(SuspensionReason::NonPayment)).await;
    stack.until_phase(&live, "suspended").await;
    let unsuspend = async |body: Value| stack.as_staff_of(&live, "POST", "/unsuspend", body).await;
    assert_eq!(unsuspend(json!({ "note": "x" })).await.refusal(), (422, "extension-required"));
    assert_eq!(unsuspend(json!({ "note": "x", "extend_days": 0 })).await.refusal(), (400, "invalid-body"));
    assert_eq!(unsuspend(json!({ "note": "x", "extend_days": 366 })).await.refusal(), (400, "invalid-body"));

    let shown = unsuspend(json!({ "note": "pays on Friday", "extend_days": 7 })).await.ok();
    stack.until_phase(&live, "active").await;

    let spared_until = account(&berth.app, &live).await.spared_until.unwrap();
    assert_eq!(shown["spared_until"], json!(spared_until));
    let in_a_week = berth.app.clock.now() + SignedDuration::from_hours(7 * 24);
    assert!((in_a_week - spared_until).get_minutes() < 5, "{spared_until}");
    let entry = berth.app.store.agenda_entry(live.id).await.unwrap().unwrap();
    assert_eq!(entry.facts.spared_until, Some(spared_until), "its timetable knows");
    assert_eq!(stack.way_of(&live).await, ["suspending", "suspended", "unsuspending", "unsuspending", "active"]);
    stack.audit_rows().await;

    happens(&berth.app, &live, |state| state.suspend(SuspensionReason::Staff)).await;
    stack.until_phase(&live, "suspended").await;
    let exempt = unsuspend(json!({ "note": "x", "exempt": true })).await;
    assert_eq!(exempt.refusal(), (400, "invalid-body"), "it is not suspended for non-payment");
    happens(&berth.app, &live, |state| state.lift(SuspensionReason::Staff, LiftCause::Staff)).await;
    stack.until_phase(&live, "active").await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_the_times_that_staff_gives_it_if_they_can_be() {
    let (stack, _panel, berth, live) = on_watched_panel().await;
    let set = async |body: Value| stack.as_staff_of(&live, "PATCH", "", body).await;
    let impossible = set(json!({ "timetable": { "suspend_days": 40 }, "reason": "x" })).await;
    assert_eq!(impossible.refusal(), (422, "timetable-invalid"));
    assert!(impossible.body["detail"].as_str().unwrap().contains("terminate_days"), "{impossible:?}");
    let misspelt = set(json!({ "timetable": { "suspend_after": 4 }, "reason": "x" })).await;
    assert_eq!(misspelt.refusal(), (400, "invalid-body"));
    assert_eq!(set(json!({ "timetable": {} })).await.refusal(), (422, "reason-required"));

    let given = json!({ "suspend_days": 9, "terminate_days": 45 });
    let shown = set(json!({ "timetable": given, "kept": true, "exempt": true, "reason": "a school" })).await.ok();
    assert_eq!((&shown["timetable"], &shown["kept"], &shown["exempt"]), (&given, &json!(true), &json!(true)));
    let theirs = stack.as_owner_of(&live, "GET", "", Value::Null).await.ok();
    assert!(["timetable", "kept", "exempt"].iter().all(|field| theirs.get(field).is_none()), "{theirs}");
    let refused = stack.as_staff_of(&live, "POST", "/terminate", json!({ "reason": "x", "confirm": true })).await;
    assert_eq!(refused.refusal(), (409, "account-kept"));
    let entry = berth.app.store.agenda_entry(live.id).await.unwrap().unwrap();
    let own = Timetable::merged(&TimetableChanges::default(), &TimetableChanges::default(), &entry.timetable).unwrap();
    assert_eq!((own.suspend_days, entry.facts.exempt, entry.facts.kept), (9, true, true));
    let later = entry.facts.due_at + SignedDuration::from_hours(24 * 60);
    assert!(due(later, &entry.facts, &own).iter().all(|due| due.step != Step::Suspend));

    let back =
        set(json!({ "timetable": {}, "kept": false, "exempt": false, "reason": "no school any more" })).await.ok();
    assert_eq!((&back["timetable"], &back["kept"]), (&json!({}), &json!(false)));
    let audited = berth.app.store.audit_entries(Some(&live.id.to_string()), None, 10).await.unwrap();
    assert_eq!(audited.len(), 2);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_account_that_ends_can_be_changed() {
    let (stack, _panel, berth, live) = on_watched_panel().await;
    stack.as_staff_of(&live, "POST", "/terminate", json!({ "reason": "x", "confirm": true })).await.ok();
    stack.until_phase(&live, "terminated").await;

    let again = stack.as_staff_of(&live, "POST", "/terminate", json!({ "reason": "x", "confirm": true })).await;
    assert_eq!(again.status, 200, "it is so already");
    let requests = [
        ("POST", "/suspend", json!({ "reason": "staff", "note": "x" })),
        ("POST", "/unsuspend", json!({ "note": "x" })),
        ("PATCH", "", json!({ "auto_renew": false, "reason": "x" })),
    ];
    for (method, what, body) in requests {
        assert_eq!(stack.as_staff_of(&live, method, what, body).await.refusal(), (409, "account-ended"), "{what}");
    }
    let cancelled = json!({ "at": "now", "confirm": true });
    assert_eq!(stack.as_owner_of(&live, "POST", "/cancel", cancelled).await.ok()["status"], "cancelled");
    assert_eq!(stack.way_of(&live).await, ["terminating", "terminated"]);
    assert_ne!(live.user, Uuid::nil());
    berth.stop().await;
}
