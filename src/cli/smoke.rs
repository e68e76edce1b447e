//! `berth smoke`: buys the cheapest service of the running installation in test mode, as a customer would, looks at it, and
//! cancels it.

mod shop;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use super::{
    output::{print, print_json, say},
    settings,
};
use crate::{clock::Clock, config::Config, http::auth::development_token};
use shop::{Account, Order, Plan, Shop};

/// How often is looked whether something has happened.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A person opens the page, types a card's number and presses a button.
const PATIENCE_FOR_A_PERSON: Duration = Duration::from_secs(600);
/// The token lives for the run only.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);

pub(super) const AFTER_HELP: &str = "It goes by the shop's own HTTP API, at http.public_url unless --url says otherwise, so that \
    proxy, certificate, webhook, workers, panel and site are all tried. Refuses where stripe.livemode is true. At the Stripe \
    simulator it pays by itself. Stripe's own page of test mode cannot be paid by a program: it prints the page's address and \
    waits for a person who pays there with the card 4242 4242 4242 4242. Everything else goes on by itself.\n\nThe customer is \
    signed in by auth.jwt_secret; where only auth.jwks_url is set, give the token of a customer of yours by --token-file.\n\n\
    Exits 1 at the first step that fails, and says what it leaves behind.";

#[derive(Debug, clap::Args)]
pub(super) struct SmokeArgs {
    /// Where the installation answers, in place of http.public_url.
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// What to buy, by the catalogue's id, in place of the cheapest.
    #[arg(long)]
    service: Option<String>,
    /// Where the customer's mails go. Without it: shop.operator_email, else shop.support_email.
    #[arg(long)]
    email: Option<String>,
    /// A file with a customer's token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How many seconds each step may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    patience: u64,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// One step, and how long it took.
#[derive(Clone, Debug, Serialize)]
struct Step {
    name: &'static str,
    ms: u128,
    detail: String,
}

/// How it went.
#[derive(Debug, Serialize)]
struct Report {
    url: String,
    steps: Vec<Step>,
    ms: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

/// What has been begun, for who must end it by hand.
#[derive(Default)]
struct Left {
    order: Option<String>,
    account: Option<String>,
}

pub(super) async fn run(file: Option<PathBuf>, args: SmokeArgs) -> anyhow::Result<ExitCode> {
    let config = settings::load_or_dev(file)?;
    settings::log_quietly(&config)?;
    if config.stripe.livemode {
        bail!("stripe.livemode is true: this buys with a test card, and real money is not for trying");
    }
    let url = args.url.clone().unwrap_or_else(|| config.http.public_url.clone());
    let shop = Shop::new(url.clone(), token(&config, &args)?)?;
    let mut smoke = Smoke {
        shop,
        simulated: !config.stripe.api_base.host_str().is_some_and(|host| host.ends_with("stripe.com")),
        currency: config.shop.currency.clone(),
        patience: Duration::from_secs(args.patience),
        quiet: args.json,
        begun: Instant::now(),
        last: Instant::now(),
        steps: Vec::new(),
        left: Left::default(),
    };
    let outcome = Box::pin(smoke.go(args.service.as_deref())).await;
    let failed = outcome.as_ref().err().map(super::output::reasons);
    let ms = smoke.begun.elapsed().as_millis();
    if args.json {
        print_json(&Report { url: url.to_string(), steps: smoke.steps, ms, failed: failed.clone() })?;
    } else if failed.is_none() {
        print(&format!("{ms:>7} ms  in all: it can be bought, it lives, and it goes"))?;
    }
    let Some(why) = failed else { return Ok(ExitCode::SUCCESS) };
    say(&format!("error: {why}"));
    for left in smoke.left.told() {
        say(&left);
    }
    Ok(ExitCode::FAILURE)
}

/// A token of somebody new; or the one that was given.
fn token(config: &Config, args: &SmokeArgs) -> anyhow::Result<String> {
    if let Some(file) = &args.token_file {
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        return Ok(text.trim().to_owned());
    }
    if config.auth.jwt_secret.is_none() {
        bail!("auth.jwt_secret is not set, so no customer can be signed in: give a customer's token by --token-file");
    }
    let email = args.email.as_ref().or(config.shop.operator_email.as_ref()).or(config.shop.support_email.as_ref());
    let email = email.context("give the address that the mails go to: --email, or set shop.operator_email")?;
    Ok(development_token(&config.auth, Uuid::new_v4(), Some(email), false, Clock::machine(), TOKEN_LIFETIME)?)
}

impl Left {
    fn told(&self) -> Vec<String> {
        let account = self.account.as_ref().map(|id| {
            format!(
                "berth: the account {id} is left: berth accounts show {id}, and staff's POST /v1/hosting/{id}/terminate"
            )
        });
        let order = self.order.as_ref().filter(|_| self.account.is_none());
        let order = order.map(|id| {
            format!("berth: the order {id} is left: unpaid it ends by itself, paid it goes on as soon as it can")
        });
        account.into_iter().chain(order).collect()
    }
}

/// One run.
struct Smoke {
    shop: Shop,
    simulated: bool,
    currency: String,
    patience: Duration,
    quiet: bool,
    begun: Instant,
    last: Instant,
    steps: Vec<Step>,
    left: Left,
}

impl Smoke {
    async fn go(&mut self, service: Option<&str>) -> anyhow::Result<()> {
        let ready = self.shop.ready().await?;
        self.done("it answers", format!("{} says that it is {ready}", self.shop.url()))?;
        let plan = self.choose(service).await?;
        self.done(
            "plan chosen",
            format!("{} for {} {}", plan.service_id, plan.first_price(&self.currency), self.currency),
        )?;
        let opened = self.shop.order(&plan.service_id).await?;
        self.left.order = Some(opened.order_id.clone());
        self.done("ordered", opened.order_id.clone())?;
        self.pay(&opened.order_id, opened.checkout_url.as_deref()).await?;
        let order = self.until_order(&opened.order_id, "the payment to be told of", Order::is_paid).await?;
        self.done("payment known", order.status)?;
        self.until_order(&opened.order_id, "its account to be made", Order::is_complete).await?;
        let account = self.shop.account_of(&opened.order_id).await?;
        self.left.account = Some(account.id.clone());
        self.done("live", account.id.clone())?;
        if let Some(site) = &account.site_url {
            let status = self.shop.visit(site).await?;
            if status != 200 {
                bail!("{site} answers {status}, not 200");
            }
            self.done("site answers", site.clone())?;
        }
        self.shop.cancel(&account.id).await?;
        self.done("cancelled", "at once".to_owned())?;
        self.until_gone(&account).await?;
        self.left = Left::default();
        self.done("gone", "backed up and removed".to_owned())
    }

    async fn choose(&self, service: Option<&str>) -> anyhow::Result<Plan> {
        let plans = self.shop.plans().await?;
        match service {
            Some(id) => {
                let found = plans.into_iter().find(|plan| plan.service_id == id);
                found.with_context(|| format!("no service is called {id}: see {}v1/plans", self.shop.url()))
            }
            None => cheapest(plans, &self.currency),
        }
    }

    /// Pays the page; Stripe's own is paid by a person.
    async fn pay(&mut self, order: &str, page: Option<&str>) -> anyhow::Result<()> {
        let Some(page) = page else {
            return self.done("paid", "nothing was due".to_owned());
        };
        // The installation that answers need not be the one whose settings these are.
        if page.contains("cs_live_") {
            bail!("the order {order} would be paid with real money: it is left unpaid");
        }
        if self.simulated {
            self.shop.pay_simulated(page).await?;
            return self.done("paid", "at the Stripe simulator".to_owned());
        }
        say(&format!(
            "berth: Stripe's page cannot be paid by a program. Pay it with the card 4242 4242 4242 4242, any later month and \
             any CVC, within {} minutes:\n  {page}",
            PATIENCE_FOR_A_PERSON.as_secs() / 60
        ));
        let patience = std::mem::replace(&mut self.patience, PATIENCE_FOR_A_PERSON);
        let paid = self.until_order(order, "somebody to pay the page", Order::is_paid).await;
        self.patience = patience;
        paid?;
        self.done("paid", "by hand, at Stripe".to_owned())
    }

    async fn until_order(&self, id: &str, what: &str, holds: fn(&Order) -> bool) -> anyhow::Result<Order> {
        let begun = Instant::now();
        loop {
            let order = self.shop.look_at_order(id).await?;
            if holds(&order) {
                return Ok(order);
            }
            if order.is_over() {
                bail!("the order is {}{}", order.status, order.why());
            }
            self.still_patient(begun, what, &format!("the order is {}", order.status))?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn until_gone(&self, account: &Account) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let now = self.shop.look_at_account(&account.id).await?;
            if now.terminated_at.is_some() {
                break;
            }
            self.still_patient(begun, "the account to be removed", &format!("it is {}", now.status))?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if let Some(site) = &account.site_url
            && self.shop.visit(site).await.is_ok_and(|status| status == 200)
        {
            bail!("{site} still answers, although its account is removed");
        }
        Ok(())
    }

    fn still_patient(&self, begun: Instant, what: &str, stands: &str) -> anyhow::Result<()> {
        if begun.elapsed() > self.patience {
            bail!(
                "waited {} s for {what}; {stands}. `berth doctor` says what does not work, `berth jobs list` what waits",
                self.patience.as_secs()
            );
        }
        Ok(())
    }

    /// Tells of a step that has just ended.
    fn done(&mut self, name: &'static str, detail: String) -> anyhow::Result<()> {
        let ms = self.last.elapsed().as_millis();
        self.last = Instant::now();
        if !self.quiet {
            print(&format!("{ms:>7} ms  {name:<14} {detail}"))?;
        }
        self.steps.push(Step { name, ms, detail });
        Ok(())
    }
}

/// The plan that costs least at first, and something: what is free never meets Stripe.
fn cheapest(plans: Vec<Plan>, currency: &str) -> anyhow::Result<Plan> {
    let priced = plans.into_iter().filter(|plan| plan.trial_days == 0 && !plan.first_price(currency).is_zero());
    priced
        .min_by_key(|plan| plan.first_price(currency))
        .with_context(|| format!("nothing is sold in {currency} that costs something at once: name a --service"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(id: &str, price: &str, fee: Option<&str>, trial_days: u32) -> Plan {
        let usd = |amount: &str| [("USD".to_owned(), amount.parse().unwrap())].into();
        Plan { service_id: id.to_owned(), prices: usd(price), setup_fees: fee.map(usd).unwrap_or_default(), trial_days }
    }

    #[test]
    fn the_cheapest_is_what_costs_least_at_first_and_something() {
        let plans = vec![
            plan("free", "0.00", None, 0),
            plan("tried", "1.00", None, 14),
            plan("with-fee", "4.00", Some("10.00"), 0),
            plan("shared-monthly", "4.99", None, 0),
            plan("vps-monthly", "19.99", None, 0),
        ];

        assert_eq!(cheapest(plans, "USD").unwrap().service_id, "shared-monthly");
        assert!(cheapest(vec![plan("a", "1.00", None, 0)], "EUR").is_err());
    }

    #[test]
    fn real_money_and_a_shop_that_signs_nobody_in_are_refused() {
        let args = |token_file: Option<PathBuf>| SmokeArgs {
            url: None,
            service: None,
            email: None,
            token_file,
            patience: 1,
            json: false,
        };
        let config = Config::from_settings(&[("auth.jwks_url", "https://id.example/jwks.json")]).unwrap();

        let refused = token(&config, &args(None)).unwrap_err().to_string();

        assert!(refused.contains("--token-file"), "{refused}");
    }

    #[test]
    fn what_is_left_behind_is_told() {
        let order = Left { order: Some("ord_1".to_owned()), account: None };
        let account = Left { order: Some("ord_1".to_owned()), account: Some("acc_1".to_owned()) };

        assert!(order.told()[0].contains("ord_1"));
        assert!(account.told().len() == 1 && account.told()[0].contains("acc_1"));
        assert!(Left::default().told().is_empty());
    }
}
