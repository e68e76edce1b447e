use std::str::FromStr;

use super::*;

const JOB: &str = "job_01k9z3m6sne5y8r7q2w4x6t8va";
const ACCOUNT: &str = "acc_01k9z3m6sne5y8r7q2w4x6t8va";
const MAIL: &str = "mail_01k9z3m6sne5y8r7q2w4x6t8va";

fn now() -> Timestamp {
    "2026-11-26T14:10:00Z".parse().unwrap()
}

fn ago_of(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn id<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

/// A purchase of one account that was paid twelve seconds ago.
fn order(phase: OrderPhase) -> OrderFacts {
    OrderFacts {
        id: id("ord_01k9z3m6sne5y8r7q2w4x6t8va"),
        phase,
        purpose: Purpose::Purchase,
        expires_at: ago_of(-3_600),
        paid_at: Some(ago_of(12)),
        hold_reason: None,
        failure: None,
        page: PageFacts::Paid,
        declined: None,
        unheard: Vec::new(),
        jobs: Vec::new(),
        units: 1,
        accounts: Vec::new(),
        unsent: Vec::new(),
    }
}

fn unpaid(phase: OrderPhase, page: PageFacts) -> OrderFacts {
    OrderFacts { paid_at: None, page, ..order(phase) }
}

fn with(phase: OrderPhase, account: AccountFacts) -> OrderFacts {
    OrderFacts { accounts: vec![account], ..order(phase) }
}

fn account(phase: AccountPhase) -> AccountFacts {
    AccountFacts {
        id: id(ACCOUNT),
        phase,
        reasons: Vec::new(),
        ending: None,
        suspended_at: None,
        failure: None,
        server: Some(ServerFacts { name: "web1".to_owned(), broken: None, disabled: false }),
        job: None,
    }
}

fn suspended(reasons: &[SuspensionReason]) -> OrderFacts {
    let account = AccountFacts {
        reasons: reasons.to_vec(),
        suspended_at: Some(ago_of(3_600)),
        ..account(AccountPhase::Suspended)
    };
    with(OrderPhase::Completed, account)
}

fn job(kind: &str, state: JobState) -> JobFacts {
    JobFacts { id: id(JOB), kind: kind.to_owned(), state, attempts: 0, run_at: ago_of(0), last_error: None }
}

fn failing(kind: &str, state: JobState, attempts: u32, error: &str, due_in: i64) -> JobFacts {
    JobFacts { attempts, last_error: Some(error.to_owned()), run_at: ago_of(-due_in), ..job(kind, state) }
}

fn event(parked: Option<&str>, job: Option<JobFacts>) -> OrderFacts {
    let event = EventFacts {
        id: "evt_1abc".to_owned(),
        kind: "checkout.session.completed".to_owned(),
        age: SignedDuration::from_secs(90),
        parked: parked.map(str::to_owned),
        job,
    };
    OrderFacts { unheard: vec![event], ..unpaid(OrderPhase::Pending, PageFacts::Open) }
}

fn check(facts: &OrderFacts, standing: Standing, because: &str) {
    let answer = why(facts, now());

    assert_eq!((answer.standing, answer.because.as_str()), (standing, because), "{facts:#?}");
    let needs_advice = standing == Standing::Stuck;
    assert!(!needs_advice || answer.advice.is_some(), "{because}: what is a person to do?");
}

#[test]
fn an_order_that_is_not_paid_says_whether_it_still_can_be() {
    for (facts, standing, because) in [
        (
            unpaid(OrderPhase::Pending, PageFacts::Open),
            Standing::Waits,
            "Not paid yet: its page at Stripe is open, and the customer has not paid on it. It can be paid for another 1 h.",
        ),
        (
            unpaid(OrderPhase::Pending, PageFacts::None),
            Standing::Waits,
            "Not paid: no page at Stripe was opened for it. It can be paid for another 1 h.",
        ),
        (
            OrderFacts {
                expires_at: ago_of(120),
                jobs: vec![job("sync_checkout", JobState::Queued)],
                ..unpaid(OrderPhase::Pending, PageFacts::Expired)
            },
            Standing::Waits,
            "Not paid: its page at Stripe has ended. Its time to be paid was over 2 min ago. \
             Job job_01k9z3m6sne5y8r7q2w4x6t8va (sync_checkout) is next.",
        ),
        (
            unpaid(OrderPhase::Pending, PageFacts::Paid),
            Standing::OnItsWay,
            "Stripe says that its page is paid, and the order has not followed yet.",
        ),
        (
            OrderFacts { purpose: Purpose::Renewal, ..unpaid(OrderPhase::Pending, PageFacts::None) },
            Standing::Waits,
            "The renewal is not paid yet. It can be paid for another 1 h.",
        ),
        (
            unpaid(OrderPhase::AwaitingPayment, PageFacts::Open),
            Standing::Waits,
            "The customer has paid by a method that takes days, and the bank has not said yet whether the money comes.",
        ),
        (
            OrderFacts {
                failure: Some("the bank said no".to_owned()),
                ..unpaid(OrderPhase::Failed, PageFacts::Expired)
            },
            Standing::Over,
            "Its payment failed: the bank said no.",
        ),
        (
            OrderFacts { expires_at: ago_of(86_400), ..unpaid(OrderPhase::Cancelled, PageFacts::Expired) },
            Standing::Over,
            "It was not paid until 2026-11-25 14:10 UTC and is cancelled.",
        ),
        (
            unpaid(OrderPhase::Withdrawn, PageFacts::Expired),
            Standing::Over,
            "It was given up before it was paid, because another order took its place or its account ends.",
        ),
    ] {
        check(&facts, standing, because);
    }
}

#[test]
fn a_card_that_was_declined_is_why_an_order_is_not_paid() {
    let why = "insufficient_funds: Your card has insufficient funds";
    let declined = |facts| OrderFacts {
        declined: Some(DeclineFacts { age: SignedDuration::from_mins(3), why: why.to_owned() }),
        ..facts
    };
    for (facts, standing, because) in [
        (
            unpaid(OrderPhase::Pending, PageFacts::Open),
            Standing::Waits,
            format!(
                "Not paid: a card was declined 3 min ago ({why}). Its page at Stripe is open still, where another card may be \
                 tried. It can be paid for another 1 h."
            ),
        ),
        (
            unpaid(OrderPhase::Pending, PageFacts::Expired),
            Standing::Waits,
            format!(
                "Not paid: a card was declined 3 min ago ({why}), and its page at Stripe has ended. It can be paid for \
                 another 1 h."
            ),
        ),
        (
            OrderFacts { purpose: Purpose::Renewal, ..unpaid(OrderPhase::Pending, PageFacts::None) },
            Standing::Waits,
            format!("The renewal is not paid: a card was declined 3 min ago ({why}). It can be paid for another 1 h."),
        ),
        (unpaid(OrderPhase::Failed, PageFacts::Expired), Standing::Over, format!("Its payment failed: {why}.")),
        (
            OrderFacts { expires_at: ago_of(60), ..unpaid(OrderPhase::Cancelled, PageFacts::Expired) },
            Standing::Over,
            format!("It was not paid until 14:09 UTC and is cancelled. A card was declined 3 min ago ({why})."),
        ),
        (
            unpaid(OrderPhase::Pending, PageFacts::Paid),
            Standing::OnItsWay,
            "Stripe says that its page is paid, and the order has not followed yet.".to_owned(),
        ),
    ] {
        check(&declined(facts), standing, &because);
    }
}

#[test]
fn what_stripe_told_and_nothing_acted_on_counts_more_than_the_order_itself() {
    const TOLD: &str = "Stripe told 1 min ago of checkout.session.completed (evt_1abc), and it is not acted on yet.";
    for (facts, standing, because) in [
        (event(None, None), Standing::Stuck, format!("{TOLD} No job is there that would.")),
        (
            event(None, Some(JobFacts { run_at: ago_of(90), ..job("complete_checkout", JobState::Queued) })),
            Standing::OnItsWay,
            format!("{TOLD} Job {JOB} (complete_checkout) has waited 1 min for a worker."),
        ),
        (
            event(None, Some(failing("complete_checkout", JobState::Dead, 20, "the database is away", 0))),
            Standing::Stuck,
            format!("{TOLD} Job {JOB} (complete_checkout) is dead after 20 attempts: the database is away."),
        ),
        (
            event(Some("the session is of no order"), None),
            Standing::Stuck,
            format!("{TOLD} It was put aside: the session is of no order."),
        ),
    ] {
        check(&facts, standing, &because);
        let cancelled = OrderFacts { phase: OrderPhase::Cancelled, ..facts };
        check(&cancelled, standing, &because);
    }
}

#[test]
fn a_held_order_says_who_waits_for_whom() {
    let held = |reason: Option<&str>| OrderFacts { hold_reason: reason.map(str::to_owned), ..order(OrderPhase::Held) };

    check(
        &held(Some("paid 5.00 USD of 10.00 USD")),
        Standing::Stuck,
        "Paid 12 s ago. It is held until a person has looked at it: paid 5.00 USD of 10.00 USD.",
    );
    check(
        &held(None),
        Standing::Stuck,
        "Paid 12 s ago. It is held until a person has looked at it: no reason is written down.",
    );
    check(
        &OrderFacts { phase: OrderPhase::Rejected, ..held(Some("fraud")) },
        Standing::Over,
        "It was paid and then rejected: fraud. The money goes back, or is credit.",
    );
}

#[test]
fn an_account_in_the_making_says_what_it_waits_for() {
    let making = |job: Option<JobFacts>| {
        with(OrderPhase::Processing, AccountFacts { job, ..account(AccountPhase::Provisioning) })
    };
    for (facts, standing, because) in [
        (
            making(Some(job("provision_account", JobState::Running))),
            Standing::OnItsWay,
            format!("Paid 12 s ago. Its account {ACCOUNT} is to be made. Job {JOB} (provision_account) runs just now."),
        ),
        (
            making(Some(failing("provision_account", JobState::Queued, 3, "connection refused", 40))),
            Standing::Waits,
            format!(
                "Paid 12 s ago. Its account {ACCOUNT} is to be made. Job {JOB} (provision_account) tries again in 40 s \
                 after 3 attempts failed (connection refused)."
            ),
        ),
        (
            making(Some(failing("provision_account", JobState::Dead, 25, "quota exceeded", 0))),
            Standing::Stuck,
            format!(
                "Paid 12 s ago. Its account {ACCOUNT} is to be made. Job {JOB} (provision_account) is dead after 25 \
                 attempts: quota exceeded."
            ),
        ),
        (
            making(None),
            Standing::Stuck,
            format!("Paid 12 s ago. Its account {ACCOUNT} is to be made, and no job is there that would do it."),
        ),
        (
            with(
                OrderPhase::Processing,
                AccountFacts { failure: Some("no such package".to_owned()), ..account(AccountPhase::Failed) },
            ),
            Standing::Stuck,
            format!("Paid 12 s ago. Its account {ACCOUNT} could not be made on server web1: no such package."),
        ),
        (
            order(OrderPhase::Processing),
            Standing::Stuck,
            "Paid 12 s ago. No account was made of it, and no job is there that would.".to_owned(),
        ),
    ] {
        check(&facts, standing, &because);
    }
}

#[test]
fn an_account_that_waits_for_a_server_names_it() {
    let broken = ServerFacts {
        name: "web1".to_owned(),
        broken: Some((ago_of(480), "connection refused".to_owned())),
        disabled: false,
    };
    let waits = |job, server| {
        with(OrderPhase::Processing, AccountFacts { job, server: Some(server), ..account(AccountPhase::Provisioning) })
    };
    let again = failing("provision_account", JobState::Queued, 0, "the server web1 is broken", 40);

    check(
        &waits(Some(again.clone()), broken.clone()),
        Standing::Waits,
        &format!(
            "Paid 12 s ago. Its account {ACCOUNT} waits: server web1 is broken since 14:02 UTC (connection refused); job \
             {JOB} tries again in 40 s."
        ),
    );
    check(
        &waits(None, broken.clone()),
        Standing::Waits,
        &format!(
            "Paid 12 s ago. Its account {ACCOUNT} waits: server web1 is broken since 14:02 UTC (connection refused); no \
             job is there that would try again."
        ),
    );
    // A job that was given up does not go on when the server is mended.
    let dead = JobFacts { state: JobState::Dead, attempts: 1, ..again.clone() };
    assert_eq!(why(&waits(Some(dead), broken), now()).standing, Standing::Stuck);
    check(
        &waits(Some(again), ServerFacts { name: "web1".to_owned(), broken: None, disabled: true }),
        Standing::Stuck,
        &format!("Paid 12 s ago. Its account {ACCOUNT} is to be made, and server web1 is disabled."),
    );
}

#[test]
fn of_several_accounts_the_one_is_told_of_that_needs_a_person() {
    let facts = OrderFacts {
        units: 3,
        accounts: vec![
            account(AccountPhase::Active),
            AccountFacts { job: Some(job("provision_account", JobState::Running)), ..account(AccountPhase::Pending) },
            AccountFacts { failure: Some("the disk is full".to_owned()), ..account(AccountPhase::Failed) },
        ],
        ..order(OrderPhase::Processing)
    };

    check(
        &facts,
        Standing::Stuck,
        &format!(
            "Paid 12 s ago. 1 of its 3 accounts work. Its account {ACCOUNT} could not be made on server web1: the disk is \
             full."
        ),
    );
}

#[test]
fn every_reason_to_suspend_is_told_with_what_lifts_it() {
    use SuspensionReason as R;
    for (reasons, told, lifted_by) in [
        (&[R::NonPayment][..], "its renewal is not paid", "payment"),
        (&[R::Staff], "staff wants it so", "staff does"),
        (&[R::Dispute], "a payment is disputed", "dispute is won"),
        (&[R::Fraud], "it was bought by fraud", "staff does"),
        (&[R::Abuse], "it is misused", "staff does"),
        (&[R::NonPayment, R::Abuse], "its renewal is not paid and it is misused", "staff does"),
    ] {
        let facts = suspended(reasons);
        check(&facts, Standing::Waits, &format!("Its account {ACCOUNT} is suspended since 13:10 UTC because {told}."));
        let advice = why(&facts, now()).advice.unwrap();
        assert!(advice.contains(lifted_by), "{advice}");
    }
}

#[test]
fn what_works_is_live_and_says_whether_its_customer_knows() {
    let live = with(OrderPhase::Completed, account(AccountPhase::Active));
    let unsent = |refused: Option<&str>, job: Option<JobFacts>| OrderFacts {
        unsent: vec![MailFacts { id: id(MAIL), kind: "welcome".to_owned(), refused: refused.map(str::to_owned), job }],
        ..live.clone()
    };
    for (facts, standing, because) in [
        (live.clone(), Standing::Live, "It is live: its account works.".to_owned()),
        (
            OrderFacts { purpose: Purpose::Renewal, ..live.clone() },
            Standing::Live,
            "The renewal is paid, and its account works.".to_owned(),
        ),
        (
            unsent(Some("550 no such user"), None),
            Standing::Stuck,
            format!(
                "It is live: its account works. But its mail welcome ({MAIL}) was not sent: the mail server refused it (550 \
                 no such user)."
            ),
        ),
        (
            unsent(None, Some(failing("send_mail", JobState::Queued, 0, "the mail server is away", 30))),
            Standing::Waits,
            format!(
                "It is live: its account works. But its mail welcome ({MAIL}) was not sent. Job {JOB} (send_mail) tries \
                 again in 30 s (the mail server is away)."
            ),
        ),
        (
            unsent(None, None),
            Standing::Stuck,
            format!(
                "It is live: its account works. But its mail welcome ({MAIL}) was not sent, and no job is there that would."
            ),
        ),
    ] {
        check(&facts, standing, &because);
    }
}

#[test]
fn what_has_ended_says_how() {
    let ended = |ending| AccountFacts { ending: Some(ending), ..account(AccountPhase::Terminated) };
    for (ending, told) in [
        (Ending::Cancelled, "its customer cancelled it"),
        (Ending::Lapsed, "its renewal was never paid"),
        (Ending::Staff, "staff ended it"),
    ] {
        check(
            &with(OrderPhase::Completed, ended(ending)),
            Standing::Over,
            &format!("Its account {ACCOUNT} was removed because {told}."),
        );
    }
}

#[test]
fn every_phase_of_an_order_and_its_account_has_a_sentence() {
    for phase in OrderPhase::ALL {
        for of in AccountPhase::ALL {
            for page in [PageFacts::None, PageFacts::Open, PageFacts::Expired, PageFacts::Paid] {
                let facts = OrderFacts { page, ..with(phase, account(of)) };

                let answer = why(&facts, now());

                let text = &answer.because;
                assert!(text.ends_with('.') && text.starts_with(char::is_uppercase), "{phase:?} {of:?}: {text}");
                assert!(answer.standing != Standing::Stuck || answer.advice.is_some(), "{phase:?} {of:?}: {text}");
            }
        }
    }
}
