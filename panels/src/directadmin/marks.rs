//! Our mark among an account's comments: that Berth suspends it, why, under which of the server's words, and since when.

use std::fmt;

const BEGINS: &str = "[suspended-by-berth ";
const ENDS: char = ']';
/// A reason that is longer is cut: it is a word for staff.
const WORD_MAX: usize = 60;

/// The mark, of which an account has one at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Why, in Berth's words.
    pub(super) reason: String,
    /// The server's word that the suspension is made under.
    pub(super) under: String,
    /// The suspension's own date, once it is known: Unix time in seconds.
    pub(super) at: Option<u64>,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BEGINS}reason={} under={}", self.reason, self.under)?;
        if let Some(at) = self.at {
            write!(f, " at={at}")?;
        }
        write!(f, "{ENDS}")
    }
}

/// Whether a text is one word of characters that comments, forms and pages leave as they are.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= WORD_MAX && text.chars().all(is_of_word)
}

fn is_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

/// A reason as one word.
pub(super) fn word(reason: &str) -> String {
    let word: String = reason.trim().chars().map(|c| if is_of_word(c) { c } else { '_' }).take(WORD_MAX).collect();
    if word.is_empty() { "_".to_owned() } else { word }
}

/// An account's comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comments(pub(super) String);

impl Comments {
    /// The mark among them. What looks like one and is none is somebody's text.
    pub(super) fn mark(&self) -> Option<Mark> {
        self.0.match_indices(BEGINS).find_map(|(at, _)| parsed(&self.0[at..])).map(|(mark, _)| mark)
    }

    /// The same with this mark and no other, or with none.
    pub(super) fn with(&self, mark: Option<&Mark>) -> Self {
        let mut rest = self.0.as_str();
        let mut text = String::new();
        while let Some(at) = rest.find(BEGINS) {
            let length = parsed(&rest[at..]).map(|(_, length)| length);
            // The line break before a mark was written with it.
            let kept = if length.is_some() { rest[..at].trim_end() } else { &rest[..at + BEGINS.len()] };
            text.push_str(kept);
            rest = &rest[at + length.unwrap_or(BEGINS.len())..];
        }
        text.push_str(rest);
        if let Some(mark) = mark {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&mark.to_string());
        }
        Self(text)
    }
}

/// The mark that a text begins with, and its length.
fn parsed(text: &str) -> Option<(Mark, usize)> {
    let end = text.find(ENDS)?;
    let (mut reason, mut under, mut at) = (None, None, None);
    for field in text[BEGINS.len()..end].split_ascii_whitespace() {
        let (name, value) = field.split_once('=')?;
        match name {
            "reason" if is_word(value) => reason = Some(value.to_owned()),
            "under" if is_word(value) => under = Some(value.to_owned()),
            "at" => at = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    Some((Mark { reason: reason?, under: under?, at }, end + ENDS.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(at: Option<u64>) -> Mark {
        Mark { reason: "non_payment".to_owned(), under: "billing".to_owned(), at }
    }

    #[test]
    fn a_mark_is_read_as_it_is_written_and_leaves_what_staff_wrote() {
        for text in ["", "called on Monday", "first\nsecond [not a mark]\n[suspended-by-berth whatever]"] {
            for at in [None, Some(1_764_184_606)] {
                let comments = Comments(text.to_owned());

                let marked = comments.with(Some(&mark(at)));

                assert_eq!(marked.mark(), Some(mark(at)), "{marked:?}");
                assert!(marked.0.starts_with(text), "{marked:?}");
                assert_eq!(marked.with(None), comments);
                assert_eq!(marked.with(Some(&mark(Some(7)))).with(None), comments);
            }
        }
    }

    #[test]
    fn what_staff_write_after_a_mark_stays() {
        let comments = Comments(format!("before\n{}\nafter", mark(None)));

        assert_eq!(comments.with(None).0, "before\nafter");
        assert_eq!(comments.with(Some(&mark(Some(3)))).mark(), Some(mark(Some(3))));
    }

    #[test]
    fn nothing_else_is_a_mark() {
        for text in [
            "",
            "[suspended-by-berth ]",
            "[suspended-by-berth reason=a]",
            "[suspended-by-berth reason=a under=b at=x]",
            "[suspended-by-berth reason=a under=b who=c]",
            "[suspended-by-berth reason=a under=b",
            "suspended-by-berth reason=a under=b",
        ] {
            assert_eq!(Comments(text.to_owned()).mark(), None, "{text}");
        }
    }

    #[test]
    fn a_reason_is_one_word() {
        assert_eq!(word(" payment overdue] "), "payment_overdue_");
        assert_eq!(word(""), "_");
        assert!(is_word(&word(&"ä".repeat(200))));
    }
}
