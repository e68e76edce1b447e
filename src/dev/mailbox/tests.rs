use std::time::Duration;

use axum::{body::Body, http::Request};
use serde_json::Value;
use tempfile::tempdir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use super::{Kept, MAX_MAILS, Mailbox, ReceivedMail, router, server::MAX_MESSAGE_BYTES};

const PATIENCE: Duration = Duration::from_secs(20);

async fn start(dir: Option<&std::path::Path>) -> (std::net::SocketAddr, Mailbox, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let mailbox = Mailbox::start(listener, dir.map(Into::into), stop.clone()).unwrap();
    (address, mailbox, stop.drop_guard())
}

/// Says everything at once and returns all answers.
async fn say(address: std::net::SocketAddr, words: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(words).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answers = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answers)).await.unwrap().unwrap();
    answers
}

fn mail(subject: &str, body: &str) -> String {
    format!(
        "EHLO me\r\nMAIL FROM:<a@x.example> SIZE=3\r\nrcpt to:<b@y.example>\r\nDATA\r\nMessage-ID: <m1@x>\r\nSubject: {subject}\r\n\
         Content-Type: text/html\r\n\r\n{body}\r\n.\r\nQUIT\r\n"
    )
}

async fn fetch(mailbox: &Mailbox, path: &str) -> (u16, String, String) {
    let response = router(mailbox.clone()).oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let policy =
        response.headers().get("content-security-policy").map_or("", |policy| policy.to_str().unwrap()).to_owned();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, policy, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_conversation_goes_as_smtp_says() {
    let (address, mailbox, _stop) = start(None).await;

    let answers = say(address, mail("Hi", "..dot\r\n.x").as_bytes()).await;

    insta::assert_snapshot!(answers.replace('\r', ""), @r#"
    220 mailbox.berth.localhost ESMTP
    250-mailbox.berth.localhost
    250-8BITMIME
    250-SMTPUTF8
    250 SIZE 10485760
    250 go on
    250 known
    354 end with a dot on a line of its own
    250 kept as 1
    221 goodbye
    "#);
    assert_eq!(mailbox.mails()[0].message().html.as_deref(), Some(".dot\nx\n"));
}

#[tokio::test]
async fn commands_out_of_order_or_unknown_are_answered() {
    let (address, mailbox, _stop) = start(None).await;
    let long = format!("NOOP {}\r\n", "x".repeat(5_000));
    let words = format!(
        "HELO me\r\nDATA\r\nRCPT TO:<b@y>\r\nMAIL FROM:a@x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<>\r\nRCPT TO:<b@y>\r\nRSET\r\nDATA\r\nVRFY b\r\n{long}NOOP\r\nQUIT\r\n"
    );

    let answers = say(address, words.as_bytes()).await;

    let codes: Vec<&str> = answers.lines().filter_map(|line| line.get(..3)).collect();
    assert_eq!(
        codes,
        ["220", "250", "503", "503", "501", "250", "501", "250", "250", "503", "502", "500", "250", "221"]
    );
    assert!(mailbox.mails().is_empty());
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_the_next_one_taken() {
    let (address, mailbox, _stop) = start(None).await;
    let line = format!("{}\r\n", "x".repeat(998));
    let large = line.repeat(MAX_MESSAGE_BYTES / line.len() + 1);
    let words = mail("large", &large).replace("QUIT\r\n", "") + &mail("small", "x");

    let answers = say(address, words.as_bytes()).await;

    assert!(answers.contains("552 too large"), "{answers}");
    assert_eq!(mailbox.mails().iter().map(|mail| mail.subject.as_str()).collect::<Vec<_>>(), ["small"]);
}

#[tokio::test]
async fn a_message_cut_short_is_not_kept() {
    let (address, mailbox, _stop) = start(None).await;

    say(address, mail("cut", "x").split(".\r\nQUIT").next().unwrap().as_bytes()).await;
    say(address, mail("whole", "x").as_bytes()).await;

    assert_eq!(mailbox.mails().len(), 1);
}

#[tokio::test]
async fn mails_outlive_a_restart() {
    let dir = tempdir().unwrap();
    let (address, mailbox, stop) = start(Some(dir.path())).await;
    say(address, mail("one", "x").as_bytes()).await;
    say(address, mail("two", "x").as_bytes()).await;
    let before = mailbox.mails();
    drop((mailbox, stop));

    let (address, mailbox, _stop) = start(Some(dir.path())).await;
    let found = mailbox.mails();
    say(address, mail("three", "x").as_bytes()).await;
    timeout(PATIENCE, mailbox.until_accepted(3)).await.unwrap();

    let shown =
        |mails: &[std::sync::Arc<ReceivedMail>]| mails.iter().map(|mail| format!("{mail:?}")).collect::<Vec<_>>();
    assert_eq!(shown(&found), shown(&before));
    assert_eq!(
        mailbox.mails().iter().map(|mail| (mail.id, mail.subject.as_str())).collect::<Vec<_>>(),
        [(1, "one"), (2, "two"), (3, "three")]
    );
    assert_eq!(mailbox.acceptances("<m1@x>"), 3);
    assert!(dir.path().join("00000003.eml").exists());
}

#[test]
fn the_oldest_go_when_there_are_too_many() {
    let mut kept = Kept::default();
    let limit = u64::try_from(MAX_MAILS).unwrap();

    for id in 1..=limit {
        assert_eq!(
            kept.add(ReceivedMail::read(id, format!("Message-ID: <{}@x>\r\n\r\n", id % 2).into_bytes())),
            [0; 0]
        );
    }
    let outdated = kept.add(ReceivedMail::read(limit + 1, b"Message-ID: <new@x>\r\n\r\n".to_vec()));

    assert_eq!(outdated, [1]);
    assert_eq!(kept.mails.len(), MAX_MAILS);
    assert_eq!((kept.acceptances["<1@x>"], kept.acceptances["<new@x>"]), (limit / 2, 1), "also of what had to go");
}

#[tokio::test]
async fn pages_and_json_show_what_came() {
    let (address, mailbox, _stop) = start(None).await;
    say(address, mail("<b>Hi</b>", "<script>alert(1)</script>").as_bytes()).await;
    say(address, mail("again", "x").as_bytes()).await;

    let (_, _, json) = fetch(&mailbox, "/dev/mail.json").await;
    let mails: Vec<Value> = serde_json::from_str(&json).unwrap();
    let (status, _, list) = fetch(&mailbox, "/dev/mail").await;
    let (_, policy, shown) = fetch(&mailbox, "/dev/mail/1").await;
    let (_, html_policy, html) = fetch(&mailbox, "/dev/mail/1/html").await;
    let (_, _, nobodys) = fetch(&mailbox, "/dev/mail.json?to=c%40y.example").await;

    assert_eq!(mails.iter().map(|mail| &mail["id"]).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(
        (&mails[1]["subject"], &mails[1]["to"], &mails[1]["acceptances"]),
        (&"<b>Hi</b>".into(), &"b@y.example".into(), &2.into())
    );
    assert_eq!(nobodys, "[]");
    assert!(status == 200 && list.contains("&lt;b&gt;Hi&lt;&#x2f;b&gt;") && list.contains("2 times"), "{list}");
    assert!(
        shown.contains(r#"<iframe src="/dev/mail/1/html" sandbox="#)
            && shown.contains("&lt;m1@x&gt;")
            && !shown.contains("<script"),
        "{shown}"
    );
    assert!(policy.starts_with("default-src 'none'"));
    assert!(
        html_policy.starts_with("sandbox ")
            && !html_policy.contains("allow-scripts")
            && html == "<script>alert(1)</script>\n"
    );
    assert_eq!(fetch(&mailbox, "/dev/mail/9").await.0, 404);
    assert_eq!(fetch(&mailbox, "/dev/mail/2x").await.0, 400);
}
