//! The mail server that `mail.smtp_url` names, and a connection to it.

use std::{fmt, net::IpAddr, time::Duration};

use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, TlsParameters},
    extension::ClientId,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;
use url::Url;

use super::{MailError, MailerError, Step};

/// Where mail is handed over, and how.
pub(super) struct Relay {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    hello: ClientId,
}

enum Tls {
    None,
    /// STARTTLS when the server offers it.
    Opportunistic(TlsParameters),
    /// STARTTLS, or no mail.
    Required(TlsParameters),
    /// TLS from the first byte.
    Wrapped(TlsParameters),
}

impl Relay {
    /// Reads `smtp://[user:password@]host[:port][?tls=required|opportunistic]` or `smtps://…`.
    /// Ports left out are 25, 587 with `tls=`, and 465 for smtps.
    pub(super) fn parse(url: &SecretString, hello: &str) -> Result<Self, MailerError> {
        let url = Url::parse(url.expose_secret()).map_err(|_| MailerError::Url("is no URL"))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(MailerError::Url("names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(MailerError::Url("has a path, which means nothing to a mail server"));
        }
        let parameters =
            || TlsParameters::new(host.clone()).map_err(|_| MailerError::Url("names a host that TLS cannot verify"));
        let options: Vec<_> = url.query_pairs().collect();
        let option = match options.as_slice() {
            [] => None,
            [(name, value)] if name == "tls" => Some(value.as_ref()),
            _ => {
                return Err(MailerError::Url("has options other than tls=required or tls=opportunistic"));
            }
        };
        let (tls, usual_port) = match (url.scheme(), option) {
            ("smtp", None) => (Tls::None, 25),
            ("smtp", Some("opportunistic")) => (Tls::Opportunistic(parameters()?), 587),
            ("smtp", Some("required")) => (Tls::Required(parameters()?), 587),
            ("smtps", None | Some("required")) => (Tls::Wrapped(parameters()?), 465),
            _ => {
                return Err(MailerError::Url(
                    "is neither smtp:// nor smtps://, or its tls= is neither required nor opportunistic",
                ));
            }
        };
        let credentials = credentials(&url)?;
        if credentials.is_some() && matches!(tls, Tls::None) && !is_loopback(&host) {
            return Err(MailerError::Url("would send the password unencrypted: add ?tls=required or use smtps://"));
        }
        Ok(Self {
            port: url.port().unwrap_or(usual_port),
            host,
            tls,
            credentials,
            hello: ClientId::Domain(hello.to_owned()),
        })
    }

    /// Connects, encrypts and signs in.
    pub(super) async fn open(&self, connect: Duration, command: Duration) -> Result<AsyncSmtpConnection, MailError> {
        // lettre bounds the TCP connection only, once per address: this bounds the name's resolution and the greeting too.
        let mut connection = timeout(connect + command, self.connect(connect))
            .await
            .map_err(|_| Step::Connecting.timed_out())?
            .map_err(|error| Step::Connecting.failed(&error))?;
        if let Some(credentials) = &self.credentials {
            if !connection.is_encrypted() && !is_loopback(&self.host) {
                let reason = "the server offers no encryption, and the password is not sent without".to_owned();
                return Err(MailError::Transient { step: Step::SigningIn, code: None, reason });
            }
            timeout(command, connection.auth(DEFAULT_MECHANISMS, credentials))
                .await
                .map_err(|_| Step::SigningIn.timed_out())?
                .map_err(|error| Step::SigningIn.failed(&error))?;
        }
        Ok(connection)
    }

    async fn connect(&self, connect: Duration) -> Result<AsyncSmtpConnection, Error> {
        let wrapper = match &self.tls {
            Tls::Wrapped(parameters) => Some(parameters.clone()),
            Tls::None | Tls::Opportunistic(_) | Tls::Required(_) => None,
        };
        let server = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(connect), &self.hello, wrapper, None).await?;
        match &self.tls {
            Tls::Opportunistic(parameters) if connection.can_starttls() => {
                connection.starttls(parameters.clone(), &self.hello).await?
            }
            Tls::Required(parameters) => connection.starttls(parameters.clone(), &self.hello).await?,
            Tls::None | Tls::Opportunistic(_) | Tls::Wrapped(_) => {}
        }
        Ok(connection)
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn credentials(url: &Url) -> Result<Option<Credentials>, MailerError> {
    if url.username().is_empty() {
        return Ok(None);
    }
    let password = url.password().ok_or(MailerError::Url("has a user name but no password"))?;
    let decoded = |text| percent_decoded(text).ok_or(MailerError::Url("has a % that encodes no UTF-8 text"));
    Ok(Some(Credentials::new(decoded(url.username())?, decoded(password)?)))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut value = [0];
            hex::decode_to_slice([rest.next()?, rest.next()?], &mut value).ok()?;
            decoded.extend(value);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}
