//! SendMail: renders a mail and hands it to the mail server, when its turn has come, unless that was done, or what it says is no
//! longer true.

use berth_jobs::mail::SendMail;

use super::{still_true, turns};
use crate::{
    app::Ctx,
    effects::{Alert, Effects, Fact, WithdrawnMail},
    error::{JobError, chain},
    failpoint,
    gateways::smtp::{MailError, Outgoing},
    mail::Mail,
};

/// Runs the job.
///
/// # Errors
/// When the mail server is away or refuses the mail, or its turn is yet to come.
pub async fn run(job: &SendMail, ctx: &Ctx) -> Result<Effects, JobError> {
    let row = ctx.store.mail(job.mail_id).await?;
    if row.accepted_at.is_some() {
        return Ok(told(&row.mail, Effects::none()));
    }
    if row.withdrawn_at.is_some() {
        return Ok(Effects::none());
    }
    if let Some(because) = still_true::outdated(&row, ctx).await? {
        let withdrawn = WithdrawnMail { id: row.id, because, at: ctx.now() };
        return Ok(told(&row.mail, Effects::none().withdraw(withdrawn)));
    }
    let mailer = ctx.mailer()?;
    turns::take(&row, ctx).await?;
    let rendered = ctx.renderer.render(&row.mail, &ctx.shop)?;
    failpoint::hit("mail.read");
    // What keeps two sendings apart is the Message-ID, not the count of attempts: the disk need not be waited for.
    ctx.fence(Fact::MailAttempted { mail_id: row.id, at: ctx.now() }).await?;
    failpoint::hit("mail.before_send");
    let sent = mailer
        .send(Outgoing {
            // The same at every attempt: should the answer be lost, the reader's program sees one mail.
            message_id: mailer.message_id(row.id),
            to: row.email,
            to_name: row.name,
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
            date: row.created_at,
        })
        .await;
    failpoint::hit("mail.after_send");
    match sent {
        Ok(accepted) => {
            let accepted = Fact::MailAccepted { mail_id: row.id, at: ctx.now(), response: accepted.response };
            Ok(told(&row.mail, accepted.into()))
        }
        Err(error @ (MailError::Refused { .. } | MailError::InvalidAddress { .. })) => {
            let response = chain(&error);
            let alert = Alert {
                kind: "mail_refused",
                subject: row.id.to_string(),
                detail: format!("{response}. It is not sent again: correct the customer's address."),
            };
            Ok(Effects::from(Fact::MailRefused { mail_id: row.id, at: ctx.now(), response }).alert(alert))
        }
        Err(error) => Err(error.into()),
    }
}

/// An account may wait until its customer was told.
fn told(mail: &Mail, effects: Effects) -> Effects {
    mail.awaited_by().into_iter().fold(effects, Effects::look)
}
