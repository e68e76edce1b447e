//! What is there: users, their web domains, the server.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    HestiaPanel,
    account::{User, WebDomain},
    calls::Arg,
    check_name,
    exits::Exit,
};
use crate::{AccountRef, Cause, Listed, Observed, PanelError, ServerInfo, Usage};

/// What has the account's name.
pub(super) enum Found {
    Nothing,
    Foreign,
    Ours(User),
}

impl HestiaPanel {
    pub(super) async fn observed(&self, account: &AccountRef) -> Result<Observed, PanelError> {
        let user = match self.look(account).await? {
            Found::Nothing => return Ok(Observed::Absent),
            Found::Foreign => return Ok(Observed::Foreign),
            Found::Ours(user) => user,
        };
        // An account that was whole once may do without its domain: customers delete theirs.
        if account.remote_id.is_none() && self.web_domain(&user.username, &self.domain_of(account)).await?.is_none() {
            return Ok(Observed::Partial { missing: vec!["web domain".to_owned()] });
        }
        let state = self.state(&user).await?;
        Ok(Observed::Present { remote_id: user.remote_id(), state, package: user.package })
    }

    /// What has the account's name.
    pub(super) async fn look(&self, account: &AccountRef) -> Result<Found, PanelError> {
        let name = check_name(account)?;
        let args = [Arg::Plain(name), Arg::Plain("json")];
        let user = match self.calls.read::<BTreeMap<String, User>>("v-list-user", &args).await? {
            Ok(mut users) => users.remove(name),
            Err(refusal) if refusal.exit() == Exit::Absent => return Ok(Found::Nothing),
            Err(refusal) => return Err(refusal.into()),
        };
        let Some(mut user) = user else {
            return Err(PanelError::transient(format!("Hestia shows another user than {name}")));
        };
        if user.is_being_made() {
            return Err(PanelError::transient(format!("the user {name} is being made, or its record is lost")));
        }
        name.clone_into(&mut user.username);
        Ok(if user.is_ours(account) { Found::Ours(user) } else { Found::Foreign })
    }

    /// All users that have our mark in their names. One whose owner has taken it out is not among them.
    pub(super) async fn accounts(&self) -> Result<Vec<Listed>, PanelError> {
        let users: BTreeMap<String, User> = self.calls.list("v-list-users", &[Arg::Plain("json")]).await??;
        let ours = users.into_iter().filter_map(|(username, mut user)| {
            user.username = username;
            user.listed()
        });
        Ok(ours.collect())
    }

    /// The account, once it is proved to be ours.
    pub(super) async fn owned(&self, account: &AccountRef) -> Result<User, PanelError> {
        match self.look(account).await? {
            Found::Ours(user) => Ok(user),
            Found::Foreign => Err(PanelError::permanent(format!("{} is somebody else's account", account.username))),
            Found::Nothing => Err(PanelError::permanent(format!("there is no account {}", account.username))),
        }
    }

    /// A domain among a user's.
    pub(super) async fn web_domain(&self, username: &str, domain: &str) -> Result<Option<WebDomain>, PanelError> {
        let args = [Arg::Plain(username), Arg::Plain("json")];
        match self.calls.read::<BTreeMap<String, WebDomain>>("v-list-web-domains", &args).await? {
            Ok(mut domains) => Ok(domains.remove(domain)),
            Err(refusal) if refusal.exit() == Exit::Absent => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// That no user has the domain: Hestia would make the user first and refuse the domain then.
    pub(super) async fn check_domain_is_free(&self, domain: &str) -> Result<(), PanelError> {
        let args = [Arg::Plain(domain), Arg::Plain("web")];
        let owner = match self.calls.read_line("v-search-domain-owner", &args).await? {
            Ok(owner) => owner,
            Err(refusal) if refusal.exit() == Exit::Absent => return Ok(()),
            Err(refusal) => return Err(refusal.into()),
        };
        if owner.is_empty() {
            return Err(PanelError::transient("Hestia does not say whose a domain is"));
        }
        // The search takes a dot for any character, so it also finds `my-shop.example` for `my.shop.example`.
        if self.web_domain(&owner, domain).await?.is_none() {
            return Ok(());
        }
        Err(PanelError::permanent(format!("the domain {domain} is another account's on this server")))
    }

    pub(super) async fn server_info(&self) -> Result<ServerInfo, PanelError> {
        let info: Info = self.calls.read("v-list-sys-info", &[Arg::Plain("json")]).await??;
        let packages =
            self.calls.read::<BTreeMap<String, Package>>("v-list-user-packages", &[Arg::Plain("json")]).await?;
        let mut nameservers: Vec<String> = Vec::new();
        // Domains get the name servers of their owner's package, which are usually the same in all.
        for package in packages?.into_values() {
            let of_package = package.ns.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
            nameservers.extend(of_package);
        }
        nameservers.sort();
        nameservers.dedup();
        let hostname = Some(info.sysinfo.hostname).filter(|name| !name.is_empty());
        Ok(ServerInfo { version: format!("HestiaCP {}", info.sysinfo.hestia), hostname, nameservers })
    }

    pub(super) async fn used(&self, account: &AccountRef) -> Result<Usage, PanelError> {
        let user = self.owned(account).await?;
        let unreadable =
            || PanelError::Permanent(Cause::new("Hestia does not say how much of the disk the account uses"));
        Ok(Usage {
            disk_bytes: user.disk_bytes().ok_or_else(unreadable)?,
            inodes: None,
            traffic_bytes: user.traffic_bytes(),
        })
    }
}

#[derive(Deserialize)]
struct Info {
    sysinfo: System,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct System {
    #[serde(default)]
    hostname: String,
    hestia: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Package {
    #[serde(default)]
    ns: String,
}
