//! `berth stripe`: sets up at Stripe what Berth needs there.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use url::{Host, Url};

use super::{
    doctor::best_endpoint,
    output::{print, print_json, say},
    settings,
};
use crate::{
    app::{StartError, stripe_of},
    config::Config,
    gateways::stripe::{IdempotencyKey, STRIPE_VERSION, Stripe, WebhookEndpoint},
    incoming::KINDS,
};

/// Where Berth takes Stripe's events, beneath `http.public_url`.
const WEBHOOK_PATH: &str = "webhooks/stripe";

pub(super) const AFTER_HELP: &str = "An endpoint is made where none leads to http.public_url, and changed where it is not sent \
    exactly what Berth acts upon. Its version cannot be changed: one of another version is left, and a new one made beside it; \
    events that come twice are acted upon once. The signing secret of a new endpoint is printed, this once: put it into \
    stripe.webhook_secrets beside the old one and restart; then --remove-others ends the old endpoint.";

#[derive(Debug, clap::Subcommand)]
pub(super) enum StripeCommand {
    /// Have Stripe send its events to http.public_url: those that Berth acts upon, in the version that it reads.
    #[command(before_help = "Examples:\n  berth stripe sync-webhook --dry-run\n  berth stripe sync-webhook\n  \
        berth stripe sync-webhook --remove-others      once the new endpoint's secret is in stripe.webhook_secrets\n")]
    #[command(after_help = AFTER_HELP)]
    SyncWebhook(SyncWebhookArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct SyncWebhookArgs {
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Also end what else leads to the same address, such as the endpoint of an older version.
    #[arg(long)]
    remove_others: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What is done, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Create,
    Update { endpoint: String, adds: Vec<String>, removes: Vec<String>, enables: bool },
    Nothing { endpoint: String },
}

/// How it went.
#[derive(Debug, Serialize)]
struct Synced {
    url: String,
    dry_run: bool,
    action: Action,
    /// Of the endpoint that events come to now; none where it would be made.
    endpoint: Option<String>,
    api_version: &'static str,
    events: Vec<&'static str>,
    /// What else leads to the address.
    others: Vec<String>,
    /// Of those, the ended ones.
    removed: Vec<String>,
    /// The signing secret of a new endpoint. It is told once, here.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

pub(super) async fn run(file: Option<PathBuf>, command: StripeCommand) -> anyhow::Result<ExitCode> {
    let StripeCommand::SyncWebhook(args) = command;
    let config = settings::load_or_dev(file)?;
    settings::log_quietly(&config)?;
    let stripe = stripe_of(&config)?.ok_or_else(|| StartError::Setting {
        key: "stripe.secret_key",
        why: "it is not set: set BERTH_STRIPE__SECRET_KEY, or the key in berth.toml".to_owned(),
    })?;
    let url = reachable(&config)?;
    let synced = Box::pin(sync(&stripe, &url, &args)).await?;
    if args.json {
        print_json(&synced)?;
    } else {
        print(&told(&synced))?;
    }
    if synced.secret.is_some() {
        say("berth: the secret above is told once: put it into stripe.webhook_secrets and restart what serves");
    }
    Ok(ExitCode::SUCCESS)
}

/// The address that Stripe is to send to.
fn reachable(config: &Config) -> anyhow::Result<Url> {
    let url = address_of(&config.http.public_url).context("http.public_url has no place for a webhook")?;
    let of_stripe = config.stripe.api_base.host_str().is_some_and(|host| host.ends_with("stripe.com"));
    if of_stripe && is_local(&url) {
        bail!(
            "Stripe cannot reach {url}, which is this machine: set http.public_url, or run \
             `stripe listen --forward-to {url}` and put its whsec_… into stripe.webhook_secrets"
        );
    }
    if config.stripe.livemode && url.scheme() != "https" {
        bail!("Stripe sends events of real money to https only, and http.public_url is {}", config.http.public_url);
    }
    Ok(url)
}

/// Where Stripe's events come to; none where the address can have no path.
pub(super) fn address_of(public_url: &Url) -> Option<Url> {
    let mut base = public_url.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", public_url.path()));
    }
    base.join(WEBHOOK_PATH).ok()
}

/// Whether the address is this machine's own, which nobody else reaches.
pub(super) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}

/// Whether an endpoint's address is ours; on this machine `localhost` and `127.0.0.1` are one.
pub(super) fn same_place(theirs: &str, ours: &Url) -> bool {
    let Ok(theirs) = Url::parse(theirs) else { return false };
    let same_host = theirs.host() == ours.host() || (is_local(&theirs) && is_local(ours));
    same_host
        && theirs.scheme() == ours.scheme()
        && theirs.port_or_known_default() == ours.port_or_known_default()
        && theirs.path() == ours.path()
}

/// What is to be done about the endpoints that lead to us.
fn decide(ours: &[&WebhookEndpoint]) -> Action {
    let Some(best) = best_endpoint(ours).filter(|best| best.has_our_version()) else { return Action::Create };
    let owned = |kinds: Vec<&str>| kinds.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let (adds, removes) = (owned(best.lacks(KINDS)), owned(best.surplus(KINDS)));
    let endpoint = best.id.clone();
    if adds.is_empty() && removes.is_empty() && best.is_enabled() {
        return Action::Nothing { endpoint };
    }
    Action::Update { endpoint, adds, removes, enables: !best.is_enabled() }
}

async fn sync(stripe: &Stripe, url: &Url, args: &SyncWebhookArgs) -> anyhow::Result<Synced> {
    let all = stripe.webhook_endpoints().await.context("Stripe did not say which endpoints there are")?;
    let ours: Vec<&WebhookEndpoint> = all.iter().filter(|endpoint| same_place(&endpoint.url, url)).collect();
    let action = decide(&ours);
    let key = IdempotencyKey::new(&format!("berth:webhook:{}", uuid::Uuid::now_v7()))?;
    let (endpoint, secret) = match &action {
        Action::Create if args.dry_run => (None, None),
        Action::Create => {
            let made = stripe.create_webhook_endpoint(&key, url, KINDS).await.context(
                "the endpoint may not have been made: run it again, which looks at what there is before it makes another",
            )?;
            let secret = made.secret.as_ref().map(|secret| secret.expose_secret().to_owned());
            (Some(made.id), secret)
        }
        Action::Update { endpoint, .. } => {
            if !args.dry_run {
                stripe.update_webhook_endpoint(&key, endpoint, KINDS).await.context("the endpoint was not changed")?;
            }
            (Some(endpoint.clone()), None)
        }
        Action::Nothing { endpoint } => (Some(endpoint.clone()), None),
    };
    let others: Vec<String> =
        ours.iter().map(|one| one.id.clone()).filter(|id| Some(id) != endpoint.as_ref()).collect();
    // Whoever has just been told a new secret must put it in place first: until then the old endpoint is the one that works.
    let may_remove = args.remove_others && !args.dry_run && !matches!(action, Action::Create);
    let mut removed = Vec::new();
    for id in others.iter().filter(|_| may_remove) {
        stripe.delete_webhook_endpoint(id).await.with_context(|| format!("{id} was not ended"))?;
        removed.push(id.clone());
    }
    Ok(Synced {
        url: url.to_string(),
        dry_run: args.dry_run,
        action,
        endpoint,
        api_version: STRIPE_VERSION,
        events: KINDS.to_vec(),
        others,
        removed,
        secret,
    })
}

fn told(synced: &Synced) -> String {
    let Synced { url, dry_run, events, api_version, .. } = synced;
    let (count, endpoint) = (events.len(), synced.endpoint.as_deref().unwrap_or_default());
    let mut lines = vec![match (&synced.action, dry_run) {
        (Action::Create, true) => format!("would make an endpoint at {url} for {count} types of events, {api_version}"),
        (Action::Create, false) => format!("made {endpoint} at {url} for {count} types of events, {api_version}"),
        (Action::Update { adds, removes, enables, .. }, _) => {
            let verb = if *dry_run { "would change" } else { "changed" };
            let mut what = Vec::new();
            what.extend((!adds.is_empty()).then(|| format!("adds {}", adds.join(", "))));
            what.extend((!removes.is_empty()).then(|| format!("takes away {}", removes.join(", "))));
            what.extend(enables.then(|| "enables it".to_owned()));
            format!("{verb} {endpoint} at {url}: {}", what.join("; "))
        }
        (Action::Nothing { .. }, _) => {
            format!("{endpoint} at {url} is sent exactly the {count} types of events that mean something")
        }
    }];
    lines.extend(synced.removed.iter().map(|id| format!("ended {id}")));
    let left: Vec<&str> = synced.others.iter().filter(|id| !synced.removed.contains(id)).map(String::as_str).collect();
    if !left.is_empty() {
        lines.push(format!(
            "{} lead(s) there too: once the new secret is in stripe.webhook_secrets, `berth stripe sync-webhook \
             --remove-others` ends it",
            left.join(", ")
        ));
    }
    lines.extend(synced.secret.clone());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn endpoint(id: &str, version: Option<&str>, events: &[&str]) -> WebhookEndpoint {
        WebhookEndpoint {
            id: id.to_owned(),
            url: "https://shop.example/webhooks/stripe".to_owned(),
            status: "enabled".to_owned(),
            enabled_events: events.iter().map(|kind| (*kind).to_owned()).collect(),
            api_version: version.map(str::to_owned),
            livemode: false,
            secret: None,
        }
    }

    #[test]
    fn the_webhooks_address_is_beneath_the_public_one() {
        for (public, expected) in [
            ("https://shop.example", "https://shop.example/webhooks/stripe"),
            ("https://shop.example/", "https://shop.example/webhooks/stripe"),
            ("https://example.com/shop", "https://example.com/shop/webhooks/stripe"),
        ] {
            assert_eq!(address_of(&url(public)).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn an_address_is_ours_on_this_machine_by_either_name_and_elsewhere_by_its_own() {
        let here = url("http://localhost:8080/webhooks/stripe");
        let there = url("https://shop.example/webhooks/stripe");

        assert!(same_place("http://127.0.0.1:8080/webhooks/stripe", &here));
        assert!(!same_place("http://127.0.0.1:8081/webhooks/stripe", &here));
        assert!(same_place("https://shop.example:443/webhooks/stripe", &there));
        assert!(!same_place("https://shop.example/webhooks/other", &there));
        assert!(!same_place("nonsense", &there));
    }

    #[test]
    fn an_endpoint_is_made_where_there_is_none_or_only_of_another_version() {
        let old = endpoint("we_old", Some("2020-08-27"), KINDS);

        assert_eq!(decide(&[]), Action::Create);
        assert_eq!(decide(&[&old]), Action::Create);
    }

    #[test]
    fn an_endpoint_is_changed_to_exactly_what_means_something() {
        let right = endpoint("we_1", Some(STRIPE_VERSION), KINDS);
        let mut wrong = endpoint("we_2", Some(STRIPE_VERSION), &KINDS[1..]);
        wrong.enabled_events.push("invoice.paid".to_owned());
        wrong.status = "disabled".to_owned();

        assert_eq!(decide(&[&right]), Action::Nothing { endpoint: "we_1".to_owned() });
        let adds = vec![KINDS[0].to_owned()];
        let removes = vec!["invoice.paid".to_owned()];
        assert_eq!(decide(&[&wrong]), Action::Update { endpoint: "we_2".to_owned(), adds, removes, enables: true });
        assert_eq!(decide(&[&wrong, &right]), Action::Nothing { endpoint: "we_1".to_owned() });
    }

    #[test]
    fn stripe_is_not_told_of_an_address_that_it_cannot_reach() {
        let config = |settings: &[(&str, &str)]| Config::from_settings(settings).unwrap();
        let live = [("http.public_url", "http://shop.example"), ("stripe.livemode", "true")];

        assert!(reachable(&config(&[])).unwrap_err().to_string().contains("stripe listen --forward-to"));
        assert!(reachable(&config(&live)).unwrap_err().to_string().contains("https only"));
        assert!(reachable(&config(&[("stripe.api_base", "http://127.0.0.1:12111")])).is_ok());
    }
}
