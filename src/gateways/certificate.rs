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

#[cfg(test)]
mod tests {
    use std::{io::Write as _, net::TcpListener, sync::Arc, thread, time::Duration};

    use rustls::{
        ServerConfig, ServerConnection, StreamOwned,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    };

    use super::*;

    /// Signed by nobody but itself; ends on 2126-11-02.
    const CERTIFICATE: &[u8] = include_bytes!("testdata/self_signed.pem");
    const KEY: &[u8] = include_bytes!("testdata/self_signed.key.pem");
    const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(10) };

    fn certificate() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(CERTIFICATE).unwrap()
    }

    /// Speaks TLS with one client, as far as that one goes along.
    fn serve_once() -> Url {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/healthz", listener.local_addr().unwrap().port()).parse().unwrap();
        thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
            // The client hangs up at the certificate.
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_ok()
        });
        url
    }

    #[test]
    fn a_certificates_end_is_read() {
        let end = end_of(&certificate()).unwrap();

        assert_eq!(end.strftime("%F").to_string(), "2126-11-02");
        assert_eq!(end_of(b"no certificate"), None);
    }

    #[tokio::test]
    async fn a_certificate_from_nobody_who_is_trusted_is_told_from_a_server_that_is_away() {
        let refused = look(&serve_once(), TIMEOUTS).await;
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let away = look(&format!("https://{closed}/").parse().unwrap(), TIMEOUTS).await;

        assert!(matches!(refused, Err(LookError::Certificate(_))), "{refused:?}");
        assert!(matches!(away, Err(LookError::Away(_))), "{away:?}");
    }
}
