//! From what is to be said to the bytes that say it.

use std::time::SystemTime;

use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

use super::{MailError, Outgoing};

/// RFC 5322 allows lines of 998 characters; an id needs far fewer.
const MAX_MESSAGE_ID_LEN: usize = 250;

/// The recipient, and the message in wire format. Nothing in `mail` can begin a header of its own.
pub(super) fn build(from: &Mailbox, mail: Outgoing) -> Result<(Address, Vec<u8>), MailError> {
    let to = recipient(&mail.to)?;
    check_message_id(&mail.message_id)?;
    let name = mail.to_name.map(|name| one_line(&name)).filter(|name| !name.is_empty());
    let message = Message::builder()
        .message_id(Some(mail.message_id))
        .from(from.clone())
        .to(Mailbox::new(name, to.clone()))
        .subject(one_line(&mail.subject))
        .date(SystemTime::from(mail.date))
        // RFC 3834: absence notices are not to be sent in answer to this.
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
        .multipart(
            MultiPart::alternative().singlepart(SinglePart::plain(mail.text)).singlepart(SinglePart::html(mail.html)),
        )
        .map_err(|error| invalid("message", error))?;
    Ok((to, message.formatted()))
}

/// The address, its domain in the ASCII form that every mail server understands.
fn recipient(to: &str) -> Result<Address, MailError> {
    let (user, domain) = to.rsplit_once('@').ok_or_else(|| invalid("to", "it has no @"))?;
    let domain = url::Host::parse(domain).map_err(|error| invalid("to", error))?;
    Address::new(user, domain.to_string()).map_err(|error| invalid("to", error))
}

fn check_message_id(id: &str) -> Result<(), MailError> {
    let bare = id.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    let sound = bare.and_then(|bare| bare.split_once('@')).is_some_and(|(left, right)| {
        let clean = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>@".contains(&byte))
        };
        clean(left) && clean(right)
    });
    if sound && id.len() <= MAX_MESSAGE_ID_LEN { Ok(()) } else { Err(invalid("message_id", "it is not <left@right>")) }
}

fn one_line(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    flat.trim().to_owned()
}

fn invalid(field: &'static str, reason: impl ToString) -> MailError {
    MailError::InvalidAddress { field, reason: reason.to_string() }
}
