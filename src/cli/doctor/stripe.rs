//! Stripe: the key is good and of the right mode, and events come to us: all that mean something, in our shapes.

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use url::Url;

use super::{
    check::{Check, broken, ok, skipped, warning},
    clocks::Seen,
};
use crate::{
    app::stripe_of,
    cli::stripe::{address_of, is_local, same_place},
    clock::Clock,
    config::Config,
    error::chain,
    gateways::stripe::{GatewayError, STRIPE_VERSION, Standing, WebhookEndpoint},
    incoming::KINDS,
    store::{Store, StoreError},
};

/// A shop that sells has events each day.
const LONG_SILENCE: SignedDuration = SignedDuration::from_hours(24 * 7);
const SYNC: &str = "berth stripe sync-webhook";

/// What is said of Stripe, and what its clock said.
#[derive(Default)]
pub(super) struct Looked {
    pub(super) checks: Vec<Check>,
    pub(super) clock: Option<Seen>,
}

pub(super) async fn look(config: &Config, offline: bool) -> Looked {
    let stripe = match stripe_of(config) {
        Ok(Some(stripe)) => stripe,
        Ok(None) => {
            let fix = "set stripe.secret_key (dashboard.stripe.com, Developers, API keys)";
            let none = warning("Stripe", "stripe.secret_key is not set: nothing can be sold here", fix);
            return Looked { checks: vec![none], clock: None };
        }
        Err(error) => {
            let unusable = broken("Stripe", chain(&error), "set stripe.secret_key and stripe.api_base right");
            return Looked { checks: vec![unusable], clock: None };
        }
    };
    if offline {
        return Looked { checks: vec![skipped("Stripe"), skipped("Stripe's webhook")], clock: None };
    }
    let before = Clock::machine();
    let standing = stripe.standing().await;
    let after = Clock::machine();
    let theirs = standing.as_ref().ok().and_then(|standing| standing.server_time);
    let clock = theirs.map(|theirs| Seen { before, theirs, after });
    let is_good = standing.is_ok();
    let mut checks = vec![of_key(&standing, config)];
    if is_good {
        checks.push(of_endpoints(&stripe.webhook_endpoints().await, config));
    }
    Looked { checks, clock }
}

/// Whether events come, as the database knows it.
pub(super) async fn events(store: &Store) -> Check {
    let asked = async {
        let (_, now) = store.times().await?;
        Ok::<_, StoreError>((store.last_event_that_came().await?, now))
    };
    match asked.await {
        Ok((last, now)) => of_last_event(last, now),
        Err(error) => broken("Stripe's events", chain(&error), "see PostgreSQL's log"),
    }
}

fn of_key(standing: &Result<Standing, GatewayError>, config: &Config) -> Check {
    const NAME: &str = "Stripe";
    let mode = |live| if live { "real money" } else { "test mode" };
    let (wanted, base) = (config.stripe.livemode, &config.stripe.api_base);
    match standing {
        Ok(Standing { livemode: Some(live), .. }) if *live != wanted => {
            let detail = format!("the key is for {}, and stripe.livemode says {}", mode(*live), mode(wanted));
            broken(NAME, detail, "use the other key, or set stripe.livemode right")
        }
        Ok(Standing { livemode: Some(live), .. }) => ok(NAME, format!("the key is good, {}, at {base}", mode(*live))),
        Ok(Standing { livemode: None, .. }) => {
            let prefix = config.stripe.secret_key.as_ref().map_or("", |key| key.expose_secret());
            let live = prefix.contains("_live_");
            ok(NAME, format!("the restricted key is taken; {} by its name, at {base}", mode(live)))
        }
        Err(error) if error.is_misconfigured() => {
            broken(NAME, chain(error), "make a new key (dashboard.stripe.com, Developers, API keys)")
        }
        Err(error) => broken(NAME, chain(error), "let this machine reach it; status.stripe.com tells of its troubles"),
    }
}

fn of_endpoints(endpoints: &Result<Vec<WebhookEndpoint>, GatewayError>, config: &Config) -> Check {
    const NAME: &str = "Stripe's webhook";
    let endpoints = match endpoints {
        Ok(endpoints) => endpoints,
        Err(error @ GatewayError::Refused { status: 403, .. }) => {
            let fix = "let the restricted key read webhook endpoints, or look at Stripe's dashboard";
            return warning(NAME, chain(error), fix);
        }
        Err(error) => return broken(NAME, chain(error), "ask again later"),
    };
    let Some(address) = address_of(&config.http.public_url) else {
        return broken(
            NAME,
            "http.public_url has no place for it",
            "set http.public_url to how the world reaches Berth",
        );
    };
    let ours: Vec<&WebhookEndpoint> = endpoints.iter().filter(|one| same_place(&one.url, &address)).collect();
    let Some(endpoint) = best(&ours) else {
        return of_no_endpoint(&address, config);
    };
    let lacks = endpoint.lacks(KINDS);
    if !endpoint.is_enabled() {
        return broken(NAME, format!("{} is disabled: Stripe sends nothing to {address}", endpoint.id), SYNC);
    }
    if !lacks.is_empty() {
        return broken(NAME, format!("{} is not sent {}", endpoint.id, lacks.join(", ")), SYNC);
    }
    if !endpoint.has_our_version() {
        let version = endpoint.api_version.as_deref().unwrap_or("the account's version");
        let detail = format!("{} is sent events of {version}, and Berth reads those of {STRIPE_VERSION}", endpoint.id);
        return broken(
            NAME,
            detail,
            format!("{SYNC}: an endpoint's version cannot be changed, so that it makes another"),
        );
    }
    let others = ours.len() - 1;
    if others > 0 {
        let detail =
            format!("{} is right, and {others} more lead(s) to {address}: each event comes twice", endpoint.id);
        return warning(NAME, detail, format!("{SYNC} --remove-others, once its secret is in stripe.webhook_secrets"));
    }
    ok(NAME, format!("{} is sent all {} types of events, at {address}", endpoint.id, KINDS.len()))
}

/// The one that needs least: of our version before others, enabled before disabled.
pub(in crate::cli) fn best<'a>(ours: &[&'a WebhookEndpoint]) -> Option<&'a WebhookEndpoint> {
    ours.iter()
        .copied()
        .max_by_key(|one| (one.has_our_version(), one.is_enabled(), usize::MAX - one.lacks(KINDS).len()))
}

fn of_no_endpoint(address: &Url, config: &Config) -> Check {
    const NAME: &str = "Stripe's webhook";
    if is_local(address) && !config.stripe.livemode {
        let fix = format!("stripe listen --forward-to {address}, and its whsec_… in stripe.webhook_secrets");
        return warning(NAME, format!("Stripe cannot reach {address}, which is this machine"), fix);
    }
    broken(NAME, format!("no endpoint leads to {address}: Stripe sends no events"), SYNC)
}

fn of_last_event(last: Option<Timestamp>, now: Timestamp) -> Check {
    const NAME: &str = "Stripe's events";
    let fix = "buy something (`berth smoke`); where none comes, stripe.webhook_secrets is another endpoint's";
    match last {
        None => warning(NAME, "none with a good signature has come yet", fix),
        Some(at) if now.duration_since(at) > LONG_SILENCE => {
            warning(NAME, format!("the last one came {} days ago", now.duration_since(at).as_hours() / 24), fix)
        }
        Some(at) => {
            let hours = now.duration_since(at).as_hours();
            ok(NAME, format!("signed by one of our secrets; the last one came {hours} hours ago"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::Verdict, *};

    fn config(more: &[(&str, &str)]) -> Config {
        let mut settings =
            vec![("http.public_url", "https://shop.example"), ("stripe.secret_key", "sk_test_0123456789abcdef")];
        settings.extend(more);
        Config::from_settings(&settings).unwrap()
    }

    fn endpoint(change: impl FnOnce(&mut WebhookEndpoint)) -> WebhookEndpoint {
        let mut endpoint = WebhookEndpoint {
            id: "we_1".to_owned(),
            url: "https://shop.example/webhooks/stripe".to_owned(),
            status: "enabled".to_owned(),
            enabled_events: KINDS.iter().map(|kind| (*kind).to_owned()).collect(),
            api_version: Some(STRIPE_VERSION.to_owned()),
            livemode: false,
            secret: None,
        };
        change(&mut endpoint);
        endpoint
    }

    #[track_caller]
    fn says(endpoints: Vec<WebhookEndpoint>, verdict: Verdict, words: &str) {
        let check = of_endpoints(&Ok(endpoints), &config(&[]));
        assert_eq!(check.verdict, verdict, "{check:?}");
        assert!(check.detail.contains(words), "{check:?}");
    }

    #[test]
    fn an_endpoint_that_is_sent_everything_passes() {
        says(vec![endpoint(|_| {})], Verdict::Ok, "we_1 is sent all");
        says(vec![endpoint(|it| it.enabled_events = vec!["*".to_owned()])], Verdict::Ok, "we_1");
    }

    #[test]
    fn what_keeps_events_from_us_fails_and_is_named() {
        says(vec![], Verdict::Broken, "no endpoint leads to https://shop.example/webhooks/stripe");
        says(vec![endpoint(|it| it.url = "https://else.example/hook".to_owned())], Verdict::Broken, "no endpoint");
        says(vec![endpoint(|it| it.status = "disabled".to_owned())], Verdict::Broken, "disabled");
        says(
            vec![endpoint(|it| it.enabled_events.retain(|kind| kind != "refund.failed"))],
            Verdict::Broken,
            "refund.failed",
        );
        says(vec![endpoint(|it| it.api_version = Some("2020-08-27".to_owned()))], Verdict::Broken, "2020-08-27");
        says(vec![endpoint(|it| it.api_version = None)], Verdict::Broken, "the account's version");
    }

    #[test]
    fn an_old_endpoint_beside_a_right_one_is_warned_of() {
        let old = endpoint(|it| {
            it.id = "we_old".to_owned();
            it.api_version = None;
        });

        says(vec![old, endpoint(|_| {})], Verdict::Warning, "we_1 is right, and 1 more");
    }

    #[test]
    fn a_key_of_the_other_mode_or_none_fails() {
        let standing = |livemode| Ok(Standing { livemode, server_time: None });
        let refused = Err(GatewayError::Refused {
            status: 401,
            code: None,
            param: None,
            message: Some("Invalid API Key provided".to_owned()),
            request_id: None,
        });

        assert_eq!(of_key(&standing(Some(false)), &config(&[])).verdict, Verdict::Ok);
        assert_eq!(of_key(&standing(None), &config(&[])).verdict, Verdict::Ok);
        assert_eq!(of_key(&standing(Some(true)), &config(&[])).verdict, Verdict::Broken);
        assert!(of_key(&refused, &config(&[])).fix.unwrap().contains("new key"));
    }

    #[test]
    fn a_restricted_key_that_may_not_look_is_no_failure() {
        let refused = GatewayError::Refused { status: 403, code: None, param: None, message: None, request_id: None };

        assert_eq!(of_endpoints(&Err(refused), &config(&[])).verdict, Verdict::Warning);
    }

    #[test]
    fn events_that_never_came_or_not_for_long_are_warned_of() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let before = |hours| Some(now - SignedDuration::from_hours(hours));

        assert_eq!(of_last_event(None, now).verdict, Verdict::Warning);
        assert_eq!(of_last_event(before(24 * 8), now).verdict, Verdict::Warning);
        assert_eq!(of_last_event(before(3), now).verdict, Verdict::Ok);
    }
}
