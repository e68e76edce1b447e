//! What changes accounts. Each looks first, acts on what is proved ours, and reads back what WHM says it did.

use secrecy::SecretString;

use super::{
    WhmPanel,
    account::{Summary, marked},
    calls::Param,
    reads::Found,
    texts::About,
};
use crate::{AccountRef, CreateSpec, Created, PanelError, RemoteState};

impl WhmPanel {
    pub(super) async fn create(&self, spec: &CreateSpec) -> Result<Created, PanelError> {
        match self.look(&spec.account, Some(spec.intended_at)).await? {
            Found::Ours(summary) => return self.adopt(spec, summary).await,
            Found::Foreign => {
                return Err(PanelError::name_taken(format!("{} is somebody else's account", spec.account.username)));
            }
            Found::Nothing => {}
        }
        self.check_package(&spec.package).await?;
        let Err(refusal) = self.send_create(spec).await? else {
            let summary = self.read_back(spec).await?;
            return Ok(self.created(&summary, false));
        };
        // An earlier call of ours may have gone on at the server and ended just now.
        if matches!(refusal.about(), About::NameTaken | About::NameRefused)
            && let Found::Ours(summary) = self.look(&spec.account, Some(spec.intended_at)).await?
        {
            return self.adopt(spec, summary).await;
        }
        Err(refusal.into())
    }

    async fn send_create(&self, spec: &CreateSpec) -> Result<Result<(), super::texts::Refusal>, PanelError> {
        let domain = self.domain_of(&spec.account);
        let params = [
            ("username", Param::Plain(spec.account.username.as_str())),
            ("domain", Param::Plain(&domain)),
            ("password", Param::Secret(&spec.password)),
            ("plan", Param::Plain(&spec.package)),
            ("contactemail", Param::Plain(&spec.owner_email)),
            ("owner", Param::Plain(&self.owner)),
            ("ip", Param::Plain("n")),
            ("useregns", Param::Plain("0")),
        ];
        self.calls.change("createacct", Some(self.create_timeout), &params).await
    }

    /// The account that a create has just made. It is there, so what is wrong with it is for a person.
    async fn read_back(&self, spec: &CreateSpec) -> Result<Summary, PanelError> {
        match self.look(&spec.account, None).await {
            Ok(Found::Ours(summary)) if summary.plan == spec.package => Ok(summary),
            Ok(Found::Ours(summary)) => Err(PanelError::permanent(format!(
                "WHM made the account on the package {:?} instead of {:?}",
                summary.plan, spec.package
            ))),
            Ok(Found::Foreign | Found::Nothing) => {
                Err(PanelError::ambiguous("WHM says that it made the account, and shows another or none"))
            }
            // Whatever hinders the look, the create was sent and taken.
            Err(error) => Err(PanelError::Ambiguous(
                crate::Cause::new("WHM says that it made the account, which could not be read back").because(error),
            )),
        }
    }

    /// Takes an account that an earlier call has made. Nobody heard how that ended, so its password is set to the intent's;
    /// one that is suspended has lived since, and setting a password could open its locked login.
    async fn adopt(&self, spec: &CreateSpec, summary: Summary) -> Result<Created, PanelError> {
        if summary.state() == RemoteState::Active {
            self.send_password(&summary, &spec.password).await?;
        }
        Ok(self.created(&summary, true))
    }

    fn created(&self, summary: &Summary, adopted: bool) -> Created {
        Created {
            remote_id: summary.remote_id(),
            site_url: Some(format!("http://{}/", summary.domain)),
            control_panel_url: self.control_panel_url.clone(),
            adopted,
        }
    }

    pub(super) async fn suspend(&self, account: &AccountRef, reason: &str) -> Result<(), PanelError> {
        let wanted = marked(reason);
        let summary = self.owned(account).await?;
        match summary.state() {
            RemoteState::Suspended { ours: false, .. } => return Ok(()),
            RemoteState::Suspended { reason: Some(said), ours: true } if marked(&said) == wanted => return Ok(()),
            // WHM leaves the reason of an account that is suspended already.
            RemoteState::Suspended { ours: true, .. } => self.send_unsuspend(&summary).await?,
            RemoteState::Active => {}
        }
        let params = [("user", Param::Plain(summary.user.as_str())), ("reason", Param::Plain(&wanted))];
        self.calls.change("suspendacct", None, &params).await??;
        match self.owned(account).await?.state() {
            RemoteState::Suspended { .. } => Ok(()),
            RemoteState::Active => {
                Err(PanelError::ambiguous("WHM says that it suspended the account, which is active"))
            }
        }
    }

    pub(super) async fn activate(&self, account: &AccountRef) -> Result<(), PanelError> {
        let summary = self.owned(account).await?;
        match summary.state() {
            RemoteState::Active => return Ok(()),
            RemoteState::Suspended { ours: true, .. } => self.send_unsuspend(&summary).await?,
            RemoteState::Suspended { ours: false, reason } => {
                let reason = reason.unwrap_or_default();
                return Err(PanelError::permanent(format!("somebody else suspended the account: {reason:?}")));
            }
        }
        match self.owned(account).await?.state() {
            RemoteState::Active => Ok(()),
            RemoteState::Suspended { .. } => {
                Err(PanelError::ambiguous("WHM says that it unsuspended the account, which is suspended"))
            }
        }
    }

    async fn send_unsuspend(&self, summary: &Summary) -> Result<(), PanelError> {
        Ok(self.calls.change("unsuspendacct", None, &[("user", Param::Plain(&summary.user))]).await??)
    }

    pub(super) async fn change_package(&self, account: &AccountRef, package: &str) -> Result<(), PanelError> {
        let summary = self.owned(account).await?;
        if summary.plan == package {
            return Ok(());
        }
        self.check_package(package).await?;
        let params = [("user", Param::Plain(summary.user.as_str())), ("pkg", Param::Plain(package))];
        self.calls.change("changepackage", None, &params).await??;
        let now = self.owned(account).await?.plan;
        if now == package {
            return Ok(());
        }
        Err(PanelError::permanent(format!(
            "WHM says that it changed the package, which is {now:?} and not {package:?}"
        )))
    }

    pub(super) async fn change_password(
        &self,
        account: &AccountRef,
        password: &SecretString,
    ) -> Result<(), PanelError> {
        let summary = self.owned(account).await?;
        self.send_password(&summary, password).await
    }

    async fn send_password(&self, summary: &Summary, password: &SecretString) -> Result<(), PanelError> {
        let params = [
            ("user", Param::Plain(summary.user.as_str())),
            ("password", Param::Secret(password)),
            // The account's database user has the same one.
            ("db_pass_update", Param::Plain("1")),
        ];
        Ok(self.calls.change("passwd", None, &params).await??)
    }

    pub(super) async fn remove(&self, account: &AccountRef) -> Result<(), PanelError> {
        let summary = match self.look(account, None).await? {
            Found::Nothing => return Ok(()),
            Found::Foreign => {
                return Err(PanelError::permanent(format!("{} is somebody else's account", account.username)));
            }
            Found::Ours(summary) => summary,
        };
        let params = [("username", Param::Plain(summary.user.as_str())), ("keepdns", Param::Plain("0"))];
        if let Err(refusal) = self.calls.change("removeacct", None, &params).await?
            && !matches!(refusal.about(), About::Absent | About::NoAccess)
        {
            return Err(refusal.into());
        }
        match self.look(account, None).await? {
            Found::Nothing => Ok(()),
            Found::Foreign | Found::Ours(_) => {
                Err(PanelError::ambiguous("WHM says that it removed the account, which is there"))
            }
        }
    }
}
