//! Days without a mail server: what is no longer true when it is back is not sent, and nobody is suspended untold.

use berth::dev::mailbox::Fault;
use jiff::SignedDuration;

use super::{Life, World, world::day_of};
use crate::support::StackOptions;

const START: &str = "2030-05-10T12:00:00Z";
/// Longer than a mail waits for its server.
const SOON: SignedDuration = SignedDuration::from_mins(2);

impl World {
    /// The mail server is back, and has been for so long that all that waits was tried.
    async fn back_for_a_while(&self) {
        self.stack.mailbox.set_fault(Fault::None);
        self.go_to(self.now().await + SOON).await;
        self.settle().await;
    }

    /// The mails to a customer that a mail server has taken since there were so many, and why others were withdrawn.
    async fn told(&self, life: &Life, since: usize) -> (Vec<String>, Vec<String>) {
        let taken = sqlx::query_scalar(
            "select m.kind || coalesce(' ' || n.step, '')
             from berth.mails m
             left join berth.notices n on n.mail_id = m.id
             where m.customer_id = $1 and m.accepted_at is not null
             order by m.accepted_at, m.id
             offset $2",
        );
        let taken = taken.bind(life.user).bind(i64::try_from(since).unwrap());
        let withdrawn = sqlx::query_scalar(
            "select kind || ': ' || withdrawn_because from berth.mails where customer_id = $1 and withdrawn_at is not null
             order by id",
        );
        let taken = taken.fetch_all(&self.stack.pool).await.unwrap();
        (taken, withdrawn.bind(life.user).fetch_all(&self.stack.pool).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pays_while_the_mail_server_is_away_gets_the_invoice_and_the_receipt_and_no_reminder() {
    let short = StackOptions::default()
        .setting("timetable.issue_days_monthly", "2")
        .setting("timetable.reminder_days", "1")
        .setting("timetable.charge_days", "0");
    let world = World::with(short, START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    world.without_card(&mut life).await;
    let due = world.due(&life).await;
    let before = world.told(&life, 0).await.0.len();

    world.stack.mailbox.set_fault(Fault::Refuse451);
    world.walk(&mut life, due, [-2, -1, 0]).await;
    world.pay_by_link(&mut life, "renewal_invoice", "pm_card_visa").await;
    world.back_for_a_while().await;

    let (mut taken, withdrawn) = world.told(&life, before).await;
    taken.sort();
    assert_eq!(taken, ["renewal_invoice", "renewal_receipt"]);
    let reminder = "renewal_reminder: a later notice was due before it could be sent: due_today";
    let due_today = "renewal_due_today: what it asks for was paid before it could be sent";
    assert_eq!(withdrawn, [reminder, due_today]);
    let received = world.stack.mailbox.mails().len();
    assert_eq!(received, before + 2, "what was withdrawn never came");
    // A withdrawn mail is done with: its job asked for again sends nothing.
    let again = "update berth.jobs set state = 'queued', run_at = berth.now(), dispatched_at = null, finished_at = null
                 where kind = 'send_mail'";
    sqlx::query(again).execute(&world.stack.pool).await.unwrap();
    world.settle().await;
    assert_eq!(world.stack.mailbox.mails().len(), received);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_days_without_a_mail_server_the_latest_warning_comes_and_the_suspension_a_day_after_it() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    world.without_card(&mut life).await;
    let due = world.due(&life).await;
    world.walk(&mut life, due, [-7, -3, 0, 1]).await;
    let before = world.told(&life, 0).await.0.len();

    world.stack.mailbox.set_fault(Fault::Refuse451);
    world.walk(&mut life, due, [3, 4, 5]).await;
    assert_eq!(world.told(&life, before).await.0, [""; 0]);
    world.back_for_a_while().await;

    let (taken, withdrawn) = world.told(&life, before).await;
    assert_eq!(taken, ["suspension_warning final_warning"]);
    let overtaken = "renewal_overdue: a later notice was due before it could be sent: final_warning";
    assert_eq!(withdrawn, [overtaken]);
    let warned = world.now().await;
    world.visit(std::slice::from_mut(&mut life), day_of(due, 6)).await;
    assert!(world.now().await < warned + SignedDuration::from_hours(24));
    assert_eq!(world.account(&life).await.state.phase.as_str(), "grace", "it was told less than a day ago");
    world.visit(std::slice::from_mut(&mut life), warned + SignedDuration::from_hours(24)).await;
    assert_eq!(world.account(&life).await.state.phase.as_str(), "suspended");
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_that_was_withdrawn_comes_anew_before_the_suspension_that_is_on_again() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    world.without_card(&mut life).await;
    let due = world.due(&life).await;
    world.walk(&mut life, due, [-7, -3, 0, 1, 3]).await;
    let before = world.told(&life, 0).await.0.len();
    let exempt = async |exempt: bool| {
        sqlx::query("update berth.hosting_accounts set exempt = $1")
            .bind(exempt)
            .execute(&world.stack.pool)
            .await
            .unwrap();
        let look = "update berth.agenda set look_at = berth.now(), turn = turn + 1";
        sqlx::query(look).execute(&world.stack.pool).await.unwrap();
    };

    world.stack.mailbox.set_fault(Fault::Refuse451);
    world.walk(&mut life, due, [4]).await;
    exempt(true).await;
    world.back_for_a_while().await;
    let (taken, withdrawn) = world.told(&life, before).await;
    assert_eq!((taken.len(), withdrawn.len()), (0, 1), "{withdrawn:?}");
    exempt(false).await;
    world.walk(&mut life, due, [6]).await;
    assert_eq!(world.account(&life).await.state.phase.as_str(), "grace");
    world.walk(&mut life, due, [7]).await;

    assert_eq!(world.told(&life, before).await.0, ["suspension_warning final_warning", "account_suspended"]);
    world.end(&mut [life]).await;
}
