//! Reads a mail as far as a mailbox must show it: headers, the text part and the HTML part.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Deeper than any mail that a program writes.
const MAX_DEPTH: usize = 8;
const MAX_PARTS: usize = 100;

/// A mail, decoded. What cannot be decoded is shown as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Names and unfolded, decoded values, in the order they were written.
    pub headers: Vec<(String, String)>,
    pub text: Option<String>,
    pub html: Option<String>,
}

impl Message {
    /// The first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

/// Reads a mail in wire format.
#[must_use]
pub(super) fn parse(raw: &[u8]) -> Message {
    let (head, body) = split_head(raw);
    let raw_headers = headers(head);
    let mut message = Message::default();
    read_part(&raw_headers, body, &mut message, 0);
    message.headers = raw_headers.into_iter().map(|(name, value)| (name, decode_words(&value))).collect();
    message
}

/// The headers alone: enough for a list.
#[must_use]
pub(super) fn parse_headers(raw: &[u8]) -> Vec<(String, String)> {
    headers(split_head(raw).0).into_iter().map(|(name, value)| (name, decode_words(&value))).collect()
}

/// The first header of that name.
pub(super) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn split_head(raw: &[u8]) -> (&[u8], &[u8]) {
    match find(raw, b"\r\n\r\n") {
        Some(end) => (raw.get(..end).unwrap_or_default(), raw.get(end + 4..).unwrap_or_default()),
        None => (raw, &[]),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn headers(head: &[u8]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in String::from_utf8_lossy(head).split("\r\n") {
        if let (true, Some((_, value))) = (line.starts_with([' ', '\t']), found.last_mut()) {
            value.push_str(line);
        } else if let Some((name, value)) = line.split_once(':') {
            found.push((name.to_owned(), value.trim_start().to_owned()));
        }
    }
    found
}

fn read_part(part_headers: &[(String, String)], body: &[u8], message: &mut Message, depth: usize) {
    let content_type = header(part_headers, "content-type").unwrap_or("text/plain");
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind.starts_with("multipart/") {
        let boundary = boundary(content_type).unwrap_or_default();
        if depth < MAX_DEPTH && !boundary.is_empty() {
            for part in parts(body, &boundary) {
                let (head, body) = split_head(part);
                read_part(&headers(head), body, message, depth + 1);
            }
        }
        return;
    }
    let shown = match kind.as_str() {
        "text/plain" => &mut message.text,
        "text/html" => &mut message.html,
        _ => return,
    };
    if shown.is_none() {
        let encoding =
            header(part_headers, "content-transfer-encoding").unwrap_or_default().trim().to_ascii_lowercase();
        *shown = Some(decode_body(body, &encoding));
    }
}

fn boundary(content_type: &str) -> Option<String> {
    let parameter = content_type.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value)
    })?;
    Some(parameter.trim().trim_matches('"').to_owned())
}

fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let delimiter = format!("--{boundary}").into_bytes();
    let mut starts = Vec::new();
    let mut from = 0;
    while let Some(at) = body.get(from..).and_then(|rest| find(rest, &delimiter)) {
        let start = from + at;
        let begins_a_line = start.checked_sub(1).is_none_or(|before| body.get(before) == Some(&b'\n'));
        if begins_a_line {
            starts.push(start);
        }
        from = start + delimiter.len();
        if starts.len() > MAX_PARTS {
            break;
        }
    }
    let whole = |pair: &[usize]| {
        let &[start, end] = pair else { return None };
        let part = body.get(start + delimiter.len()..end)?;
        // The line break before a delimiter belongs to it. The one after it stays: without headers it is half of what ends them.
        Some(part.strip_suffix(b"\r\n").unwrap_or(part))
    };
    starts.windows(2).filter_map(whole).collect()
}

fn decode_body(body: &[u8], encoding: &str) -> String {
    let bytes = match encoding {
        "quoted-printable" => decode_quoted_printable(body),
        "base64" => {
            let packed: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            STANDARD.decode(packed).unwrap_or_else(|_| body.to_vec())
        }
        _ => body.to_vec(),
    };
    String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
}

fn decode_quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            decoded.push(byte);
        } else if let Some(next_line) = after.strip_prefix(b"\r\n") {
            rest = next_line;
        } else if let Some((value, after)) =
            after.split_at_checked(2).and_then(|(pair, after)| Some((hex_byte(pair)?, after)))
        {
            decoded.push(value);
            rest = after;
        } else {
            decoded.push(byte);
        }
    }
    decoded
}

fn hex_byte(pair: &[u8]) -> Option<u8> {
    let mut value = [0];
    hex::decode_to_slice(pair, &mut value).ok()?;
    value.first().copied()
}

/// Decodes the encoded words of RFC 2047; white space between two of them is not part of the text.
fn decode_words(value: &str) -> String {
    let mut decoded = String::with_capacity(value.len());
    let mut rest = value;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, word) = rest.split_at(start);
        let Some((text, after)) = decode_word(word) else {
            let (marker, after) = word.split_at(2);
            decoded.push_str(before);
            decoded.push_str(marker);
            (rest, after_word) = (after, false);
            continue;
        };
        if !(after_word && before.trim().is_empty()) {
            decoded.push_str(before);
        }
        decoded.push_str(&text);
        (rest, after_word) = (after, true);
    }
    decoded.push_str(rest);
    decoded
}

/// `=?utf-8?b?…?=` at the start of `word`: its text, and what follows it.
fn decode_word(word: &str) -> Option<(String, &str)> {
    let mut fields = word.strip_prefix("=?")?.splitn(3, '?');
    let charset = fields.next()?;
    let encoding = fields.next()?;
    let (text, after) = fields.next()?.split_once("?=")?;
    if !matches!(charset.to_ascii_lowercase().as_str(), "utf-8" | "us-ascii") {
        return None;
    }
    let bytes = match encoding {
        "b" | "B" => STANDARD.decode(text).ok()?,
        "q" | "Q" => decode_quoted_printable(text.replace('_', " ").as_bytes()),
        _ => return None,
    };
    Some((String::from_utf8_lossy(&bytes).into_owned(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_joined_and_unknown_ones_left() {
        for (value, expected) in [
            ("plain", "plain"),
            ("=?utf-8?b?R3LDvMOfZQ==?= x", "Grüße x"),
            ("a =?utf-8?q?=C3=BC_b?= =?utf-8?B?w7w=?= c", "a ü bü c"),
            ("=?koi8-r?b?AAAA?= x", "=?koi8-r?b?AAAA?= x"),
            ("=?utf-8?b?", "=?utf-8?b?"),
        ] {
            assert_eq!(decode_words(value), expected, "{value}");
        }
    }

    #[test]
    fn nested_parts_are_found_and_nonsense_is_survived() {
        let raw = b"Content-Type: multipart/mixed;\r\n boundary=\"o\"\r\n\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n\
            --i\r\n\r\nhi\r\n--i\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C3=BC=\r\n!=ZZ</p>\r\n--i--\r\n\r\n--o--\r\n";

        let message = parse(raw);

        assert_eq!(message.text.as_deref(), Some("hi"));
        assert_eq!(message.html.as_deref(), Some("<p>ü!=ZZ</p>"));
        for end in 0..raw.len() {
            assert!(parse(&raw[..end]).headers.len() <= 1);
        }
    }
}
