use super::*;

/// A fact that is made wrong.
type Spoiled = (&'static str, fn(&mut Facts));

/// Two orders, one of two accounts; all in order.
fn facts() -> Facts {
    let mut facts = Facts::default();
    for (number, units) in [1, 2].into_iter().enumerate() {
        let order = OrderId::new();
        facts.bought.insert(order, units);
        facts.orders.insert(order, "completed".to_owned());
        facts.pages.insert(order.to_string(), 1);
        let intent = format!("pi_{number}");
        let money = Money { paid: 499, given_back: 100 };
        facts.at_stripe.insert(intent.clone(), money);
        facts.in_ledger.insert(intent, money);
        mail(&mut facts, CONFIRMATION, order.0);
        for unit in 0..units {
            let (id, username) = (AccountId::new(), format!("bh{number}{unit}"));
            let server = "web1".to_owned();
            facts.accounts.push(AccountRow {
                id,
                order,
                is_active: true,
                server: server.clone(),
                username: username.clone(),
            });
            facts.directories.push(Directory { server, username, account: id });
            facts.creates.insert(id, 1);
            mail(&mut facts, WELCOME, id.0);
        }
    }
    facts.answered.insert("evt_1".to_owned());
    facts.stored.insert("evt_1".to_owned());
    facts.audit.push(("a rule", Vec::new()));
    facts
}

fn mail(facts: &mut Facts, kind: &str, about: uuid::Uuid) {
    let id = format!("mail_{}", facts.mails.len());
    facts.acceptances.insert(id.clone(), vec![heard(0)]);
    facts.mails.push(MailRow { id, kind: kind.to_owned(), about, is_accepted: true });
}

fn heard(second: i64) -> Acceptance {
    Acceptance { at: at(second), is_answered: true }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// How much was lost, was double and was excused.
fn counts(facts: &Facts) -> (usize, usize, u64) {
    let questions = judge(facts);
    let lost = questions.iter().map(|question| question.lost.len()).sum();
    let double = questions.iter().map(|question| question.double.len()).sum();
    (lost, double, questions.iter().map(|question| question.unanswered + question.cut_off).sum())
}

#[test]
fn what_is_as_it_should_be_is_neither_lost_nor_double() {
    assert_eq!(counts(&facts()), (0, 0, 0));
    let looked_at: Vec<u64> = judge(&facts()).iter().map(|question| question.of).collect();
    assert_eq!(looked_at, [2, 3, 5, 2, 1, 0, 1, 0]);
}

#[test]
fn everything_that_is_lost_is_found() {
    let lose: [Spoiled; 12] = [
        ("an order", |facts| {
            let _ = facts.orders.pop_first();
        }),
        ("an order's end", |facts| {
            facts.orders.values_mut().for_each(|phase| "completed".clone_into(phase));
            *facts.orders.values_mut().next().unwrap() = "processing".to_owned();
        }),
        ("a directory", |facts| {
            let _ = facts.directories.pop();
        }),
        ("an account's end", |facts| facts.accounts[0].is_active = false),
        ("the word of a create", |facts| {
            let _ = facts.creates.pop_first();
        }),
        ("an acceptance", |facts| {
            let _ = facts.acceptances.pop_first();
        }),
        ("the word of an acceptance", |facts| facts.mails[0].is_accepted = false),
        ("a payment", |facts| facts.in_ledger.get_mut("pi_0").unwrap().paid = 0),
        ("a refund", |facts| facts.in_ledger.get_mut("pi_0").unwrap().given_back = 0),
        ("an event", |facts| facts.stored.clear()),
        ("a job", |facts| facts.unfinished.push("job_1 send_mail queued".to_owned())),
        ("a rule", |facts| facts.audit[0].1.push("a row".to_owned())),
    ];
    for (what, lose) in lose {
        let mut facts = facts();
        lose(&mut facts);

        assert_eq!(counts(&facts), (1, 0, 0), "{what}");
    }
}

#[test]
fn a_row_that_is_lost_with_all_that_hangs_on_it_is_found() {
    let mut facts = facts();
    let account = facts.accounts.pop().unwrap();
    facts.mails.retain(|mail| mail.about != account.id.0);

    // Its account is missed; its directory and its mail are nobody's.
    assert_eq!(counts(&facts), (1, 2, 0));
    facts.mails.retain(|mail| mail.kind != CONFIRMATION);
    facts.acceptances.clear();
    let mails = mails(&facts);
    assert_eq!(mails.lost.iter().filter(|line| line.ends_with("has no order_confirmation")).count(), 2);
}

#[test]
fn everything_that_is_double_is_found() {
    let double: [Spoiled; 8] = [
        ("a page", |facts| *facts.pages.values_mut().next().unwrap() = 2),
        ("an account", |facts| {
            let again = AccountRow { id: AccountId::new(), is_active: false, ..facts.accounts[0].clone() };
            facts.accounts.push(again);
        }),
        ("a directory", |facts| {
            let again = Directory { server: "web2".to_owned(), ..facts.directories[0].clone() };
            facts.directories.push(again);
        }),
        ("a create", |facts| *facts.creates.values_mut().next().unwrap() = 2),
        ("a mail", |facts| facts.acceptances.get_mut("mail_0").unwrap().push(heard(60))),
        ("an unknown mail", |facts| {
            let _ = facts.acceptances.insert("mail_x".to_owned(), vec![heard(0)]);
        }),
        ("a charge", |facts| facts.in_ledger.get_mut("pi_1").unwrap().paid = 998),
        ("a refund", |facts| {
            let _ = facts.in_ledger.insert("pi_2".to_owned(), Money { paid: 0, given_back: 1 });
        }),
    ];
    for (what, double) in double {
        let mut facts = facts();
        double(&mut facts);

        assert!(counts(&facts).1 >= 1, "{what}: {:?}", counts(&facts));
    }
}

#[test]
fn a_mail_may_come_again_only_after_an_answer_that_was_lost() {
    let mut facts = facts();
    facts.acceptances.insert("mail_0".to_owned(), vec![heard(10), heard(40)]);
    let (before, during) = (Trouble { from: at(13), to: at(20) }, Trouble { from: at(11), to: at(11) });

    facts.troubles = vec![before];
    assert_eq!(counts(&facts), (0, 1, 0), "what was accepted long before");
    facts.troubles = vec![during];
    assert_eq!(counts(&facts), (0, 0, 1), "what was accepted just before a kill");
    facts.troubles = vec![Trouble { from: at(39), to: at(41) }];
    assert_eq!(counts(&facts), (0, 1, 0), "trouble after the second time excuses nothing");
    let lost = |second| Acceptance { at: at(second), is_answered: false };
    facts.acceptances.insert("mail_0".to_owned(), vec![lost(10), lost(20), heard(40)]);
    assert_eq!(counts(&facts), (0, 0, 2), "the mail server did not answer");
    facts.acceptances.insert("mail_0".to_owned(), vec![heard(10), lost(20)]);
    assert_eq!(counts(&facts), (0, 1, 0), "the first one was answered");
}
