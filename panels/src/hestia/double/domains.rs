//! Domains of a Hestia server's users.

use serde_json::{Value, json};

use super::{
    World,
    commands::{Outcome, error, yes},
};

impl World {
    pub(super) fn web_domains(&self, user: &str) -> Value {
        let Some(user) = self.users.get(user) else { return json!({}) };
        let shown = user.web.iter().map(|(domain, serves)| {
            let domain_of_web = json!({"IP": "192.0.2.7", "IP6": "", "TPL": "default", "ALIAS": alias_of(domain),
                "SSL": "no", "SUSPENDED": yes(!serves), "TIME": "10:11:12", "DATE": "2026-11-26"});
            (domain.clone(), domain_of_web)
        });
        Value::Object(shown.collect())
    }

    /// The search is one by a regular expression, in which the domain's dots are any characters.
    pub(super) fn domain_owner(&self, domain: &str, kind: &str) -> Outcome {
        check_format(domain)?;
        let matches = |known: &str| {
            known.len() == domain.len() && known.chars().zip(domain.chars()).all(|(k, d)| d == '.' || k == d)
        };
        let found = self.users.iter().find(|(_, user)| kind == "web" && user.web.keys().any(|known| matches(known)));
        found.map(|(owner, _)| owner.clone()).ok_or((3, String::new()))
    }

    pub(super) fn add_web_domain(&mut self, user: &str, domain: &str) -> Outcome {
        let room = self.packages[&self.users[user].package];
        let found = self.unsuspended(user)?;
        if found.web.len() >= room {
            return Err(error(8, "WEB_DOMAINS limit is reached :: upgrade user package"));
        }
        self.check_domain(user, domain)?;
        if self.users.values().any(|other| other.web.contains_key(domain)) {
            return Err(error(4, format!("Web domain {domain} exists")));
        }
        self.user(user).web.insert(domain.to_owned(), true);
        Ok(String::new())
    }

    pub(super) fn add_dns_domain(&mut self, user: &str, domain: &str, ip: &str) -> Outcome {
        if ip.parse::<std::net::Ipv4Addr>().is_err() {
            return Err(error(2, format!("invalid ip :: {ip}")));
        }
        if !self.has_dns {
            return Err(error(11, "DNS_SYSTEM is not enabled"));
        }
        self.unsuspended(user)?;
        self.check_domain(user, domain)?;
        if self.users.values().any(|other| other.dns.contains_key(domain)) {
            return Err(error(4, format!("DNS domain {domain} exists")));
        }
        self.user(user).dns.insert(domain.to_owned(), ip.to_owned());
        Ok(String::new())
    }

    pub(super) fn add_mail_domain(&mut self, user: &str, domain: &str) -> Outcome {
        if !self.has_mail {
            return Err(error(11, "MAIL_SYSTEM is not enabled"));
        }
        self.unsuspended(user)?;
        self.check_domain(user, domain)?;
        if self.users.values().any(|other| other.mail.iter().any(|known| known == domain)) {
            return Err(error(4, format!("Mail domain {domain} exists")));
        }
        self.user(user).mail.push(domain.to_owned());
        Ok(String::new())
    }

    /// The domain is one, and none of those above it is another user's.
    fn check_domain(&self, user: &str, domain: &str) -> Result<(), (u16, String)> {
        check_format(domain)?;
        let others = self.users.iter().filter(|(name, _)| *name != user);
        let is_below = |base: &String| domain.strip_suffix(base.as_str()).is_some_and(|rest| rest.ends_with('.'));
        if self.guards_subdomains
            && let Some(base) = others.flat_map(|(_, other)| other.web.keys()).find(|base| is_below(base))
        {
            return Err(error(4, format!("Unable to add {domain}. {base} belongs to a different user")));
        }
        Ok(())
    }
}

fn check_format(domain: &str) -> Result<(), (u16, String)> {
    let is_one = !domain.is_empty()
        && !domain.contains(|c: char| c.is_whitespace() || "/_".contains(c))
        && !domain.starts_with(['-', '.'])
        && !domain.ends_with(['-', '.']);
    if is_one {
        return Ok(());
    }
    Err(error(2, format!("invalid domain format :: {domain}")))
}

/// Only a domain that is below none has one.
fn alias_of(domain: &str) -> String {
    if domain.matches('.').count() == 1 { format!("www.{domain}") } else { String::new() }
}
