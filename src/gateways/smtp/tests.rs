use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{MailError, Mailer, MailerError, Outgoing, Step};
use crate::dev::mailbox::{Fault, Mailbox};

const FROM: &str = "Harbour Hosting <hello@harbour.example>";
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for a busy machine, short enough to wait for where it must run out.
const IMPATIENCE: Duration = Duration::from_millis(1_500);

async fn mailbox() -> (Mailer, Mailbox, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mailer = mailer(listener.local_addr().unwrap().port());
    let stop = CancellationToken::new();
    let mailbox = Mailbox::start(listener, None, stop.clone()).unwrap();
    (mailer, mailbox, stop.drop_guard())
}

fn mailer(port: u16) -> Mailer {
    waiting(port, PATIENCE)
}

fn waiting(port: u16, patience: Duration) -> Mailer {
    let url = SecretString::from(format!("smtp://127.0.0.1:{port}"));
    Mailer::with_timeouts(&url, FROM, patience, patience).unwrap()
}

/// A server that follows a script: for each line the client says, the next reply. Then it hangs up.
async fn scripted(replies: &'static [&'static str]) -> Mailer {
    mailer(script(replies).await)
}

/// The port at which the script is played.
async fn script(replies: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[expect(clippy::disallowed_methods, reason = "the other end of the test's connection")]
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        for reply in replies {
            if write.write_all(format!("{reply}\r\n").as_bytes()).await.is_err() {
                return;
            }
            // After 354 the client speaks until its dot.
            let until_dot = reply.starts_with("354");
            while let Ok(Some(line)) = lines.next_line().await {
                if !until_dot || line == "." {
                    break;
                }
            }
        }
    });
    port
}

fn outgoing() -> Outgoing {
    Outgoing {
        message_id: "<mail_1@harbour.example>".into(),
        to: "ada@customer.example".into(),
        to_name: Some("Ada".into()),
        subject: "Hello".into(),
        text: "Hello Ada".into(),
        html: "<p>Hello Ada</p>".into(),
        date: Timestamp::constant(1_767_225_600, 0),
    }
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_written() {
    let (mailer, mailbox, _stop) = mailbox().await;
    let text = format!("Grüße, 你好 🚢\n.\n..two dots\n{}\nend", "long ".repeat(300));
    let html = "<p>Grüße, 你好 🚢 = \"x\"</p>\n.\n<b>end</b>".to_owned();
    let mail = Outgoing {
        to_name: Some("Zoë \"Z\" Ångström, 你好".into()),
        subject: format!("Grüße 🚢 {}", "und noch viel mehr Wörter ".repeat(8)).trim().to_owned(),
        text: text.clone(),
        html: html.clone(),
        ..outgoing()
    };

    let accepted = mailer.send(mail.clone()).await.unwrap();

    let mails = mailbox.mails();
    let [received] = mails.as_slice() else { panic!("{mails:?}") };
    let message = received.message();
    assert!(accepted.response.starts_with("250 kept as 1"), "{accepted:?}");
    assert_eq!(message.text.as_deref(), Some(text.as_str()));
    assert_eq!(message.html.as_deref(), Some(html.as_str()));
    assert_eq!(
        (received.subject.as_str(), received.message_id.as_str()),
        (mail.subject.as_str(), mail.message_id.as_str())
    );
    assert_eq!(
        (received.from.as_str(), received.to.as_slice()),
        ("hello@harbour.example", ["ada@customer.example".to_owned()].as_slice())
    );
    assert_eq!(message.header("Date"), Some("Thu, 01 Jan 2026 00:00:00 +0000"));
    assert_eq!(message.header("Auto-Submitted"), Some("auto-generated"));
    assert_eq!(message.header("To"), Some("Zoë \"Z\" Ångström, 你好 <ada@customer.example>"));
}

#[tokio::test]
async fn a_line_break_begins_no_header() {
    let (mailer, mailbox, _stop) = mailbox().await;
    let evil = "x\r\nBcc: all@evil.example\r\n\r\nhello\u{0}";
    let mail = Outgoing { to_name: Some(evil.into()), subject: evil.into(), ..outgoing() };

    mailer.send(mail).await.unwrap();

    let message = mailbox.mails()[0].message();
    assert_eq!(message.header("Bcc"), None);
    assert_eq!(message.header("Subject"), Some("x  Bcc: all@evil.example    hello"));
    assert_eq!(message.text.as_deref(), Some("Hello Ada"));
    assert_eq!(mailbox.mails()[0].to, ["ada@customer.example"]);
}

#[tokio::test]
async fn what_is_no_address_is_never_sent() {
    let (mailer, mailbox, _stop) = mailbox().await;
    for to in [
        "",
        "ada",
        "ada@",
        "@x.example",
        "a b@x.example",
        "a@x.example\r\nRCPT TO:<b@x.example>",
        "a\r\n@x.example",
        "a>b@x.example",
        "a@x.example, b@x.example",
    ] {
        let refused = mailer.send(Outgoing { to: to.into(), ..outgoing() }).await;

        assert!(matches!(refused, Err(MailError::InvalidAddress { field: "to", .. })), "{to:?}: {refused:?}");
    }
    for message_id in ["", "mail_1@x", "<mail_1>", "<a@b>\r\nBcc: x@y", "<a b@c>", "<a@b@c>"] {
        let refused = mailer.send(Outgoing { message_id: message_id.into(), ..outgoing() }).await;

        assert!(
            matches!(refused, Err(MailError::InvalidAddress { field: "message_id", .. })),
            "{message_id:?}: {refused:?}"
        );
    }
    assert!(mailbox.mails().is_empty());
}

#[tokio::test]
async fn addresses_in_other_letters_arrive() {
    let (mailer, mailbox, _stop) = mailbox().await;

    mailer.send(Outgoing { to: "info@grüße.example".into(), ..outgoing() }).await.unwrap();
    mailer.send(Outgoing { to: "jürgen@example.com".into(), ..outgoing() }).await.unwrap();

    let mails = mailbox.mails();
    assert_eq!(
        (mails[0].to[0].as_str(), mails[1].to[0].as_str()),
        ("info@xn--gre-6ka8l.example", "jürgen@example.com")
    );
}

#[tokio::test]
async fn each_fault_is_told_by_what_may_be_done_next() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (mailer, impatient) = (mailer(port), waiting(port, IMPATIENCE));
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let mailbox = Mailbox::start(listener, None, stop).unwrap();

    mailbox.set_fault(Fault::Refuse451);
    let later = mailer.send(outgoing()).await.unwrap_err();
    mailbox.set_fault(Fault::Refuse550);
    let never = mailer.send(outgoing()).await.unwrap_err();
    mailbox.set_fault(Fault::HangAfterData);
    let hung = impatient.send(outgoing()).await.unwrap_err();
    let kept_while_hanging = mailbox.mails().len();
    mailbox.set_fault(Fault::DropAfterAccept);
    let dropped = mailer.send(outgoing()).await.unwrap_err();
    mailbox.set_fault(Fault::None);
    let recovered = mailer.send(outgoing()).await;

    let greylisted = "4.7.1 greylisted, try again later".to_owned();
    assert_eq!(later, MailError::Transient { step: Step::Recipient, code: Some(451), reason: greylisted });
    assert_eq!(never, MailError::Refused { code: 550, message: "5.1.1 no such user".into() });
    assert!(matches!(hung, MailError::Ambiguous { .. }), "{hung:?}");
    assert_eq!(kept_while_hanging, 0);
    assert!(matches!(dropped, MailError::Ambiguous { .. }), "{dropped:?}");
    assert!(recovered.is_ok(), "{recovered:?}");
    assert_eq!(mailbox.acceptances("<mail_1@harbour.example>"), 2, "once before the connection dropped, once after");
}

#[tokio::test]
async fn a_server_that_is_away_or_silent_delays_mail() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();

    let silent = waiting(port, IMPATIENCE).send(outgoing()).await.unwrap_err();
    drop(listener);
    let away = mailer(port).send(outgoing()).await.unwrap_err();

    for error in [silent, away] {
        assert!(matches!(error, MailError::Transient { step: Step::Connecting, code: None, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_lost_connection_is_ambiguous_only_once_the_message_was_sent() {
    let before_data = scripted(&["220 hi", "250 hi", "250 ok", "250 ok"]).await.send(outgoing()).await.unwrap_err();
    let after_data =
        scripted(&["220 hi", "250 hi", "250 ok", "250 ok", "354 go"]).await.send(outgoing()).await.unwrap_err();

    assert!(matches!(before_data, MailError::Transient { step: Step::Data, code: None, .. }), "{before_data:?}");
    assert!(matches!(after_data, MailError::Ambiguous { .. }), "{after_data:?}");
}

#[tokio::test]
async fn a_refusal_that_is_not_about_the_mail_delays_it() {
    for (replies, step, code) in [
        (&["554 no mail here"][..], Step::Connecting, 554),
        (&["220 hi", "250 hi", "553 not your address", "250 reset"][..], Step::Sender, 553),
        (&["220 hi", "250 hi", "250 ok", "530 sign in first", "250 reset"][..], Step::Recipient, 530),
        (&["220 hi", "250 hi", "250 ok", "250 ok", "354 go", "451 full", "250 reset"][..], Step::Message, 451),
    ] {
        let error = scripted(replies).await.send(outgoing()).await.unwrap_err();

        assert!(
            matches!(&error, MailError::Transient { step: at, code: Some(with), .. } if *at == step && *with == code),
            "{error:?}"
        );
    }
    let refused = scripted(&["220 hi", "250 hi", "250 ok", "250 ok", "354 go", "554 spam", "250 reset"])
        .await
        .send(outgoing())
        .await;
    assert_eq!(refused, Err(MailError::Refused { code: 554, message: "spam".into() }));
}

#[tokio::test]
async fn a_wrong_password_delays_mail_and_shows_nowhere() {
    let port = script(&["220 hi", "250-hi\r\n250 AUTH PLAIN", "535 wrong", "221 bye"]).await;
    let url = SecretString::from(format!("smtp://us%40er:hunter2@127.0.0.1:{port}"));

    let error = Mailer::new(&url, FROM).unwrap().send(outgoing()).await.unwrap_err();

    assert_eq!(error, MailError::Transient { step: Step::SigningIn, code: Some(535), reason: "wrong".into() });
}

#[tokio::test]
async fn a_server_is_asked_whether_it_takes_us_without_a_mail() {
    let (mailer, mailbox, _stop) = mailbox().await;
    let port = script(&["220 hi", "250-hi\r\n250 AUTH PLAIN", "535 wrong", "221 bye"]).await;
    let url = SecretString::from(format!("smtp://us%40er:hunter2@127.0.0.1:{port}"));

    assert_eq!(mailer.probe().await, Ok(()));
    assert_eq!(mailbox.mails().len(), 0);
    let refused = Mailer::new(&url, FROM).unwrap().probe().await;
    assert_eq!(refused, Err(MailError::Transient { step: Step::SigningIn, code: Some(535), reason: "wrong".into() }));
}

#[tokio::test]
async fn mails_follow_each_other_on_one_connection_even_after_a_refusal() {
    let mailer = scripted(&[
        "220 hi",
        "250 hi",
        "250 ok",
        "250 ok",
        "354 go",
        "250 first", // a new connection
        "250 ok",
        "550 nobody",
        "250 reset", // refused
        "250 ok",
        "250 ok",
        "354 go",
        "250 third",
    ])
    .await;

    let first = mailer.send(outgoing()).await;
    let second = mailer.send(outgoing()).await;
    let third = mailer.send(outgoing()).await;

    assert_eq!(first.unwrap().response, "250 first");
    assert_eq!(second, Err(MailError::Refused { code: 550, message: "nobody".into() }));
    assert_eq!(third.unwrap().response, "250 third");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_costs_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let _first = Mailbox::start(listener, None, stop.clone()).unwrap();
    let mailer = mailer(address.port());
    mailer.send(outgoing()).await.unwrap();

    stop.cancel();
    let listener = loop {
        if let Ok(listener) = TcpListener::bind(address).await {
            break listener;
        }
        tokio::task::yield_now().await;
    };
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let second = Mailbox::start(listener, None, stop).unwrap();
    mailer.send(outgoing()).await.unwrap();

    assert_eq!(second.mails().len(), 1);
}

#[tokio::test]
async fn encryption_that_is_required_is_not_gone_without() {
    let (_, mailbox, _stop) = mailbox().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let plain = Mailbox::start(listener, None, stop).unwrap();
    let send = async |query: &str| {
        let url = SecretString::from(format!("smtp://127.0.0.1:{port}?tls={query}"));
        Mailer::new(&url, FROM).unwrap().send(outgoing()).await
    };

    let required = send("required").await;
    let opportunistic = send("opportunistic").await;

    assert!(matches!(required, Err(MailError::Transient { step: Step::Connecting, .. })), "{required:?}");
    assert!(opportunistic.is_ok(), "{opportunistic:?}");
    assert_eq!((plain.mails().len(), mailbox.mails().len()), (1, 0));
}

#[test]
fn settings_that_cannot_work_are_refused_without_showing_the_password() {
    for url in [
        "nonsense",
        "http://user:hunter2@relay.example",
        "smtp://user:hunter2@relay.example",
        "smtp://user:hunter2@relay.example?tls=maybe",
        "smtp://user:hunter2@relay.example?tls=required&x=1",
        "smtp://user:hunter2%ff@relay.example?tls=required",
        "smtp://user:hunter2@relay.example/path?tls=required",
        "smtp://user@relay.example?tls=required",
        "smtp://:25",
    ] {
        let refused = Mailer::new(&SecretString::from(url), FROM).unwrap_err();

        assert!(matches!(refused, MailerError::Url(_)), "{url}");
        assert!(!format!("{refused} {refused:?}").contains("hunter2"), "{url}");
    }
    let relay = SecretString::from("smtps://user:hunter2@relay.example");
    assert_eq!(Mailer::new(&relay, "no address").unwrap_err(), MailerError::From("no address".into()));
}

#[tokio::test]
async fn a_mailer_shows_where_it_sends_but_no_password() {
    for (url, shown) in [
        ("smtps://us%40er:hunter2%21@relay.example", "host: \"relay.example\", port: 465"),
        ("smtp://user:hunter2@relay.example?tls=required", "port: 587"),
        ("smtp://user:hunter2@relay.example:2525?tls=opportunistic", "port: 2525"),
        ("smtp://user:hunter2@[::1]", "host: \"::1\", port: 25"),
        ("smtp://relay", "port: 25"),
    ] {
        let mailer = Mailer::new(&SecretString::from(url), FROM).unwrap();

        let debug = format!("{mailer:?}");

        assert!(debug.contains(shown), "{debug}");
        assert!(!debug.contains("hunter2") && !debug.contains("user"), "{debug}");
        assert_eq!(mailer.message_id("mail_1"), "<mail_1@harbour.example>");
    }
}
