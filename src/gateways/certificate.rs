//! The certificate that a server shows, as the world sees it: whether it is good, and until when.

use jiff::Timestamp;
use reqwest::{Url, tls::TlsInfo};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::http_client::{self, Timeouts};

/// What a server showed and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The answer's HTTP status.
    pub status: u16,
    /// The end of its certificate; none without TLS.
    pub not_after: Option<Timestamp>,
}

/// Why nothing was seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// There is a server, and who it is was not proved: expired, another's name, or from nobody who is trusted.
    #[error("its certificate is refused: {0}")]
    Certificate(String),
    /// There is no answer.
    #[error("it does not answer: {0}")]
    Away(String),
}

/// Asks for a page, and looks at the certificate before it.
///
/// # Errors
/// See [`LookError`].
pub async fn look(url: &Url, timeouts: Timeouts) -> Result<Certificate, LookError> {
    let client = http_client::builder(timeouts).tls_info(true).build();
    let client = client.map_err(|error| LookError::Away(root_cause(&error)))?;
    let answer = client.get(url.clone()).send().await.map_err(|error| refusal(&error))?;
    let shown = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
    Ok(Certificate { status: answer.status().as_u16(), not_after: shown.and_then(end_of) })
}

fn end_of(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

fn refusal(error: &reqwest::Error) -> LookError {
    let why = root_cause(error);
    if error.is_timeout() {
        return LookError::Away("no answer in time".to_owned());
    }
    if why.contains("certificate") { LookError::Certificate(why) } else { LookError::Away(why) }
}

/// The innermost error, because the outer ones repeat the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
