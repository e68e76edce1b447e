//! What templates see: a mail's fields as values of one line each, and the filters that show dates and amounts.

use std::{collections::BTreeMap, fmt::Write};

use jiff::Timestamp;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, Value};
use rust_decimal::Decimal;
use serde::Serialize;

use super::{Mail, Shop};

/// The fields of `mail`, and `shop`.
pub(super) fn of(mail: &Mail, shop: &Shop) -> Result<Value, serde_json::Error> {
    #[derive(Serialize)]
    struct Context<'a> {
        #[serde(flatten)]
        mail: &'a Mail,
        shop: &'a Shop,
    }
    Ok(to_value(serde_json::to_value(Context { mail, shop })?))
}

fn to_value(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(truth) => Value::from(truth),
        Json::Number(number) => number.as_i64().map_or_else(|| Value::from(number.to_string()), Value::from),
        Json::String(text) => Value::from(one_line(&text)),
        Json::Array(items) => Value::from(items.into_iter().map(to_value).collect::<Vec<_>>()),
        Json::Object(fields) => {
            Value::from(fields.into_iter().map(|(name, field)| (name, to_value(field))).collect::<BTreeMap<_, _>>())
        }
    }
}

/// `text` on one line, for every field of every mail is one.
///
/// Customers choose some of them, so a line break would let a name write paragraphs of its own into the text part or
/// headers below the subject, and a change of writing direction would let it disguise what follows.
pub(super) fn one_line(text: &str) -> String {
    let turned = text.chars().filter(|c| !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
    let flat: String =
        turned.map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect();
    flat.trim().to_owned()
}

/// Adds what Berth's templates may use to minijinja's own filters, and takes away what would leave a value unescaped.
pub(super) fn extend(env: &mut Environment<'static>) {
    env.add_filter("date", |at: String| show(&at, "%-d %B %Y"));
    env.add_filter("datetime", |at: String| show(&at, "%-d %B %Y at %H:%M UTC"));
    env.add_test("zero", |amount: String| amount.parse::<Decimal>().is_ok_and(|amount| amount.is_zero()));
    env.remove_filter("safe");
    env.set_formatter(write_escaped);
}

fn show(at: &str, format: &str) -> Result<String, Error> {
    let at: Timestamp =
        at.parse().map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("{at:?} is no instant")))?;
    Ok(at.strftime(format).to_string())
}

/// Writes a value into HTML so that it is inert as text and inside a quoted attribute.
///
/// minijinja's own escape also turns `/` into an entity, which is harmless but makes every link unreadable in the source.
fn write_escaped(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let Some(text) = value.as_str().filter(|_| *state.auto_escape() == AutoEscape::Html) else {
        return minijinja::escape_formatter(out, state, value);
    };
    for c in text.chars() {
        match c {
            '&' => out.write_str("&amp;"),
            '<' => out.write_str("&lt;"),
            '>' => out.write_str("&gt;"),
            '"' => out.write_str("&quot;"),
            '\'' => out.write_str("&#39;"),
            other => out.write_char(other),
        }
        .map_err(|_| Error::new(ErrorKind::WriteFailure, "the mail could not be written"))?;
    }
    Ok(())
}
