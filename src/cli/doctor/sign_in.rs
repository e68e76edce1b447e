//! The provider at which staff signs in to the console, where there is one: it answers, and as the settings expect.

use std::time::Duration;

use super::check::{Check, broken, ok, skipped, warning};
use crate::{
    config::Config,
    error::chain,
    gateways::http_client::{self, Timeouts},
    http::auth::oidc::{Looked, Oidc, SignInError, redirect_uri},
};

const NAME: &str = "sign-in by OIDC";
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(10) };

pub(super) async fn look(config: &Config, offline: bool) -> Check {
    let Some(issuer) = &config.console.oidc.issuer else {
        return ok(NAME, "not set up: staff signs in to the console by tokens, and by links of `berth console`");
    };
    if offline {
        return skipped(NAME);
    }
    let client = match http_client::build(TIMEOUTS) {
        Ok(client) => client,
        Err(error) => return broken(NAME, chain(&error), "let the system's certificates be readable"),
    };
    match Oidc::new(config, client) {
        Some(oidc) => of_provider(issuer, config, oidc.look().await),
        None => broken(NAME, "its settings are not whole", "set console.oidc.client_id"),
    }
}

fn of_provider(issuer: &str, config: &Config, looked: Result<Looked, SignInError>) -> Check {
    match looked {
        Ok(Looked { keys, misfit: None }) => {
            let address = redirect_uri(config);
            ok(NAME, format!("{issuer} answers, with {keys} keys; it must know the address {address}"))
        }
        Ok(Looked { misfit: Some(why), .. }) => warning(
            NAME,
            format!("{issuer}: {why}"),
            "change what the provider does for this client, or console.oidc.algorithms",
        ),
        Err(error) => {
            let fix =
                "set console.oidc.issuer as its /.well-known/openid-configuration writes it, and let Berth reach it";
            broken(NAME, format!("{issuer}: {error}"), fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::Verdict, *};

    fn config() -> Config {
        Config::from_settings(&[
            ("http.public_url", "https://shop.example/"),
            ("console.oidc.issuer", "https://id.example"),
            ("console.oidc.client_id", "berth"),
            ("console.oidc.claim", "groups"),
            ("console.oidc.values", "staff"),
        ])
        .unwrap()
    }

    #[tokio::test]
    async fn without_a_provider_there_is_nothing_to_ask() {
        let none = Config::from_settings(&[]).unwrap();

        assert_eq!(look(&none, false).await.verdict, Verdict::Ok);
        assert_eq!(look(&config(), true).await.verdict, Verdict::Skipped);
    }

    #[test]
    fn a_provider_that_answers_passes_and_the_address_to_register_is_told() {
        let passed = of_provider("https://id.example", &config(), Ok(Looked { keys: 2, misfit: None }));
        let misfit = Looked { keys: 2, misfit: Some("it signs by PS256, and RS256 is allowed".to_owned()) };
        let away = Err(SignInError::Provider("the request failed".to_owned()));

        assert_eq!(passed.verdict, Verdict::Ok);
        assert!(passed.detail.ends_with("https://shop.example/console/oidc/callback"), "{}", passed.detail);
        assert_eq!(of_provider("https://id.example", &config(), Ok(misfit)).verdict, Verdict::Warning);
        assert_eq!(of_provider("https://id.example", &config(), away).verdict, Verdict::Broken);
    }
}
