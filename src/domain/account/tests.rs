use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;

use super::*;

const ENDS: &str = "2026-03-01T10:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn account(phase: AccountPhase, reasons: &[SuspensionReason]) -> AccountState {
    AccountState {
        id: AccountId::new(),
        phase,
        version: 2,
        cycle: BillingCycle::Monthly,
        trial_days: 0,
        standing: Standing { reasons: reasons.iter().copied().collect(), ..Standing::default() },
    }
}

fn plus() -> NewPackage {
    NewPackage {
        service_id: "shared-plus".to_owned(),
        service_name: "Shared Plus".to_owned(),
        plan_name: "plus".to_owned(),
        package: "plus".to_owned(),
        configuration: serde_json::json!({}),
        addons: serde_json::json!([]),
        renewal_price: None,
    }
}

fn follow(state: &AccountState, step: Option<AccountMove>) -> AccountState {
    state.after(&step.expect("a move"))
}

#[test]
fn every_event_in_every_phase() {
    let mut table = String::new();
    for phase in AccountPhase::ALL {
        for event in AccountEvent::ALL {
            let to = phase.next(event).map_or("-", AccountPhase::as_str);
            table.push_str(&format!("{:<13} {:<20} {to}\n", phase.as_str(), format!("{event:?}")));
        }
    }

    insta::assert_snapshot!(table);
}

#[test]
fn periods_count_from_the_activation_or_from_the_end_of_the_trial() {
    let now = at("2026-01-31T10:00:00Z");
    let period = |trial_days| {
        let state = AccountState { trial_days, ..account(AccountPhase::Provisioning, &[]) };
        let step = state.provisioned(now).unwrap().unwrap();
        let (begun, anchor) = step.change().activation().unwrap();
        [begun, anchor, step.change().expires_at().unwrap()].map(|at| at.to_string())
    };

    assert_eq!(period(0), ["2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z", "2026-02-28T10:00:00Z"]);
    assert_eq!(period(14), ["2026-01-31T10:00:00Z", "2026-02-14T10:00:00Z", "2026-02-14T10:00:00Z"]);
}

#[test]
fn names_read_back() {
    for phase in AccountPhase::ALL {
        assert_eq!(phase.as_str().parse(), Ok(phase));
    }
    for reason in SuspensionReason::ALL {
        assert_eq!(reason.as_str().parse(), Ok(reason));
    }
    assert!("live".parse::<AccountPhase>().is_err());
    assert!("boredom".parse::<SuspensionReason>().is_err());
    let endings: HashSet<&str> = Ending::ALL.into_iter().map(Ending::as_str).collect();
    assert_eq!(endings.len(), Ending::ALL.len());
}

#[test]
fn money_lifts_non_payment_and_nothing_else() {
    let mut table = String::new();
    for reason in SuspensionReason::ALL {
        for cause in LiftCause::ALL {
            let suspended = account(AccountPhase::Suspended, &[reason]);
            let to = suspended.lift(reason, cause).map_or("-", |step| step.to().as_str());
            table.push_str(&format!("{:<12} {:<11} {to}\n", reason.as_str(), format!("{cause:?}")));
        }
    }

    insta::assert_snapshot!(table, @r"
    non_payment  Payment     unsuspending
    non_payment  DisputeWon  -
    non_payment  Staff       unsuspending
    staff        Payment     -
    staff        DisputeWon  -
    staff        Staff       unsuspending
    dispute      Payment     -
    dispute      DisputeWon  unsuspending
    dispute      Staff       unsuspending
    fraud        Payment     -
    fraud        DisputeWon  -
    fraud        Staff       unsuspending
    abuse        Payment     -
    abuse        DisputeWon  -
    abuse        Staff       unsuspending
    ");
}

#[test]
fn a_renewal_extends_a_suspended_account_and_lets_it_work_only_if_nothing_else_holds_it() {
    use SuspensionReason as R;
    for (reasons, to) in [
        (vec![R::NonPayment], AccountPhase::Unsuspending),
        (vec![R::Dispute, R::NonPayment], AccountPhase::Suspended),
        (vec![R::Abuse], AccountPhase::Suspended),
    ] {
        let step = account(AccountPhase::Suspended, &reasons).renewed(at(ENDS)).unwrap();

        assert_eq!((step.to(), step.change().expires_at()), (to, Some(at(ENDS))), "{reasons:?}");
        assert!(!step.standing().reasons.contains(&R::NonPayment));
    }
}

#[test]
fn what_is_paid_while_it_is_being_suspended_lets_it_work_again_at_once() {
    let state = account(AccountPhase::Grace, &[]);
    let state = follow(&state, state.suspend(SuspensionReason::NonPayment));
    assert_eq!(state.phase, AccountPhase::Suspending);

    let state = follow(&state, state.renewed(at(ENDS)));
    assert_eq!((state.phase, state.act()), (AccountPhase::Suspending, None), "only the panel's answer leads on");
    let state = follow(&state, state.suspended(at(ENDS)));
    let state = follow(&state, state.act());
    assert_eq!(state.phase, AccountPhase::Unsuspending);
    let state = follow(&state, state.unsuspended());
    assert_eq!((state.phase, state.act()), (AccountPhase::Active, None));
}

#[test]
fn a_dispute_that_opens_while_it_is_made_to_work_again_suspends_it_again() {
    let state = account(AccountPhase::Unsuspending, &[]);

    let state = follow(&state, state.suspend(SuspensionReason::Dispute));
    let state = follow(&state, state.unsuspended());
    let state = follow(&state, state.act());

    assert_eq!((state.phase, state.standing.reason()), (AccountPhase::Suspending, Some(SuspensionReason::Dispute)));
}

#[test]
fn non_payment_suspends_only_what_works() {
    for phase in AccountPhase::ALL {
        let works = matches!(phase, AccountPhase::Active | AccountPhase::Grace);
        let unpaid = account(phase, &[]).suspend(SuspensionReason::NonPayment);
        assert_eq!(unpaid.map(|step| step.to()), works.then_some(AccountPhase::Suspending), "{phase}");
        // Every other reason is acted upon or kept until the end.
        assert_eq!(account(phase, &[]).suspend(SuspensionReason::Abuse).is_some(), !phase.is_over(), "{phase}");
    }
}

#[test]
fn only_what_is_suspended_for_non_payment_alone_can_lapse() {
    for phase in AccountPhase::ALL {
        let unpaid = account(phase, &[SuspensionReason::NonPayment]).end(Ending::Lapsed);
        let suspended = phase == AccountPhase::Suspended;
        assert_eq!(unpaid.map(|step| step.to()), suspended.then_some(AccountPhase::Terminating), "{phase}");
    }
    let disputed = [SuspensionReason::NonPayment, SuspensionReason::Dispute];
    assert_eq!(account(AccountPhase::Suspended, &disputed).end(Ending::Lapsed), None);
    assert_eq!(account(AccountPhase::Suspended, &[]).end(Ending::Lapsed), None);
}

#[test]
fn whoever_cancels_is_waited_for_while_a_panel_is_at_work() {
    let mut table = String::new();
    for phase in AccountPhase::ALL {
        let step = account(phase, &[]).end(Ending::Cancelled);
        let to = step.map_or("-".to_owned(), |step| format!("{:<13} {}", step.to().as_str(), step.reason()));
        table.push_str(&format!("{:<13} {to}\n", phase.as_str()));
    }

    insta::assert_snapshot!(table, @r"
    pending       terminating   to be removed
    provisioning  provisioning  to end when the panel has answered
    active        terminating   to be removed
    grace         terminating   to be removed
    suspending    suspending    to end when the panel has answered
    suspended     terminating   to be removed
    unsuspending  unsuspending  to end when the panel has answered
    changing      changing      to end when the panel has answered
    failed        terminating   to be removed
    terminating   -
    terminated    -
    ");
}

#[test]
fn an_account_that_ends_with_its_period_can_be_kept_until_then() {
    let end = at(ENDS);
    let before = at("2026-02-28T10:00:00Z");
    let state = account(AccountPhase::Active, &[]);
    let cancelled = follow(&state, state.cancel_at(end, before));

    assert_eq!(cancelled.phase, AccountPhase::Active);
    assert_eq!(cancelled.cancel_at(end, before), None, "once");
    assert_eq!(cancelled.period_ended(before), None);
    assert_eq!(cancelled.uncancel(end), None, "too late");
    assert_eq!(cancelled.change(PackageChange { service_id: String::new(), package: String::new() }), None);

    let kept = follow(&cancelled, cancelled.uncancel(before));
    assert_eq!((kept.standing.cancel_at, kept.period_ended(end)), (None, None));
    let ended = follow(&cancelled, cancelled.period_ended(end));
    assert_eq!((ended.phase, ended.standing.ending), (AccountPhase::Terminating, Some(Ending::Cancelled)));
    assert_eq!(state.cancel_at(before, before), None, "a period that is over");
}

#[test]
fn an_account_whose_end_is_decided_is_never_renewed_suspended_or_kept() {
    for phase in [AccountPhase::Terminating, AccountPhase::Terminated] {
        let state = account(phase, &[SuspensionReason::NonPayment]);

        assert_eq!(state.renewed(at(ENDS)), None);
        assert_eq!(state.suspend(SuspensionReason::Abuse), None);
        assert_eq!(state.lift(SuspensionReason::NonPayment, LiftCause::Staff), None);
        assert_eq!(state.uncancel(at(ENDS)), None);
        assert_eq!(state.act(), None);
    }
}

#[test]
fn one_change_of_package_at_a_time_and_a_refused_one_leaves_things_as_they_are() {
    let to = PackageChange { service_id: "shared-plus".to_owned(), package: "plus".to_owned() };
    for phase in AccountPhase::ALL {
        let step = account(phase, &[]).change(to.clone());
        assert_eq!(step.is_some(), phase == AccountPhase::Active, "{phase}");
    }
    let state = account(AccountPhase::Changing, &[]);

    assert_eq!(follow(&state, state.changed(plus())).phase, AccountPhase::Active);
    assert_eq!(follow(&state, state.change_refused("no such package".to_owned())).phase, AccountPhase::Active);
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Begun,
    Provisioned,
    Failed,
    Lapsed,
    Renewed,
    Suspend(SuspensionReason),
    Lift(SuspensionReason, LiftCause),
    Suspended,
    Unsuspended,
    Change,
    Changed,
    Refused,
    CancelAt,
    Uncancel,
    PeriodEnded,
    End(Ending),
    Terminated,
    Act,
}

fn happen(state: &AccountState, what: Happening) -> Option<AccountMove> {
    let (end, now) = (at(ENDS), at("2026-02-01T10:00:00Z"));
    match what {
        Happening::Begun => state.begin(Intent {
            server: "site".to_owned(),
            username: "bx1a2b3c".parse().unwrap(),
            username_salt: 0,
            sealed_password: String::new(),
            intended_at: now,
        }),
        Happening::Provisioned => state.provisioned(now).unwrap(),
        Happening::Failed => state.failed(String::new()),
        Happening::Lapsed => state.lapsed(),
        Happening::Renewed => state.renewed(end),
        Happening::Suspend(reason) => state.suspend(reason),
        Happening::Lift(reason, cause) => state.lift(reason, cause),
        Happening::Suspended => state.suspended(now),
        Happening::Unsuspended => state.unsuspended(),
        Happening::Change => state.change(PackageChange { service_id: String::new(), package: String::new() }),
        Happening::Changed => state.changed(plus()),
        Happening::Refused => state.change_refused(String::new()),
        Happening::CancelAt => state.cancel_at(end, now),
        Happening::Uncancel => state.uncancel(now),
        Happening::PeriodEnded => state.period_ended(end),
        Happening::End(ending) => state.end(ending),
        Happening::Terminated => state.terminated(now),
        Happening::Act => state.act(),
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    let reason = prop::sample::select(SuspensionReason::ALL.to_vec());
    let cause = prop::sample::select(LiftCause::ALL.to_vec());
    let plain = vec![
        H::Begun,
        H::Provisioned,
        H::Failed,
        H::Lapsed,
        H::Renewed,
        H::Suspended,
        H::Unsuspended,
        H::Change,
        H::Changed,
        H::Refused,
        H::CancelAt,
        H::Uncancel,
        H::PeriodEnded,
        H::Terminated,
        H::Act,
    ];
    prop_oneof![
        8 => prop::sample::select(plain),
        3 => reason.clone().prop_map(H::Suspend),
        3 => (reason, cause).prop_map(|(reason, cause)| H::Lift(reason, cause)),
        1 => prop::sample::select(Ending::ALL.to_vec()).prop_map(H::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens in whatever order: moves follow the machine, no reason is lost, nothing comes back from its end, and
    /// acting upon what is recorded comes to rest.
    #[test]
    fn no_order_of_happenings_leads_where_the_contract_forbids(
        happenings in prop::collection::vec(happening(), 1..60)
    ) {
        let mut state = account(AccountPhase::Pending, &[]);
        for what in happenings {
            let Some(step) = happen(&state, what) else { continue };
            let reached = AccountEvent::ALL.iter().any(|event| state.phase.next(*event) == Some(step.to()));
            prop_assert!(reached && step.from() == state.phase && step.version() == state.version);
            let after = state.after(&step);
            let lost: BTreeSet<_> = state.standing.reasons.difference(&after.standing.reasons).copied().collect();
            let lifted = if let Happening::Lift(reason, cause) = what {
                reason.is_lifted_by(cause).then_some(reason)
            } else {
                matches!(what, Happening::Renewed).then_some(SuspensionReason::NonPayment)
            };
            prop_assert!(lost.iter().all(|reason| Some(*reason) == lifted), "{what:?} lost {lost:?}");
            prop_assert!(!state.phase.is_over() || after.phase.is_over());
            let begins_to_work = after.phase == AccountPhase::Unsuspending && state.phase != after.phase;
            prop_assert!(!begins_to_work || after.standing.reasons.is_empty());
            state = after;
        }
        for _ in 0..2 {
            let Some(step) = state.act() else { break };
            state = state.after(&step);
        }
        prop_assert_eq!(state.act(), None);
    }
}
