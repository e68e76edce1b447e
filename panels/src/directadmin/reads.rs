//! What is there: accounts, packages, addresses, the server.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::{
    DirectAdminPanel,
    account::{Proof, UserConf},
    answers::text_of,
    check_name, entities,
    marks::Comments,
    texts::{About, Refusal},
};
use crate::{AccountRef, Cause, Observed, OneTimeUrl, PanelError, RemoteState, ServerInfo, Usage};

/// How long a sign-in link is good. It is used at once, and once only.
const LINK_LIFE: SignedDuration = SignedDuration::from_mins(15);
/// More addresses than a reseller has.
const IPS_MAX: usize = 32;

/// What has the account's name.
pub(super) enum Found {
    Nothing,
    Foreign,
    Ours(UserConf),
}

impl DirectAdminPanel {
    pub(super) async fn observed(&self, account: &AccountRef) -> Result<Observed, PanelError> {
        Ok(match self.look(account, None).await? {
            Found::Nothing => Observed::Absent,
            Found::Foreign => Observed::Foreign,
            Found::Ours(conf) => {
                let state = self.state(&conf).await?;
                Observed::Present { remote_id: conf.remote_id(), state, package: conf.package }
            }
        })
    }

    async fn state(&self, conf: &UserConf) -> Result<RemoteState, PanelError> {
        if !conf.is_suspended() {
            return Ok(RemoteState::Active);
        }
        let mark = self.comments(conf).await?.mark();
        Ok(match mark.filter(|mark| conf.is_suspended_by(mark)) {
            Some(mark) => RemoteState::Suspended { reason: Some(mark.reason), ours: true },
            None => RemoteState::Suspended { reason: conf.suspended_reason().map(str::to_owned), ours: false },
        })
    }

    /// What has the account's name; with an intent, nothing that is older than that is ours by its domain.
    pub(super) async fn look(&self, account: &AccountRef, intended_at: Option<Timestamp>) -> Result<Found, PanelError> {
        let name = check_name(account)?;
        let conf = match self.calls.read("CMD_API_SHOW_USER_CONFIG", &[("user", name)]).await? {
            Ok(value) => UserConf::of(&value).ok_or_else(|| unreadable("CMD_API_SHOW_USER_CONFIG"))?,
            Err(refusal) => return self.look_behind(name, refusal).await,
        };
        let domain = self.domain_of(account);
        let proof = Proof { account, owner: &self.owner, domain: &domain, intended_at };
        Ok(if conf.is_ours(&proof) { Found::Ours(conf) } else { Found::Foreign })
    }

    /// An account whose configuration is refused is another reseller's or none. DirectAdmin's words do not tell which, but its
    /// lists do; and where it is in ours, the refusal was about something else.
    async fn look_behind(&self, name: &str, refusal: Refusal) -> Result<Found, PanelError> {
        if refusal.about() == About::Forbidden || refusal.about() == About::Busy {
            return Err(refusal.into());
        }
        let exists = self.exists(name).await?;
        if exists == Some(false) {
            return Ok(Found::Nothing);
        }
        if self.names("CMD_API_SHOW_USERS").await?.iter().any(|known| known == name) {
            return Err(refusal.into());
        }
        // Where it is not told, the name is free or somebody else's; a create hears which.
        Ok(if exists == Some(true) { Found::Foreign } else { Found::Nothing })
    }

    /// Whether anybody has the name; `None` where the server keeps that from resellers.
    async fn exists(&self, name: &str) -> Result<Option<bool>, PanelError> {
        let told = match self.calls.read("CMD_API_USER_EXISTS", &[("user", name)]).await {
            Ok(Ok(told)) => told,
            // Of credentials that are wrong the next call speaks too.
            Ok(Err(_)) | Err(PanelError::Misconfigured(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        match told.as_object().and_then(|fields| text_of(fields, "exists")).as_deref() {
            Some("0") => Ok(Some(false)),
            Some("1") => Ok(Some(true)),
            _ => Err(unreadable("CMD_API_USER_EXISTS")),
        }
    }

    /// The account, once it is proved to be ours.
    pub(super) async fn owned(&self, account: &AccountRef) -> Result<UserConf, PanelError> {
        match self.look(account, None).await? {
            Found::Ours(conf) => Ok(conf),
            Found::Foreign => Err(PanelError::permanent(format!("{} is somebody else's account", account.username))),
            Found::Nothing => Err(PanelError::permanent(format!("there is no account {}", account.username))),
        }
    }

    /// What reseller and admins have noted of the account.
    pub(super) async fn comments(&self, conf: &UserConf) -> Result<Comments, PanelError> {
        let shown = self.calls.read("CMD_SHOW_USER", &[("user", &conf.username)]).await??;
        let comments = shown.as_object().and_then(|fields| text_of(fields, "comments"));
        // An answer without them must not pass for an account without any: what staff wrote would be overwritten.
        let comments = comments.ok_or_else(|| unreadable("CMD_SHOW_USER"))?;
        // Line breaks are written as they are in C, within JSON's own escapes.
        Ok(Comments(entities::decoded(&comments).replace("\\r", "\r").replace("\\n", "\n")))
    }

    /// Whether accounts can be made with a package.
    pub(super) async fn check_package(&self, package: &str) -> Result<(), PanelError> {
        if self.names("CMD_API_PACKAGES_USER").await?.iter().any(|known| known == package) {
            return Ok(());
        }
        Err(PanelError::permanent(format!("the reseller has no package {package:?}")))
    }

    /// The address that a new account gets.
    pub(super) async fn ip_for_new(&self) -> Result<String, PanelError> {
        if let Some(ip) = &self.ip {
            return Ok(ip.clone());
        }
        for ip in self.names("CMD_API_SHOW_RESELLER_IPS").await?.into_iter().take(IPS_MAX) {
            let about = self.calls.read("CMD_API_SHOW_RESELLER_IPS", &[("ip", &ip)]).await??;
            let status = about.as_object().and_then(|fields| text_of(fields, "status"));
            if status.is_some_and(|status| matches!(status.as_str(), "shared" | "server")) {
                return Ok(ip);
            }
        }
        Err(PanelError::capacity("the reseller has no address that accounts share, and none is configured"))
    }

    pub(super) async fn names(&self, command: &str) -> Result<Vec<String>, PanelError> {
        let value = self.calls.read(command, &[]).await??;
        let texts = |values: &Vec<Value>| values.iter().map(|each| each.as_str().map(str::to_owned)).collect();
        let listed: Option<Vec<String>> = match &value {
            Value::Array(values) => texts(values),
            Value::Object(fields) => fields.get("list").and_then(Value::as_array).and_then(texts),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        listed.ok_or_else(|| unreadable(command))
    }

    pub(super) async fn server_info(&self) -> Result<ServerInfo, PanelError> {
        let user = self.calls.read_api(&["session", "user-config"]).await?;
        let fields = user.as_object().ok_or_else(|| unreadable("user-config"))?;
        let role = text_of(fields, "userType").ok_or_else(|| unreadable("user-config"))?;
        if role == "user" {
            return Err(PanelError::misconfigured(format!("DirectAdmin's {} is no reseller", self.owner)));
        }
        let nameservers = ["ns1", "ns2"].map(|name| text_of(fields, name));
        let info = self.calls.read_api(&["info"]).await?;
        Ok(ServerInfo {
            // It tells its version to admins only.
            version: "DirectAdmin".to_owned(),
            hostname: info.as_object().and_then(|fields| text_of(fields, "hostname")),
            nameservers: nameservers.into_iter().flatten().filter(|name| !name.is_empty()).collect(),
        })
    }

    /// The link works once, for whoever has it.
    pub(super) async fn session(&self, account: &AccountRef) -> Result<OneTimeUrl, PanelError> {
        let conf = self.owned(account).await?;
        #[expect(clippy::disallowed_methods, reason = "a server's clock is real")]
        let expires = Timestamp::now() + LINK_LIFE;
        let wanted =
            json!({"allowNetworks": [], "currentPassword": "", "expires": expires.strftime("%FT%TZ").to_string()});
        let made = self.calls.ask_as(&conf.username, &["login-keys", "urls"], &wanted).await?;
        let link = made.as_object().and_then(|fields| text_of(fields, "url")).map(SecretString::from);
        let is_link = |url: &str| Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
        match link {
            Some(link) if is_link(link.expose_secret()) => Ok(OneTimeUrl(link)),
            _ => Err(PanelError::transient("DirectAdmin made a sign-in link and did not tell it")),
        }
    }

    pub(super) async fn used(&self, account: &AccountRef) -> Result<Usage, PanelError> {
        let conf = self.owned(account).await?;
        let used = self.calls.read_api(&["users", &conf.username, "usage"]).await?;
        let of = |name: &str| used.get(name).and_then(|of| of.get("usage")).and_then(Value::as_u64);
        Ok(Usage {
            disk_bytes: of("quotaBytes").ok_or_else(|| unreadable("usage"))?,
            inodes: of("inode"),
            traffic_bytes: of("bandwidthBytes"),
        })
    }
}

pub(super) fn unreadable(what: &str) -> PanelError {
    PanelError::Transient(Cause::new(format!("DirectAdmin's answer to {what} is not of the shape that is expected")))
}
