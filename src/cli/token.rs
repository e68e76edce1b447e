//! `berth token`: a customer's token, as the configured issuer would sign it.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::ExposeSecret;
use serde_json::Value;
use uuid::Uuid;

use super::{output::print, settings};
use crate::{
    clock::Clock,
    config::{Auth, Config, Role},
    http::auth::{TokenError, development_token},
};

#[derive(Debug, clap::Args)]
pub(super) struct TokenArgs {
    /// The customer's id: the token's subject.
    #[arg(long, value_name = "UUID")]
    user: Uuid,
    /// Where the customer's mail goes.
    #[arg(long)]
    email: String,
    /// How to address the customer.
    #[arg(long)]
    name: Option<String>,
    /// Make it a token of staff.
    #[arg(long)]
    staff: bool,
    /// How long it is valid: 15m, 8h, 720h.
    #[arg(long, default_value = "8h", value_parser = positive)]
    ttl: Duration,
}

/// A duration of more than nothing.
fn positive(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Duration::try_from(duration)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "it must be longer than nothing".to_owned())
}

pub(super) fn run(file: Option<PathBuf>, args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let config = settings::load_or_dev(file)?;
    config.require_for(Role::Token)?;
    print(&signed(&config, args)?)?;
    Ok(ExitCode::SUCCESS)
}

fn signed(config: &Config, args: &TokenArgs) -> anyhow::Result<String> {
    let now = Clock::machine();
    let token = development_token(&config.auth, args.user, Some(&args.email), args.staff, now, args.ttl)?;
    match &args.name {
        Some(name) => with_name(&token, name, &config.auth),
        None => Ok(token),
    }
}

/// The same token with a name among its claims, signed again.
fn with_name(token: &str, name: &str, auth: &Auth) -> anyhow::Result<String> {
    let secret = auth.jwt_secret.as_ref().ok_or(TokenError::NoSecret)?;
    let claims = token.split('.').nth(1).context("a token has three parts")?;
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    claims["name"] = name.into();
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?)
}
