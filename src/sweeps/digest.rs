//! The operator's daily mail: what happened yesterday, by the shop's own days, and what waits for a person.

use berth_jobs::ids::MailId;
use jiff::{Timestamp, ToSpan, civil::Date};

use super::{Action, Page, Sources, Step, SweepError};
use crate::{
    effects::{Effects, ShopMail},
    mail::Mail,
};

/// One mail, or none where nobody is named who reads it. Its key is the day, so that it is sent once.
pub(super) async fn page(sources: &Sources<'_>, as_of: Timestamp) -> Result<Page, SweepError> {
    let nothing = Page { steps: Vec::new(), effects: Effects::none(), next: None };
    let Some(to) = &sources.config.shop.operator_email else { return Ok(nothing) };
    let (day, from, until) = yesterday(sources, as_of)?;
    if sources.store.digest_exists(day).await? {
        return Ok(nothing);
    }
    let digest = sources.store.digest(day, from, until).await?;
    let step = Step {
        action: Action::Mail,
        subject: format!("the digest of {day} to {to}"),
        detail: None,
        customer: None,
        amount: None,
        due_at: until,
        rows: 1,
    };
    let mail = ShopMail { id: MailId::new(), to: to.clone(), mail: Mail::Digest(digest) };
    Ok(Page { steps: vec![step], effects: Effects::none().mail_to_shop(mail), next: None })
}

/// The shop's last day that is over, with its beginning and end.
fn yesterday(sources: &Sources<'_>, as_of: Timestamp) -> Result<(Date, Timestamp, Timestamp), SweepError> {
    let today = as_of.to_zoned(sources.time_zone.clone()).date();
    let begun = |day: Date| day.to_zoned(sources.time_zone.clone()).map(|at| at.timestamp());
    let day = today.checked_sub(1.day())?;
    Ok((day, begun(day)?, begun(today)?))
}
