//! How the world reaches Berth: its names lead somewhere, its certificate is good, and behind it Berth answers.

use std::{net::IpAddr, time::Duration};

use jiff::Timestamp;
use tokio::{net::lookup_host, time::timeout};
use url::{Host, Url};

use super::check::{Check, broken, ok, skipped, warning};
use crate::{
    clock::Clock,
    config::Config,
    error::chain,
    gateways::{
        certificate::{self, Certificate, LookError},
        http_client::Timeouts,
    },
};

const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(10) };
/// A name is answered at once, or by nobody.
const DNS_PATIENCE: Duration = Duration::from_secs(5);
/// Certificates are renewed a month before their end: with less left, something keeps them from it.
const FEW_DAYS: i64 = 14;
const VERY_FEW_DAYS: i64 = 3;

pub(super) async fn look(config: &Config, offline: bool) -> Vec<Check> {
    if offline {
        return vec![skipped("TLS"), skipped("DNS"), skipped("DNS of sites")];
    }
    let url = &config.http.public_url;
    let (mut checks, dns, sites) =
        tokio::join!(of_front(url, config), of_dns(url), of_sites(&config.hosting.base_domain, url));
    checks.extend([dns, sites]);
    checks
}

/// Asks Berth as the world does.
async fn of_front(url: &Url, config: &Config) -> Vec<Check> {
    let Ok(health) = url.join("healthz") else {
        return vec![broken("TLS", format!("{url} has no page"), "set http.public_url")];
    };
    let seen = certificate::look(&health, TIMEOUTS).await;
    let mut checks = vec![of_certificate(url, &seen, Clock::machine())];
    if let Ok(seen) = &seen {
        checks.push(of_answer(&health, seen.status));
    }
    checks.push(of_proxies(config));
    checks
}

fn of_certificate(url: &Url, seen: &Result<Certificate, LookError>, now: Timestamp) -> Check {
    const NAME: &str = "TLS";
    if url.scheme() != "https" {
        if is_here(url) {
            return ok(NAME, format!("{url} is this machine: no TLS is needed"));
        }
        let fix = "put a proxy with a certificate before it (docs/deploy.md), and set http.public_url to https://…";
        return broken(NAME, format!("{url} is not encrypted: passwords and tokens can be read on their way"), fix);
    }
    let renew = "renew it: certbot renew, or look at what your proxy's log says of it";
    match seen {
        Ok(Certificate { not_after: Some(end), .. }) => {
            let left = end.duration_since(now).as_hours() / 24;
            let detail = format!("valid, {left} days left (until {})", end.strftime("%F"));
            if left < VERY_FEW_DAYS {
                broken(NAME, detail, renew)
            } else if left < FEW_DAYS {
                warning(NAME, detail, renew)
            } else {
                ok(NAME, detail)
            }
        }
        Ok(Certificate { not_after: None, .. }) => ok(NAME, "valid; its end cannot be read"),
        Err(LookError::Certificate(why)) => broken(NAME, format!("{url}: {why}"), renew),
        Err(error) => broken(NAME, format!("{url}: {}", chain(error)), "let a proxy listen there, and open its port"),
    }
}

fn of_answer(health: &Url, status: u16) -> Check {
    const NAME: &str = "public address";
    if status == 200 {
        return ok(NAME, format!("Berth answers at {health}"));
    }
    let fix = "start `berth up` or `berth serve`, and let the proxy lead to http.listen";
    broken(NAME, format!("{health} answers {status}"), fix)
}

/// Without them all clients are one, to whatever is limited by address.
fn of_proxies(config: &Config) -> Check {
    const NAME: &str = "proxies";
    let behind = config.http.public_url.scheme() == "https";
    match config.http.trusted_proxies.as_slice() {
        [] if behind => {
            let fix = "set http.trusted_proxies to the proxy's address, mostly 127.0.0.1";
            warning(NAME, "public_url is https, so that a proxy stands before Berth, and none is named", fix)
        }
        [] => ok(NAME, "none is named, and none is needed for http"),
        some => ok(NAME, format!("{} are believed about clients' addresses", some.len())),
    }
}

async fn of_dns(url: &Url) -> Check {
    const NAME: &str = "DNS";
    match url.host() {
        Some(Host::Domain(name)) => of_lookup(NAME, name, addresses(name).await, "add an A and an AAAA record for it"),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) if is_here(url) => ok(NAME, "an address of this machine, by itself"),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => {
            let fix = "give it a name: certificates and customers need one";
            warning(NAME, format!("{url} is an address without a name"), fix)
        }
        None => broken(NAME, format!("{url} names no host"), "set http.public_url"),
    }
}

/// Any name beneath the domain: customers' sites have names that nobody knows yet.
async fn of_sites(base_domain: &str, url: &Url) -> Check {
    const NAME: &str = "DNS of sites";
    if base_domain == "localhost" || base_domain.ends_with(".localhost") {
        if is_here(url) {
            return ok(NAME, format!("*.{base_domain} is this machine"));
        }
        let fix = "set hosting.base_domain to a domain of yours, with a record *.domain that leads to your servers";
        return warning(NAME, format!("sites live beneath {base_domain}, which leads nowhere for customers"), fix);
    }
    let name = format!("berth-doctor.{base_domain}");
    let fix = format!("add a record *.{base_domain} that leads to the servers of the sites");
    of_lookup(NAME, &name, addresses(&name).await, &fix)
}

async fn addresses(name: &str) -> Result<Vec<IpAddr>, String> {
    match timeout(DNS_PATIENCE, lookup_host((name, 443))).await {
        Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", DNS_PATIENCE.as_secs())),
    }
}

fn of_lookup(check: &'static str, name: &str, found: Result<Vec<IpAddr>, String>, fix: &str) -> Check {
    match found {
        Ok(mut addresses) if !addresses.is_empty() => {
            addresses.sort_unstable();
            addresses.dedup();
            let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            ok(check, format!("{name} is {}", shown.join(", ")))
        }
        Ok(_) => broken(check, format!("{name} has no address"), fix),
        Err(why) => broken(check, format!("{name}: {why}"), fix),
    }
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::Verdict, *};

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn with_days_left(left: i64) -> Check {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let seen = Certificate { status: 200, not_after: Some(now + jiff::SignedDuration::from_hours(24 * left)) };
        of_certificate(&url("https://shop.example/"), &Ok(seen), now)
    }

    #[test]
    fn a_certificate_is_judged_by_the_days_that_it_has_left() {
        assert_eq!(with_days_left(60).verdict, Verdict::Ok);
        assert!(with_days_left(60).detail.contains("60 days left"));
        assert_eq!(with_days_left(13).verdict, Verdict::Warning);
        assert_eq!(with_days_left(2).verdict, Verdict::Broken);
    }

    #[test]
    fn a_certificate_that_is_refused_and_a_shop_without_one_fail() {
        let now = Timestamp::UNIX_EPOCH;
        let refused = Err(LookError::Certificate("certificate expired".to_owned()));
        let plain = Ok(Certificate { status: 200, not_after: None });

        let expired = of_certificate(&url("https://shop.example/"), &refused, now);

        assert!(expired.verdict == Verdict::Broken && expired.detail.contains("certificate expired"));
        assert_eq!(of_certificate(&url("http://shop.example/"), &plain, now).verdict, Verdict::Broken);
        assert_eq!(of_certificate(&url("http://localhost:8080/"), &plain, now).verdict, Verdict::Ok);
    }

    #[test]
    fn a_name_that_leads_nowhere_fails() {
        let found = |addresses: &[&str]| Ok(addresses.iter().map(|text| text.parse().unwrap()).collect());

        assert_eq!(of_lookup("DNS", "a.example", found(&[]), "x").verdict, Verdict::Broken);
        assert_eq!(of_lookup("DNS", "a.example", Err("no such name".to_owned()), "x").verdict, Verdict::Broken);
        let there = of_lookup("DNS", "a.example", found(&["192.0.2.7", "192.0.2.7", "2001:db8::1"]), "x");
        assert_eq!(there.detail, "a.example is 192.0.2.7, 2001:db8::1");
    }

    #[tokio::test]
    async fn sites_beneath_localhost_are_well_on_this_machine_only() {
        assert_eq!(of_sites("localhost", &url("http://localhost:8080")).await.verdict, Verdict::Ok);
        assert_eq!(of_sites("localhost", &url("https://shop.example")).await.verdict, Verdict::Warning);
    }

    #[test]
    fn a_proxy_that_is_not_named_is_warned_of() {
        let config = |more: &[(&str, &str)]| Config::from_settings(more).unwrap();
        let https = ("http.public_url", "https://shop.example");

        assert_eq!(of_proxies(&config(&[https])).verdict, Verdict::Warning);
        assert_eq!(of_proxies(&config(&[https, ("http.trusted_proxies", "127.0.0.1")])).verdict, Verdict::Ok);
        assert_eq!(of_proxies(&config(&[])).verdict, Verdict::Ok);
    }

    #[test]
    fn an_answer_other_than_ours_fails() {
        assert_eq!(of_answer(&url("https://shop.example/healthz"), 502).verdict, Verdict::Broken);
        assert_eq!(of_answer(&url("https://shop.example/healthz"), 200).verdict, Verdict::Ok);
    }
}
