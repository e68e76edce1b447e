//! What it means that a request got no answer. The question is always whether a byte of it was written: before that nothing
//! can have been applied.

use std::{error::Error, io, iter::successors};

use rustls::AlertDescription;

use super::{Effect, addresses::Forbidden};
use crate::{Cause, PanelError};

/// The class of a failure of the client's.
pub(super) fn of(effect: Effect, error: reqwest::Error) -> PanelError {
    // A URL may hold what is nobody's business; the driver knows which call it made.
    let error = error.without_url();
    let misconfigured = |message: &str, error| PanelError::Misconfigured(Cause::new(message).because(error));
    if layers(&error).any(|layer| layer.is::<Forbidden>()) {
        return misconfigured("the panel's host has an address that may not be called", error);
    }
    let trouble = layers(&error).find_map(certificate_trouble);
    match trouble {
        Some(Trouble::Server) => return misconfigured("the panel's certificate was refused", error),
        Some(Trouble::Client) => return misconfigured("the panel refused the client's certificate", error),
        None => {}
    }
    if error.is_builder() {
        return misconfigured("a request to the panel could not be made", error);
    }
    if error.is_connect() {
        if layers(&error).any(is_denied) {
            return misconfigured("the panel's socket may not be opened", error);
        }
        return PanelError::Transient(Cause::new("the panel could not be reached").because(error));
    }
    effect.unanswered(Cause::new("the panel did not answer").because(error))
}

enum Trouble {
    Server,
    Client,
}

/// A refused certificate ends the handshake, so no request was taken. With TLS 1.3 the server's refusal of ours comes after we
/// have begun to write, but before it reads.
fn certificate_trouble(layer: &(dyn Error + 'static)) -> Option<Trouble> {
    let error = layer.downcast_ref::<rustls::Error>()?;
    if matches!(error, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) {
        return Some(Trouble::Server);
    }
    let ours_is_refused = matches!(
        error,
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                // Of the handshake's cryptography alone, such as a certificate's signature.
                | AlertDescription::DecryptError
        )
    );
    ours_is_refused.then_some(Trouble::Client)
}

fn is_denied(layer: &(dyn Error + 'static)) -> bool {
    layer.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// The error and all beneath it. An [`io::Error`] names as its source what is beneath the error that it wraps.
fn layers<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&layer: &&'a (dyn Error + 'static)| {
        if let Some(inner) = layer.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            return Some(inner);
        }
        layer.source()
    })
}
