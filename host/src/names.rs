//! The only texts of a request that become parts of paths, of SQL, or of the daemons' files: each is proved harmless first.

use std::fmt;

use crate::failure::Failure;

const DOMAIN_MAX: usize = 253;
const LABEL_MAX: usize = 63;
const EMAIL_MAX: usize = 254;
const WORD_MAX: usize = 64;
/// Too short to be a password that Berth made.
const PASSWORD_MIN: usize = 8;
const PASSWORD_MAX: usize = 128;

/// A login: `[a-z][a-z0-9]{2,15}`. Safe in a path, in a host name, and in quotes of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Username(String);

impl Username {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let fits = (3..=16).contains(&text.len());
        let starts = text.starts_with(|first: char| first.is_ascii_lowercase());
        let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if fits && starts && plain {
            return Ok(Self(text.to_owned()));
        }
        Err(Failure::permanent(format!(
            "the username {text:?} is not 3 to 16 lower-case letters and digits, a letter first"
        )))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text is a host name by RFC 1123, in lower case, with a dot in it and no address.
pub(crate) fn is_domain(text: &str) -> bool {
    let labels = text.split('.');
    let last_has_letter =
        text.rsplit('.').next().is_some_and(|last| last.bytes().any(|byte| byte.is_ascii_lowercase()));
    text.len() <= DOMAIN_MAX && text.contains('.') && last_has_letter && labels.into_iter().all(is_label)
}

fn is_label(label: &str) -> bool {
    let plain = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    plain && (1..=LABEL_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

/// A customer's domain.
pub(crate) fn domain(text: &str) -> Result<String, Failure> {
    if is_domain(text) {
        return Ok(text.to_owned());
    }
    Err(Failure::permanent(format!("{text:?} is no domain in lower case")))
}

/// An address that WordPress is told: nothing that a mail header or a script could trip over.
pub(crate) fn email(text: &str) -> Result<String, Failure> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&*+/=?^_{|}~@-".contains(&byte);
    let parts =
        text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.contains('@') && host.len() > 2);
    if parts && text.len() <= EMAIL_MAX && text.bytes().all(safe) {
        return Ok(text.to_owned());
    }
    Err(Failure::permanent("the owner's address is no plain e-mail address"))
}

/// A word of Berth's own, such as a package or a reason.
pub(crate) fn word(what: &str, text: &str) -> Result<String, Failure> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(&byte));
    if plain && (1..=WORD_MAX).contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err(Failure::permanent(format!("the {what} {text:?} is not a short word")))
}

/// A password that fits one line of `chpasswd`: printable and without spaces.
pub(crate) fn password(text: &str) -> Result<&str, Failure> {
    if (PASSWORD_MIN..=PASSWORD_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text);
    }
    Err(Failure::permanent("the password is not 8 to 128 printable ascii characters without spaces"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_can_harm_no_path_no_sql_and_no_file() {
        for name in ["abc", "cnfcreate", "a23456789012345z"] {
            assert!(Username::parse(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "ab",
            "a2345678901234567",
            "1abc",
            "Abc",
            "../x",
            "a;b",
            "a b",
            "a\nb",
            "a`b",
            "a'b",
            "a_b",
            "-abc",
            "a.b",
            "äbc",
            "abc\0",
        ] {
            assert!(Username::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_domain_is_lower_case_and_by_rfc_1123() {
        for name in ["example.org", "a.b-c.xn--p1ai", "1and1.com"] {
            assert!(is_domain(name), "{name}");
        }
        let long = format!("{}.org", "a".repeat(64));
        for name in [
            "",
            "localhost",
            "Example.org",
            "example.org.",
            ".org",
            "a..b",
            "-a.org",
            "a-.org",
            "127.0.0.1",
            "a b.org",
            "a;.org",
            "*.org",
            "a.org;",
            "a.org\n",
            &long,
        ] {
            assert!(!is_domain(name), "{name:?}");
        }
    }

    #[test]
    fn an_address_and_a_password_are_one_harmless_line() {
        assert!(email("owner+tag@example.org").is_ok());
        for text in ["", "owner", "@example.org", "a@b@example.org", "a\n@example.org", "a'@example.org", "a <a@b.org>"]
        {
            assert!(email(text).is_err(), "{text:?}");
        }
        assert!(password("Xk2mPq9wRt4vLs8z-hJn").is_ok());
        for text in ["", "short", "with space in", "line\nbreak-1234", "ünicode-1234"] {
            assert!(password(text).is_err(), "{text:?}");
        }
    }
}
