//! Says where in a JSON text serde gave up, without repeating any of its values.

/// Deeper nesting than serde_json itself accepts.
const MAX_DEPTH: usize = 128;

/// The place and the kind of a parse failure: `data.object.amount: expected i64`. Never holds values of the text.
pub(super) fn describe(text: &str, error: &serde_json::Error) -> String {
    let mut frames = frames_at(text, offset_of(text, error));
    let problem = problem(error);
    if problem.starts_with("missing field")
        && let Some(Frame::Object { key }) = frames.last_mut()
    {
        // What is missing belongs beside the last key that was read, not below it.
        key.clear();
    }
    let path = render(&frames);
    if path.is_empty() { problem } else { format!("{path}: {problem}") }
}

/// serde's sentence up to its position, less the offending value, which may be personal data.
fn problem(error: &serde_json::Error) -> String {
    let sentence = error.to_string();
    let sentence = sentence.rsplit_once(" at line ").map_or(sentence.as_str(), |(before, _)| before);
    if !error.is_data() || sentence.starts_with("missing field") || sentence.starts_with("duplicate field") {
        return sentence.to_owned();
    }
    sentence
        .rsplit_once(", expected ")
        .map_or_else(|| "unexpected value".to_owned(), |(_, expected)| format!("expected {expected}"))
}

/// serde_json counts lines from 1 and columns in bytes already read, so the byte before the position still belongs to the culprit.
fn offset_of(text: &str, error: &serde_json::Error) -> usize {
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    line_start.saturating_add(error.column()).saturating_sub(1)
}

enum Frame {
    Object { key: String },
    Array { index: usize },
}

/// The objects and arrays that are open at the byte at `offset`.
fn frames_at(text: &str, offset: usize) -> Vec<Frame> {
    let bytes = text.as_bytes();
    let end = offset.min(bytes.len());
    let mut frames: Vec<Frame> = Vec::new();
    let mut at = 0;
    while at < end {
        match bytes[at] {
            b'{' if frames.len() < MAX_DEPTH => frames.push(Frame::Object { key: String::new() }),
            b'[' if frames.len() < MAX_DEPTH => frames.push(Frame::Array { index: 0 }),
            b'}' | b']' => drop(frames.pop()),
            b',' => {
                if let Some(Frame::Array { index }) = frames.last_mut() {
                    *index += 1;
                }
            }
            b'"' => {
                let close = closing_quote(bytes, at);
                if let (Some(Frame::Object { key }), true) = (frames.last_mut(), is_key(bytes, close)) {
                    *key = text.get(at + 1..close).unwrap_or_default().to_owned();
                }
                at = close;
            }
            _ => {}
        }
        at += 1;
    }
    frames
}

/// The index of the quote that ends the string opened at `open`, or the end of the text.
fn closing_quote(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'"' => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// A string is a key when a colon follows it.
fn is_key(bytes: &[u8], close: usize) -> bool {
    bytes.iter().skip(close + 1).find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

fn render(frames: &[Frame]) -> String {
    let mut path = String::new();
    for frame in frames {
        match frame {
            Frame::Object { key } if key.is_empty() => {}
            Frame::Object { key } => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
            Frame::Array { index } => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[serde(rename = "list")]
        _list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(rename = "amount")]
        _amount: i64,
    }

    fn check(text: &str, expected: &str) {
        let error = serde_json::from_str::<Outer>(text).unwrap_err();
        assert_eq!(describe(text, &error), expected, "{text}");
    }

    #[test]
    fn the_place_is_named_and_the_value_is_not() {
        check(r#"{"list":[{"amount":1},{"amount":"pi_1_secret_2"}]}"#, "list[1].amount: expected i64");
        check(
            "{\n \"x\": {\"list\": 3},\n \"list\": [\n  {\"amount\": \"a, expected \\\" b\"}\n ]\n}",
            "list[0].amount: expected i64",
        );
        check(r#"{"list":[{"amount":{}}]}"#, "list[0].amount: expected i64");
        check(r#"{"list":[{"amount":null}]}"#, "list[0].amount: expected i64");
        check(r#"{"list":[{"amount":1.5}]}"#, "list[0].amount: expected i64");
    }

    #[test]
    fn a_missing_field_is_named_below_its_parent() {
        check(r#"{"other":{"amount":1},"list":[{"ämount":1}]}"#, "list[0]: missing field `amount`");
        check("{}", "missing field `list`");
    }

    #[test]
    fn text_that_ends_too_early_says_where() {
        check(r#"{"list":[{"amount":"#, "list[0].amount: EOF while parsing a value");
    }
}
