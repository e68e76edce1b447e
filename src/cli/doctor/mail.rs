//! Mail: the server takes our credentials, and, where that was asked for, a mail.

use std::time::Duration;

use tokio::time::timeout;

use super::check::{Check, broken, ok, skipped, warning};
use crate::{
    app::mailer_of,
    clock::Clock,
    config::Config,
    error::chain,
    gateways::smtp::{Accepted, MailError, Mailer, Outgoing},
};

/// Nobody waits longer for an answer that comes within a second where all is well.
const PATIENCE: Duration = Duration::from_secs(10);
/// A test mail is on its way when it is taken, which a server that looks at mails first may take a while for.
const PATIENCE_FOR_A_MAIL: Duration = Duration::from_secs(30);

pub(super) async fn look(config: &Config, to: Option<&str>, offline: bool) -> Vec<Check> {
    let (Some(url), Some(from)) = (&config.mail.smtp_url, &config.mail.from) else {
        let fix = "set mail.smtp_url and mail.from";
        return vec![warning("mail", "mail.smtp_url or mail.from is not set: no mail leaves from here", fix)];
    };
    let mailer = match mailer_of(config) {
        Ok(Some(mailer)) => mailer,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![broken("mail", chain(&error), "set mail.smtp_url and mail.from right")],
    };
    if offline {
        return vec![skipped("mail")];
    }
    let shown = format!("from {from} by {}", url.redacted());
    let mut checks = vec![of_server(timeout(PATIENCE, mailer.probe()).await.ok(), &shown)];
    if let Some(to) = to {
        checks.push(of_sending(send(&mailer, config, to).await, to));
    }
    checks
}

async fn send(mailer: &Mailer, config: &Config, to: &str) -> Option<Result<Accepted, MailError>> {
    let shop = &config.shop.name;
    let text = format!(
        "This is the test mail that `berth doctor --mail` has sent for {shop}.\n\nWho reads it, in the inbox and not among \
         the unwanted, knows that customers of {shop} get theirs.\n"
    );
    let mail = Outgoing {
        message_id: mailer.message_id(format_args!("doctor-{}", uuid::Uuid::now_v7())),
        to: to.to_owned(),
        to_name: None,
        subject: format!("Test of the mails of {shop}"),
        html: format!("<p>{}</p>", escaped(&text)),
        text,
        date: Clock::machine(),
    };
    timeout(PATIENCE_FOR_A_MAIL, mailer.send(mail)).await.ok()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn of_server(answer: Option<Result<(), MailError>>, shown: &str) -> Check {
    const NAME: &str = "mail";
    match answer {
        Some(Ok(())) => ok(NAME, format!("{shown}: it takes our mail")),
        Some(Err(error)) => broken(NAME, format!("{shown}: {}", chain(&error)), fix_of(&error)),
        None => broken(NAME, format!("{shown}: no answer within {} s", PATIENCE.as_secs()), REACH),
    }
}

const REACH: &str = "let this machine reach the mail server: its port may be closed by a firewall (25 mostly is)";

fn fix_of(error: &MailError) -> &'static str {
    match error {
        MailError::Transient { code: Some(530 | 535), .. } => "set the user and password in mail.smtp_url right",
        MailError::Transient { code: None, .. } | MailError::Ambiguous { .. } => REACH,
        MailError::Transient { code: Some(_), .. } | MailError::Refused { .. } => "ask whoever runs the mail server",
        MailError::InvalidAddress { .. } => "give a mail address",
    }
}

fn of_sending(answer: Option<Result<Accepted, MailError>>, to: &str) -> Check {
    const NAME: &str = "test mail";
    match answer {
        Some(Ok(accepted)) => ok(NAME, format!("on its way to {to}; the server said: {}", accepted.response)),
        Some(Err(error)) => broken(NAME, format!("to {to}: {}", chain(&error)), fix_of(&error)),
        None => broken(NAME, format!("to {to}: no answer within {} s", PATIENCE_FOR_A_MAIL.as_secs()), REACH),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::Verdict, *};
    use crate::gateways::smtp::Step;

    fn failed(code: Option<u16>) -> MailError {
        MailError::Transient { step: Step::SigningIn, code, reason: "no".to_owned() }
    }

    #[test]
    fn a_server_that_refuses_us_fails_with_what_mends_it() {
        let refused = of_server(Some(Err(failed(Some(535)))), "from a by b");
        let away = of_server(Some(Err(failed(None))), "from a by b");

        assert_eq!((refused.verdict, away.verdict), (Verdict::Broken, Verdict::Broken));
        assert!(refused.fix.unwrap().contains("user and password"));
        assert!(away.fix.unwrap().contains("reach"));
        assert_eq!(of_server(None, "from a by b").verdict, Verdict::Broken);
        assert_eq!(of_server(Some(Ok(())), "from a by b").verdict, Verdict::Ok);
    }

    #[test]
    fn a_mail_that_is_refused_fails_and_one_that_is_taken_tells_what_the_server_said() {
        let taken = of_sending(Some(Ok(Accepted { response: "250 queued as 7".to_owned() })), "a@b.example");
        let refused =
            of_sending(Some(Err(MailError::Refused { code: 550, message: "no such user".to_owned() })), "a@b.example");

        assert!(taken.verdict == Verdict::Ok && taken.detail.contains("queued as 7"));
        assert!(refused.verdict == Verdict::Broken && refused.detail.contains("no such user"));
    }

    #[tokio::test]
    async fn without_a_server_it_is_said_and_nothing_is_asked() {
        let config = Config::from_settings(&[]).unwrap();

        let checks = look(&config, Some("a@b.example"), false).await;

        assert!(checks.len() == 1 && checks[0].verdict == Verdict::Warning);
    }
}
