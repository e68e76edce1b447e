//! How a server proves who it is, and how we do.

use std::{fmt, str::FromStr, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::HttpConfig;
use crate::{Cause, PanelError};

/// Whom a server's certificate must come from. There is no way to trust any.
#[derive(Clone, Debug)]
pub enum Trust {
    /// One of the system's authorities, for the endpoint's host name.
    System,
    /// One of these authorities (PEM, one or more certificates), for the endpoint's host name.
    Authority(Vec<u8>),
    /// This certificate and no other. Neither its host name, nor its authority, nor its end are looked at, as panels make
    /// such certificates themselves; that the server has the certificate's key is. Who renews it changes the setting.
    Certificate(Fingerprint),
}

/// The SHA-256 of a certificate's DER form. Written as `openssl x509 -fingerprint -sha256` shows it, or as plain hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER form.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A text that is no SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SHA-256 of a certificate: 64 hexadecimal digits, with or without colons")]
pub struct InvalidFingerprint(String);

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text.replace(':', ""), &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(InvalidFingerprint(text.to_owned())),
        }
    }
}

/// A certificate of ours with its key.
#[derive(Clone, Debug)]
pub struct ClientIdentity {
    /// The certificate, and those between it and its authority, in PEM.
    pub certificates: Vec<u8>,
    /// Its key, in PEM.
    pub key: SecretString,
}

/// What the client's TLS is made of. One that never speaks it needs no authorities, which a small system may not have.
pub(super) fn client_config(config: &HttpConfig) -> Result<ClientConfig, PanelError> {
    let nobody = Trust::Certificate(Fingerprint([0; 32]));
    let trust = if config.endpoint.scheme() == "https" { &config.trust } else { &nobody };
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| misconfigured("TLS could not be set up", error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(trust, provider)?);
    match &config.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => builder
            .with_client_auth_cert(certificates(&identity.certificates)?, key(&identity.key)?)
            .map_err(|error| misconfigured("the client's certificate and key cannot be used", error)),
    }
}

fn verifier(trust: &Trust, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, PanelError> {
    match trust {
        Trust::System => match rustls_platform_verifier::Verifier::new(provider) {
            Ok(verifier) => Ok(Arc::new(verifier)),
            Err(error) => Err(misconfigured("the system's authorities could not be read", error)),
        },
        Trust::Authority(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(pem)? {
                roots.add(certificate).map_err(|error| misconfigured("the pinned CA cannot be used", error))?;
            }
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let verifier = verifier.map_err(|error| misconfigured("the pinned CA cannot be used", error))?;
            Ok(verifier)
        }
        Trust::Certificate(fingerprint) => Ok(Arc::new(Pinned { fingerprint: *fingerprint, provider })),
    }
}

pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PanelError> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if found.is_empty() => Err(PanelError::misconfigured("there is no certificate in the PEM")),
        Ok(found) => Ok(found),
        Err(error) => Err(misconfigured("a certificate's PEM cannot be read", error)),
    }
}

fn key(pem: &SecretString) -> Result<PrivateKeyDer<'static>, PanelError> {
    // What the parser says of a key might quote it.
    PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
        .map_err(|_| PanelError::misconfigured("the PEM of the client's key cannot be read"))
}

fn misconfigured(message: &str, error: impl std::error::Error + Send + Sync + 'static) -> PanelError {
    PanelError::Misconfigured(Cause::new(message).because(error))
}

/// Takes one certificate. The handshake's signature is checked as for any: a copy of the certificate is worth nothing without
/// its key.
#[derive(Debug)]
struct Pinned {
    fingerprint: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if Fingerprint::of(end_entity) == self.fingerprint {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
