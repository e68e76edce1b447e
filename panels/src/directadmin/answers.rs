//! What DirectAdmin has answered: JSON where it was asked for and the command knows it, a url-encoded form otherwise, and
//! HTML where the request was not for it to answer.

use serde_json::{Map, Value};

use super::{entities, texts::Refusal};
use crate::{
    Cause, PanelError,
    http::{Answer, Effect},
};

/// DirectAdmin has too many accounts for its licence, or none.
const PAYMENT_REQUIRED: u16 = 402;
/// Statuses of what stands before DirectAdmin, and of its not having looked: no body of these is a refusal.
const NOT_ITS_OWN: &[u16] = &[408, 429, 502, 503, 504];
/// Said in a header of the page that is answered in place of a refusal of the credentials.
const LOGIN_HEADER: &str = "x-directadmin";
/// Of pages in place of answers, what is for the operator: a ban of our address, a lapsed licence.
const OPERATORS: &[(&str, &str)] = &[
    ("blacklisted", "DirectAdmin has banned our address"),
    ("has been blocked", "DirectAdmin has banned our address"),
    ("license", "DirectAdmin's licence does not let it work"),
    ("directadmin login", "DirectAdmin answered with the page of its login"),
];

/// What was answered, or why it was refused. The outer error is that nothing was said that can be understood.
pub(super) type Said = Result<Result<Value, Refusal>, PanelError>;

/// Reads an answer. A refusal comes with any status, as it was in one version or another.
pub(super) fn read(command: &str, effect: Effect, answer: Answer, secrets: &[&str]) -> Said {
    let status = answer.status.as_u16();
    if status == PAYMENT_REQUIRED {
        return Err(PanelError::misconfigured("DirectAdmin's licence does not let it work (402)"));
    }
    let is_login = answer.headers.get(LOGIN_HEADER).is_some_and(|said| said.as_bytes() == b"Unauthorized");
    if status == 401 || is_login {
        return Err(PanelError::misconfigured("DirectAdmin refused the credentials"));
    }
    let value = value_of(&answer.body);
    let own = value.as_ref().filter(|_| !NOT_ITS_OWN.contains(&status));
    if let Some(refusal) = own.and_then(|value| refusal(command, value, secrets)) {
        tracing::debug!(command, reason = refusal.reason(), "DirectAdmin has refused a call");
        return Ok(Err(refusal));
    }
    let answer = answer.accepted()?;
    if let Some(why) = for_operator(&answer.body) {
        return Err(PanelError::misconfigured(why));
    }
    let value = match value {
        Some(value) => value,
        // It is neither, and that says what it is.
        None => answer.json()?,
    };
    if effect == Effect::Mutation && !is_success(&value) {
        return Err(effect.unanswered(Cause::new(format!("DirectAdmin does not say whether it did {command}"))));
    }
    Ok(Ok(value))
}

fn value_of(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok().or_else(|| form(str::from_utf8(body).ok()?))
}

/// A url-encoded form, whose texts may have bare ampersands in them: those of HTML's references, and any that no name and
/// equals sign follow.
fn form(body: &str) -> Option<Value> {
    let body = body.trim();
    if body.starts_with(['<', '{', '[']) || !body.contains('=') {
        return None;
    }
    let mut pairs: Vec<String> = Vec::new();
    for (nth, piece) in body.split('&').enumerate() {
        let begins_pair = nth == 0 || (entities::reference(piece).is_none() && name_of(piece).is_some());
        match pairs.last_mut().filter(|_| !begins_pair) {
            Some(last) => {
                last.push('&');
                last.push_str(piece);
            }
            None => pairs.push(piece.to_owned()),
        }
    }
    name_of(pairs.first()?)?;
    Some(object(&pairs))
}

/// The name that a piece of a form begins with.
fn name_of(piece: &str) -> Option<&str> {
    let (name, _) = piece.split_once('=')?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]%".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_plain)).then_some(name)
}

/// What JSON would have said: `list[]` alone is an array of texts, anything else an object of texts.
fn object(pairs: &[String]) -> Value {
    let decoded = pairs.iter().map(|pair| {
        // An ampersand within a value would end it for the reader of forms.
        let pair = pair.replace('&', "%26");
        let read = url::form_urlencoded::parse(pair.as_bytes()).next();
        let (name, value) = read.unwrap_or_default();
        (name.into_owned(), Value::String(entities::decoded(&value)))
    });
    let decoded: Vec<_> = decoded.collect();
    if decoded.iter().all(|(name, _)| name == "list[]") {
        return decoded.into_iter().map(|(_, value)| value).collect();
    }
    Value::Object(decoded.into_iter().collect())
}

/// `{"error": "…", "result": "…"}`, `{"error": 1, "text": "…", "details": "…"}`, or the same in a form.
fn refusal(command: &str, value: &Value, secrets: &[&str]) -> Option<Refusal> {
    let fields = value.as_object()?;
    let error = text_of(fields, "error").filter(|error| !matches!(error.as_str(), "" | "0"))?;
    let what = Some(error).filter(|error| error != "1");
    let said = [what, text_of(fields, "text"), text_of(fields, "result"), text_of(fields, "details")];
    let said: Vec<_> = said.into_iter().flatten().filter(|text| !text.trim().is_empty()).collect();
    Some(Refusal::new(command, &said.join(": "), secrets))
}

/// `{"success": "…"}` or `error=0`: a command that did something says so.
fn is_success(value: &Value) -> bool {
    let text = |name| value.as_object().and_then(|fields| text_of(fields, name));
    text("success").is_some_and(|said| !said.is_empty()) || text("error").is_some_and(|error| error == "0")
}

/// A text, number or truth of an object as text.
pub(super) fn text_of(fields: &Map<String, Value>, name: &str) -> Option<String> {
    match fields.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(u8::from(*truth).to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What a page in place of an answer says to the operator.
fn for_operator(body: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    let is_html = text.trim_start().starts_with('<');
    OPERATORS.iter().find(|(words, _)| is_html && text.contains(words)).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(body: &str) -> Option<String> {
        refusal("X", &value_of(body.as_bytes())?, &[]).map(|refusal| refusal.reason().to_owned())
    }

    #[test]
    fn forms_are_read_whatever_ampersands_are_in_their_texts() {
        for (body, value) in [
            ("error=0&text=User%20created&details=", json!({"error": "0", "text": "User created", "details": ""})),
            (
                "error=1&text=Can&#39t do&details=a &amp; b & c",
                json!({"error": "1", "text": "Can't do", "details": "a & b & c"}),
            ),
            ("text=R%26D+%26amp%3B+more&error=0", json!({"text": "R&D & more", "error": "0"})),
            ("list[]=small&list%5B%5D=large", json!(["small", "large"])),
        ] {
            assert_eq!(value_of(body.as_bytes()), Some(value), "{body}");
        }
    }

    #[test]
    fn what_is_neither_json_nor_a_form_is_nothing() {
        for body in ["", "OK", "<html a=b>", "{\"error\":", "[1", "a b=c", "=x"] {
            assert_eq!(value_of(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn refusals_are_found_in_every_shape() {
        for (body, reason) in [
            (r#"{"error":"Cannot do","result":"as it is"}"#, Some("Cannot do: as it is")),
            (r#"{"error":1,"text":"Cannot do","details":"as it is"}"#, Some("Cannot do: as it is")),
            ("error=1&text=Cannot%20do&details=as%20it%20is", Some("Cannot do: as it is")),
            ("error=1&text=&details=", Some("")),
            (r#"{"error":"0","success":"done"}"#, None),
            (r#"{"success":"done"}"#, None),
            (r#"["error"]"#, None),
        ] {
            assert_eq!(refused(body).as_deref(), reason, "{body}");
        }
    }

    #[test]
    fn success_is_said_and_never_supposed() {
        for (body, is) in [
            (r#"{"success":"User created","result":""}"#, true),
            ("error=0&text=User%20created", true),
            (r#"{"success":""}"#, false),
            ("action=create&passwd=x", false),
            ("[]", false),
        ] {
            assert_eq!(is_success(&value_of(body.as_bytes()).unwrap()), is, "{body}");
        }
    }
}
