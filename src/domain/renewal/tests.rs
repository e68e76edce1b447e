use proptest::prelude::*;

use super::*;

fn renewal(phase: RenewalPhase) -> RenewalState {
    RenewalState { phase, ..RenewalState::invoiced(OrderId::new()) }
}

/// The state after all events of them that change something.
fn after(mut state: RenewalState, events: &[RenewalEvent]) -> RenewalState {
    for event in events {
        if let Some(step) = state.apply(*event) {
            state = state.after(&step);
        }
    }
    state
}

#[test]
fn every_event_in_every_phase() {
    let mut table = String::new();
    for phase in RenewalPhase::ALL {
        for event in RenewalEvent::ALL {
            let to = phase.next(event).map_or("-", RenewalPhase::as_str);
            table.push_str(&format!("{:<18} {:<15} {to}\n", phase.as_str(), format!("{event:?}")));
        }
    }

    insta::assert_snapshot!(table);
}

#[test]
fn a_charge_that_is_called_off_ends_with_its_outcome_and_its_money_goes_back() {
    use RenewalEvent as E;
    for (outcome, end) in [
        (E::Paid, RenewalPhase::Returned),
        (E::Declined, RenewalPhase::Void),
        (E::CustomerNeeded, RenewalPhase::Void),
        (E::NotCharged, RenewalPhase::Void),
        (E::OutcomeUnknown, RenewalPhase::InDoubt),
    ] {
        let called_off = after(renewal(RenewalPhase::Charging), &[E::CalledOff]);
        assert_eq!(
            (called_off.phase, called_off.called_off),
            (RenewalPhase::Charging, true),
            "only its outcome leads on"
        );
        assert_eq!(called_off.apply(E::CalledOff), None, "once");

        let step = called_off.apply(outcome).unwrap();

        assert_eq!(step.to(), end, "{outcome:?}");
        assert_eq!((step.renews(), step.gives_back()), (false, outcome == E::Paid), "{outcome:?}");
    }
    let in_doubt = after(renewal(RenewalPhase::InDoubt), &[E::CalledOff, E::NotCharged]);
    assert_eq!(in_doubt.phase, RenewalPhase::Void);
}

#[test]
fn nothing_is_charged_while_the_outcome_of_a_charge_is_unknown_or_after_the_end() {
    for phase in RenewalPhase::ALL {
        let may = matches!(phase, RenewalPhase::Invoiced | RenewalPhase::PastDue | RenewalPhase::AwaitingCustomer);
        assert_eq!(renewal(phase).apply(RenewalEvent::ChargeStarted).is_some(), may, "{phase}");
    }
}

#[test]
fn only_a_charge_that_is_begun_counts_as_an_attempt() {
    use RenewalEvent as E;
    let state = RenewalState::invoiced(OrderId::new());

    let state = after(state, &[E::ChargeStarted, E::OutcomeUnknown, E::NotCharged, E::FellDue, E::ChargeStarted]);

    assert_eq!((state.attempts, state.version), (2, 6));
    assert_eq!(state.apply(E::Declined).map(|step| step.attempts()), Some(2));
}

#[test]
fn a_declined_charge_waits_for_the_card_and_one_that_needs_the_customer_for_them() {
    let to = |class: DeclineClass| renewal(RenewalPhase::Charging).apply(class.into()).unwrap().to();

    assert_eq!(to(DeclineClass::Soft), RenewalPhase::PastDue);
    assert_eq!(to(DeclineClass::Hard), RenewalPhase::PastDue);
    assert_eq!(to(DeclineClass::NeedsCustomer), RenewalPhase::AwaitingCustomer);
}

#[test]
fn an_unclear_charge_is_looked_up_after_minutes_an_hour_and_then_daily() {
    let since: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    let at = |made| next_look_up(since, made).unwrap().to_string();

    assert_eq!(
        [0, 1, 2, 3].map(at),
        ["2026-03-01T00:05:00Z", "2026-03-01T01:00:00Z", "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"]
    );
}

#[test]
fn names_read_back() {
    for phase in RenewalPhase::ALL {
        assert_eq!(phase.as_str().parse(), Ok(phase));
    }
    assert!("refunded".parse::<RenewalPhase>().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is told in whatever order and however often: a renewal extends its account at most once, gives money back at
    /// most once and never does both; what is paid stays paid.
    #[test]
    fn any_order_of_events_renews_once_or_gives_back_once(
        events in prop::collection::vec(prop::sample::select(RenewalEvent::ALL.to_vec()), 1..40)
    ) {
        let mut state = RenewalState::invoiced(OrderId::new());
        let (mut renewed, mut given_back) = (0, 0);
        for event in &events {
            let Some(step) = state.apply(*event) else { continue };
            renewed += u32::from(step.renews());
            given_back += u32::from(step.gives_back());
            prop_assert!(state.phase != RenewalPhase::Paid && state.phase != RenewalPhase::Returned);
            state = state.after(&step);
        }
        prop_assert!(renewed + given_back <= 1);
        prop_assert_eq!(renewed == 1, state.phase == RenewalPhase::Paid);
        prop_assert_eq!(renewed + given_back == 1, events.contains(&RenewalEvent::Paid));
    }
}
