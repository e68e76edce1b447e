//! Mails no faster than the mail server's provider takes them, by all processes together, and nobody who waits is held back.

use berth::{
    app::App,
    effects::Effects,
    mail::{Mail, RenewalReceipt, Welcome},
};
use berth_jobs::{
    Queue,
    ids::{AccountId, CustomerId, OrderId},
};
use jiff::Timestamp;

use super::support::{Running, Stack, StackOptions, WatchedPanel};

const MAILS: u32 = 300;
const SENT: &str = "select count(*) from berth.mails where kind = 'renewal_receipt' and accepted_at is not null";

/// A receipt for a card that a sweep had charged.
fn receipt() -> Mail {
    let at: Timestamp = "2030-05-10T12:00:00Z".parse().unwrap();
    Mail::RenewalReceipt(RenewalReceipt {
        order_id: OrderId::new(),
        account_id: AccountId::new(),
        customer_name: None,
        service_name: "Shared Hosting".to_owned(),
        domain: None,
        invoice_number: None,
        total: "4.99".to_owned(),
        credit: "0.00".to_owned(),
        paid: "4.99".to_owned(),
        currency: "USD".to_owned(),
        card: Some("Visa ending in 4242".to_owned()),
        paid_at: at,
        period_start: at,
        period_end: at,
        invoice_url: "http://shop.test/invoices/1".to_owned(),
    })
}

fn welcome() -> Mail {
    Mail::Welcome(Welcome {
        account_id: AccountId::new(),
        customer_name: None,
        service_name: "Shared Hosting".to_owned(),
        username: "adalove1".to_owned(),
        site_url: "http://adalove1.shop.test".to_owned(),
        control_panel_url: None,
        nameservers: Vec::new(),
        expires_at: "2030-05-10T12:00:00Z".parse().unwrap(),
        reveal_url: "http://shop.test/hosting/1/reveal".to_owned(),
    })
}

async fn write(app: &App, customer: CustomerId, mails: impl IntoIterator<Item = Mail>) {
    let effects = mails.into_iter().fold(Effects::none(), |effects, mail| effects.mail(customer, mail));
    app.committer.write(effects).await.unwrap();
}

/// A shop that may send so many mails a minute, and somebody who has bought there.
async fn paced(per_minute: &str) -> (Stack, Running, CustomerId) {
    let stack = Stack::with(StackOptions::default().setting("mail.max_per_minute", per_minute)).await;
    let berth = stack.start_on(&WatchedPanel::new(), &Queue::ALL).await;
    let order = stack.agree(&berth.app, &[("shared-monthly", 1)]).await;
    stack.tell_paid(&berth.app, order).await;
    stack.until_count("select count(*) from berth.mails where accepted_at is not null", 2).await;
    let customer = berth.app.store.order(order).await.unwrap().customer.id;
    (stack, berth, customer)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_keep_to_one_rate_and_a_welcome_in_the_midst_goes_at_once() {
    const A_SECOND: f64 = 30.0;
    let (stack, berth, customer) = paced("1800").await;
    let more = stack.more_workers(&WatchedPanel::new(), &[Queue::Mail]).await;

    write(&berth.app, customer, (0..MAILS).map(|_| receipt())).await;
    stack.until("some are sent", async || stack.count(SENT).await > 20).await;
    write(&berth.app, customer, [welcome()]).await;
    stack.until_count("select count(*) from berth.mails where kind = 'welcome' and accepted_at is not null", 2).await;
    let so_far = stack.count(SENT).await;
    stack.until_count(SENT, MAILS.into()).await;

    assert!(so_far < i64::from(MAILS) / 2, "the welcome went after {so_far} that wait for nothing");
    let times: Vec<f64> = sqlx::query_scalar(
        "select extract(epoch from accepted_at)::float8 from berth.mails where kind = 'renewal_receipt' order by 1",
    )
    .fetch_all(&stack.pool)
    .await
    .unwrap();
    // Two seconds' worth may go at once after a pause; jobs are given out some moments early or late.
    for seconds in [1.0, 3.0, 5.0] {
        let most = (seconds + 2.0 + 1.0) * A_SECOND;
        let within = |from: f64| times.iter().filter(|at| (from..from + seconds).contains(*at)).count();
        let worst = times.iter().map(|at| within(*at)).max().unwrap();
        assert!(f64::from(u32::try_from(worst).unwrap()) <= most, "{worst} within {seconds} s");
    }
    let took = times.last().unwrap() - times[0];
    assert!(took > f64::from(MAILS) / A_SECOND - 3.0, "{took} s");
    assert_eq!(stack.count("select count(*) from berth.mails where attempts > 1").await, 0);
    more.stop().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_place_for_days_is_not_given_up() {
    let (stack, berth, customer) = paced("1").await;
    write(&berth.app, customer, (0..5).map(|_| receipt())).await;
    let waiting =
        "select count(*) from berth.jobs where kind = 'send_mail' and state = 'queued' and run_at > berth.now()";
    stack.until_count(waiting, 5).await;

    // As if each had waited for its mail server before, for as long as that is borne.
    let tried = "update berth.jobs set snooze_deadline = berth.now() - interval '1 hour', run_at = berth.now(), dispatched_at = null
                 where kind = 'send_mail' and state = 'queued'";
    sqlx::query(tried).execute(&stack.pool).await.unwrap();
    stack.until_count(waiting, 5).await;
    for _ in 0..8 {
        stack.pass_for(&berth.app, 70.0).await;
        stack.until_idle().await;
    }

    assert_eq!(stack.count(SENT).await, 5);
    assert_eq!(stack.count("select count(*) from berth.jobs where state = 'dead'").await, 0);
    berth.stop().await;
}
