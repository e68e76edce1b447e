//! What is there: accounts, packages, the server.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::{
    WhmPanel,
    account::{Proof, Summaries, Summary, bytes_of},
    calls::{Param, Whole},
    check_name,
    texts::About,
};
use crate::{AccountRef, Listed, Observed, OneTimeUrl, PanelError, ServerInfo, Usage};

/// What has the account's name.
pub(super) enum Found {
    Nothing,
    Foreign,
    Ours(Summary),
}

impl WhmPanel {
    pub(super) async fn observed(&self, account: &AccountRef) -> Result<Observed, PanelError> {
        Ok(match self.look(account, None).await? {
            Found::Nothing => Observed::Absent,
            Found::Foreign => Observed::Foreign,
            Found::Ours(summary) => {
                Observed::Present { remote_id: summary.remote_id(), state: summary.state(), package: summary.plan }
            }
        })
    }

    /// What has the account's name; with an intent, nothing that is older than that is ours by its domain.
    pub(super) async fn look(&self, account: &AccountRef, intended_at: Option<Timestamp>) -> Result<Found, PanelError> {
        let name = check_name(account)?;
        let said = self.calls.read::<Summaries>("accountsummary", &[("user", Param::Plain(name))]).await?;
        let summary = match said {
            Ok(found) => found.acct.unwrap_or_default().into_iter().find(|summary| summary.user == name),
            Err(refusal) => match refusal.about() {
                About::Absent => None,
                About::NoAccess => return self.look_behind(name).await,
                About::NameTaken | About::NameRefused | About::Full | About::Busy | About::Forbidden | About::Other => {
                    return Err(refusal.into());
                }
            },
        };
        let Some(summary) = summary else { return Ok(Found::Nothing) };
        let domain = self.domain_of(account);
        let proof = Proof { account, owner: &self.owner, domain: &domain, intended_at };
        Ok(if summary.is_ours(&proof) { Found::Ours(summary) } else { Found::Foreign })
    }

    /// All accounts of our reseller, by one call, which says no more of each than is asked.
    pub(super) async fn accounts(&self) -> Result<Vec<Listed>, PanelError> {
        let params = [
            ("searchtype", Param::Plain("owner")),
            ("search", Param::Plain(self.owner.as_str())),
            ("searchmethod", Param::Plain("exact")),
            ("want", Param::Plain("user,owner,suspended,unix_startdate")),
        ];
        let found: Summaries = self.calls.list("listaccts", &params).await??;
        // Versions without `searchmethod` also find owners that only have the name in theirs.
        let ours = found.acct.unwrap_or_default().into_iter().filter_map(|summary| summary.listed(&self.owner));
        Ok(ours.collect())
    }

    /// A reseller is not told whether a name is free or another's; but is told whether it could be had.
    async fn look_behind(&self, name: &str) -> Result<Found, PanelError> {
        let free = self.calls.read::<serde_json::Value>("verify_new_username", &[("user", Param::Plain(name))]).await?;
        match free {
            Ok(_) => Ok(Found::Nothing),
            Err(refusal) => match refusal.about() {
                About::NameTaken => Ok(Found::Foreign),
                About::NameRefused => Ok(Found::Nothing),
                About::Absent | About::NoAccess | About::Full | About::Busy | About::Forbidden | About::Other => {
                    Err(refusal.into())
                }
            },
        }
    }

    /// The account, once it is proved to be ours.
    pub(super) async fn owned(&self, account: &AccountRef) -> Result<Summary, PanelError> {
        match self.look(account, None).await? {
            Found::Ours(summary) => Ok(summary),
            Found::Foreign => Err(PanelError::permanent(format!("{} is somebody else's account", account.username))),
            Found::Nothing => Err(PanelError::permanent(format!("there is no account {}", account.username))),
        }
    }

    /// Whether accounts can be made with a package. WHM makes do with another where it is unknown.
    pub(super) async fn check_package(&self, package: &str) -> Result<(), PanelError> {
        let packages: Packages = self.calls.read("listpkgs", &[("want", Param::Plain("creatable"))]).await??;
        if packages.pkg.iter().any(|known| known.name == package) {
            return Ok(());
        }
        Err(PanelError::permanent(format!("the server has no package {package:?} for accounts of ours")))
    }

    pub(super) async fn server_info(&self) -> Result<ServerInfo, PanelError> {
        let version: Version = self.calls.read("version", &[]).await??;
        let hostname: Hostname = self.calls.read("gethostname", &[]).await??;
        // Not every reseller may read them, and no account needs them.
        let nameservers = self.calls.read::<Nameservers>("get_nameserver_config", &[]).await?;
        Ok(ServerInfo {
            version: format!("cPanel & WHM {}", version.version),
            hostname: Some(hostname.hostname),
            nameservers: nameservers.map(|found| found.nameservers).unwrap_or_default(),
        })
    }

    /// The link is good for a quarter of an hour, for whoever has it.
    pub(super) async fn session(&self, account: &AccountRef) -> Result<OneTimeUrl, PanelError> {
        let summary = self.owned(account).await?;
        let params = [("user", Param::Plain(summary.user.as_str())), ("service", Param::Plain("cpaneld"))];
        let session: Session = self.calls.read("create_user_session", &params).await??;
        let is_link = |url: &str| Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
        if !is_link(session.url.expose_secret()) {
            return Err(PanelError::transient("WHM gave a session without a link to it"));
        }
        Ok(OneTimeUrl(session.url))
    }

    pub(super) async fn used(&self, account: &AccountRef) -> Result<Usage, PanelError> {
        let summary = self.owned(account).await?;
        let unreadable = || PanelError::permanent("WHM does not say how much of the disk the account uses");
        let disk_bytes = summary.diskused.as_deref().and_then(bytes_of).ok_or_else(unreadable)?;
        // A regular expression; of the name's letters and digits none means anything else in one.
        let search = format!("^{}$", summary.user);
        let params = [("searchtype", Param::Plain("user")), ("search", Param::Plain(&search))];
        let traffic: Traffic = self.calls.read("showbw", &params).await??;
        let of_account = traffic.acct.into_iter().find(|of| of.user == summary.user);
        Ok(Usage { disk_bytes, inodes: summary.inodesused.0, traffic_bytes: of_account.and_then(|of| of.totalbytes.0) })
    }
}

#[derive(Deserialize)]
struct Packages {
    #[serde(default)]
    pkg: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct Hostname {
    hostname: String,
}

#[derive(Deserialize)]
struct Nameservers {
    #[serde(default)]
    nameservers: Vec<String>,
}

#[derive(Deserialize)]
struct Session {
    url: SecretString,
}

#[derive(Deserialize)]
struct Traffic {
    #[serde(default)]
    acct: Vec<TrafficOf>,
}

#[derive(Deserialize)]
struct TrafficOf {
    user: String,
    /// Of this month, all domains together.
    #[serde(default)]
    totalbytes: Whole,
}
