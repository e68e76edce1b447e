//! What a server has answered, and what that means for the caller.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{
    StatusCode,
    header::{DATE, HeaderMap, LOCATION, RETRY_AFTER},
};
use serde::de::DeserializeOwned;

use super::{Effect, failures};
use crate::{Cause, PanelError};

/// How long to wait where a server asks for fewer requests and does not say.
const RETRY_AFTER_UNSAID: Duration = Duration::from_secs(30);
/// Sooner is of no use, whatever the server says.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
/// A server that asks for more is asked again all the same: nobody should wait a day for a typing error.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// An answer whose body is still to be read.
pub struct Incoming {
    effect: Effect,
    answer: reqwest::Response,
}

impl Incoming {
    pub(super) fn new(effect: Effect, answer: reqwest::Response) -> Self {
        Self { effect, answer }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.answer.status()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.answer.headers()
    }

    /// The next piece of the body; `None` at its end. A body that ends before it should is an error, not an end.
    ///
    /// # Errors
    /// When the rest cannot be read.
    pub async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, PanelError> {
        self.answer.chunk().await.map_err(|error| failures::of(self.effect, error))
    }

    /// The whole answer, if its body has no more than `body_max` bytes.
    ///
    /// # Errors
    /// When the body is larger or cannot be read.
    pub async fn whole(mut self, body_max: usize) -> Result<Answer, PanelError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            let chunk = chunk.as_ref();
            if body.len().saturating_add(chunk.len()) > body_max {
                let message = format!("the panel's answer is larger than {body_max} bytes");
                return Err(self.effect.unanswered(Cause::new(message)));
            }
            body.extend_from_slice(chunk);
        }
        let headers = self.answer.headers().clone();
        Ok(Answer { effect: self.effect, status: self.answer.status(), headers, body })
    }
}

/// A whole answer. It has no `Debug`: bodies hold secrets.
pub struct Answer {
    effect: Effect,
    /// The status, whatever it is.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The answer, where its status is 2xx.
    ///
    /// # Errors
    /// By the status: 401 and 403 are [`PanelError::Misconfigured`], and a redirect too, as a panel's address is exact; 429 is
    /// [`PanelError::RateLimited`]; 408 and 5xx leave open what was done; any other is [`PanelError::Permanent`].
    pub fn accepted(self) -> Result<Self, PanelError> {
        match self.refusal() {
            None => Ok(self),
            Some(refusal) => Err(refusal),
        }
    }

    /// What the status says where it is not 2xx, for drivers that read other statuses themselves.
    #[must_use]
    pub fn refusal(&self) -> Option<PanelError> {
        let status = self.status;
        let refusal = match status.as_u16() {
            200..=299 => return None,
            300..=399 => {
                let elsewhere = if self.headers.contains_key(LOCATION) { " to another place" } else { "" };
                PanelError::misconfigured(format!(
                    "the panel redirects{elsewhere} ({status}): its endpoint is not exact"
                ))
            }
            401 | 403 => PanelError::misconfigured(format!("the panel refused the credentials ({status})")),
            408 | 500..=599 => self.effect.unanswered(Cause::new(format!("the panel answered {status}"))),
            429 => PanelError::RateLimited {
                retry_after: self.retry_after(),
                cause: Cause::new("the panel asks for fewer requests"),
            },
            _ => PanelError::permanent(format!("the panel refused the request ({status})")),
        };
        Some(refusal)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`PanelError::Misconfigured`] where it is the page of a login: the request was not even looked at. Where it is anything
    /// else, what was done is open.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, PanelError> {
        // The parser's own error may quote the body, and that may hold a password.
        let error = match serde_json::from_slice(&self.body) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if self.is_login_page() {
            return Err(PanelError::misconfigured("the panel answered with the page of a login"));
        }
        let what = match error.classify() {
            serde_json::error::Category::Eof => "the panel's answer is cut off",
            serde_json::error::Category::Data => "the panel's answer is not of the shape that is expected",
            serde_json::error::Category::Io | serde_json::error::Category::Syntax => "the panel's answer is not JSON",
        };
        let place = format!("{what} (line {}, column {})", error.line(), error.column());
        Err(self.effect.unanswered(Cause::new(place)))
    }

    /// HTML with a field for a password in it.
    fn is_login_page(&self) -> bool {
        let text = String::from_utf8_lossy(&self.body).to_ascii_lowercase();
        let is_html = text.trim_start().starts_with('<') || text.contains("<html");
        is_html && ["type=\"password\"", "type='password'", "type=password"].iter().any(|field| text.contains(field))
    }

    /// Seconds or a date, which is read by the server's own clock where that is said.
    fn retry_after(&self) -> Duration {
        let text = |name| self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let Some(said) = text(RETRY_AFTER) else { return RETRY_AFTER_UNSAID };
        let asked = match said.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => http_date(said).map(|then| {
                #[expect(clippy::disallowed_methods, reason = "a server's date is real time")]
                let now = text(DATE).and_then(http_date).unwrap_or_else(Timestamp::now);
                Duration::try_from(then.duration_since(now)).unwrap_or_default()
            }),
        };
        asked.map_or(RETRY_AFTER_UNSAID, |asked| asked.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX))
    }
}

/// Such as `Sun, 06 Nov 1994 08:49:37 GMT`, which is a date of RFC 2822 too.
fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|date| date.timestamp())
}
