//! A mail server that is away for an hour, and then takes nothing for another: every mail arrives afterwards, once.

use berth::dev::mailbox::{Fault, Mailbox};
use berth_jobs::Queue;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::support::{Stack, StackOptions, WatchedPanel, size};

/// An order has a mail of its own and one for each of its accounts.
const ACCOUNTS_AN_ORDER: u32 = 4;
const MAILS_AN_ORDER: u32 = 5;

fn mails() -> u32 {
    size("MAILS", 100)
}

const WAITING: &str = "select count(*) from berth.jobs where kind = 'send_mail' and run_at > berth.now()";
/// Longer than a mail waits for a server that is away, in seconds.
const STEP: f64 = 31.0;
/// After so many, which are less than five minutes, every mail has been given to the server.
const STEPS: u32 = 9;

/// Lets an hour pass, in steps in each of which every mail is tried and waits again.
async fn an_hour_in_vain(stack: &Stack) {
    for _ in 0..6 {
        stack.pass(600.0).await;
        stack.until_count(WAITING, mails().into()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_hour_without_a_mail_server_and_one_of_refusals_each_mail_arrives_once_and_soon() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let stack = Stack::with(StackOptions::default().setting("mail.smtp_url", &format!("smtp://{address}"))).await;
    let berth = stack.start_on(&WatchedPanel::new(), &Queue::ALL).await;
    for _ in 0..mails() / MAILS_AN_ORDER {
        let order = stack.agree(&berth.app, &[("shared-monthly", ACCOUNTS_AN_ORDER)]).await;
        stack.tell_paid(&berth.app, order).await;
    }
    stack.until_count(WAITING, mails().into()).await;
    an_hour_in_vain(&stack).await;
    let stop = CancellationToken::new();
    let mailbox = Mailbox::start(TcpListener::bind(address).await.unwrap(), None, stop.clone()).unwrap();
    mailbox.set_fault(Fault::Refuse451);
    an_hour_in_vain(&stack).await;
    assert_eq!(mailbox.mails().len(), 0);

    mailbox.set_fault(Fault::None);
    for _ in 0..STEPS {
        stack.pass(STEP).await;
        let tried = "select count(*) from berth.jobs
                     where kind = 'send_mail' and (state = 'running' or state = 'queued' and run_at <= berth.now())";
        stack.until_count(tried, 0).await;
    }

    let arrived = mailbox.all_acceptances();
    assert_eq!(u32::try_from(arrived.len()).unwrap(), mails());
    assert!(arrived.values().all(|times| *times == 1));
    assert_eq!(stack.count("select count(*) from berth.jobs where state <> 'done'").await, 0);
    stack.audit_rows().await;
    stop.cancel();
    berth.stop().await;
}
