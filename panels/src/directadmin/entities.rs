//! HTML's character references, which DirectAdmin writes into texts: also without their semicolons, also into answers that
//! are no HTML.

/// The longest reference that is looked for, in bytes without its `&`.
const REFERENCE_MAX: usize = 8;
const NAMED: &[(&str, char)] = &[("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("nbsp", ' ')];

/// The text with its references replaced by what they stand for, once.
pub(super) fn decoded(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match reference(rest) {
            Some((character, length)) => {
                plain.push(character);
                rest = &rest[length..];
            }
            None => plain.push('&'),
        }
    }
    plain.push_str(rest);
    plain
}

/// The reference whose `&` stands before the text, and how much of the text is its.
pub(super) fn reference(after: &str) -> Option<(char, usize)> {
    if let Some(digits) = after.strip_prefix('#') {
        let length = digits.bytes().take(REFERENCE_MAX).take_while(u8::is_ascii_digit).count();
        let character = digits[..length].parse().ok().and_then(char::from_u32)?;
        let closed = usize::from(digits[length..].starts_with(';'));
        return Some((character, 1 + length + closed));
    }
    let named = |(name, character): &(&str, char)| {
        let rest = after.strip_prefix(name)?;
        rest.starts_with(';').then_some((*character, name.len() + 1))
    };
    NAMED.iter().find_map(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_with_and_without_their_semicolons() {
        for (text, plain) in [
            ("O&#39;Brien", "O'Brien"),
            ("O&#39Brien", "O'Brien"),
            ("a &amp; b &lt;c&gt; &quot;d&quot;", "a & b <c> \"d\""),
            ("&amp;lt;", "&lt;"),
            ("a & b", "a & b"),
            ("&", "&"),
            ("&#;", "&#;"),
            ("&#9999999999;", "&#9999999999;"),
            ("&unknown;", "&unknown;"),
            ("ä&#252;", "äü"),
        ] {
            assert_eq!(decoded(text), plain, "{text}");
        }
    }
}
