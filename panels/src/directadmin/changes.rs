//! What changes accounts. Each looks first, acts on what is proved ours, and reads back what DirectAdmin says it did.

use secrecy::SecretString;

use super::{
    DirectAdminPanel,
    account::UserConf,
    calls::Param,
    reads::Found,
    texts::{About, Refusal},
};
use crate::{AccountRef, Cause, CreateSpec, Created, PanelError};

impl DirectAdminPanel {
    pub(super) async fn create(&self, spec: &CreateSpec) -> Result<Created, PanelError> {
        match self.look(&spec.account, Some(spec.intended_at)).await? {
            Found::Ours(conf) => return self.adopt(spec, &conf).await,
            Found::Foreign => return Err(name_taken(&spec.account)),
            Found::Nothing => {}
        }
        self.check_package(&spec.package).await?;
        let Err(refusal) = self.send_create(spec).await? else {
            let conf = self.read_back(spec).await?;
            return Ok(self.created(&conf, false));
        };
        if refusal.about() == About::Forbidden {
            return Err(refusal.into());
        }
        // An earlier call of ours may have gone on at the server and ended just now, or this one got further than it says.
        match self.look(&spec.account, Some(spec.intended_at)).await? {
            Found::Ours(conf) => self.adopt(spec, &conf).await,
            Found::Foreign => Err(name_taken(&spec.account)),
            Found::Nothing => Err(refusal.into()),
        }
    }

    async fn send_create(&self, spec: &CreateSpec) -> Result<Result<(), Refusal>, PanelError> {
        let (domain, ip) = (self.domain_of(&spec.account), self.ip_for_new().await?);
        let params = [
            ("action", Param::Plain("create")),
            ("add", Param::Plain("Submit")),
            ("username", Param::Plain(spec.account.username.as_str())),
            ("email", Param::Plain(&spec.owner_email)),
            ("passwd", Param::Secret(&spec.password)),
            ("passwd2", Param::Secret(&spec.password)),
            ("domain", Param::Plain(&domain)),
            ("package", Param::Plain(&spec.package)),
            ("ip", Param::Plain(&ip)),
            ("notify", Param::Plain("no")),
        ];
        self.calls.change("CMD_API_ACCOUNT_USER", Some(self.create_timeout), &params).await
    }

    /// The account that a create has just made. It is there, so what is wrong with it is for a person.
    async fn read_back(&self, spec: &CreateSpec) -> Result<UserConf, PanelError> {
        match self.look(&spec.account, None).await {
            Ok(Found::Ours(conf)) if conf.package == spec.package => Ok(conf),
            Ok(Found::Ours(conf)) => Err(PanelError::permanent(format!(
                "DirectAdmin made the account on the package {:?} instead of {:?}",
                conf.package, spec.package
            ))),
            Ok(Found::Foreign | Found::Nothing) => {
                Err(PanelError::ambiguous("DirectAdmin says that it made the account, and shows another or none"))
            }
            // Whatever hinders the look, the create was sent and taken.
            Err(error) => Err(PanelError::Ambiguous(
                Cause::new("DirectAdmin says that it made the account, which could not be read back").because(error),
            )),
        }
    }

    /// Takes an account that an earlier call has made. Nobody heard how that ended, so its password is set to the intent's;
    /// one that is suspended has lived since, and setting a password could open its locked login.
    async fn adopt(&self, spec: &CreateSpec, conf: &UserConf) -> Result<Created, PanelError> {
        if !conf.is_suspended() {
            self.send_password(conf, &spec.password).await?;
        }
        Ok(self.created(conf, true))
    }

    fn created(&self, conf: &UserConf, adopted: bool) -> Created {
        Created {
            remote_id: conf.remote_id(),
            site_url: Some(format!("http://{}/", conf.domain)),
            control_panel_url: Some(self.control_panel_url.clone()),
            adopted,
        }
    }

    pub(super) async fn change_package(&self, account: &AccountRef, package: &str) -> Result<(), PanelError> {
        let conf = self.owned(account).await?;
        if conf.package == package {
            return Ok(());
        }
        self.check_package(package).await?;
        let params = [
            ("action", Param::Plain("package")),
            ("user", Param::Plain(conf.username.as_str())),
            ("package", Param::Plain(package)),
        ];
        self.calls.change("CMD_API_MODIFY_USER", None, &params).await??;
        let now = self.owned(account).await?.package;
        if now == package {
            return Ok(());
        }
        Err(PanelError::permanent(format!(
            "DirectAdmin says that it changed the package, which is {now:?} and not {package:?}"
        )))
    }

    pub(super) async fn change_password(
        &self,
        account: &AccountRef,
        password: &SecretString,
    ) -> Result<(), PanelError> {
        let conf = self.owned(account).await?;
        self.send_password(&conf, password).await
    }

    async fn send_password(&self, conf: &UserConf, password: &SecretString) -> Result<(), PanelError> {
        let params = [
            ("username", Param::Plain(conf.username.as_str())),
            ("passwd", Param::Secret(password)),
            ("passwd2", Param::Secret(password)),
        ];
        Ok(self.calls.change("CMD_API_USER_PASSWD", None, &params).await??)
    }

    pub(super) async fn remove(&self, account: &AccountRef) -> Result<(), PanelError> {
        let conf = match self.look(account, None).await? {
            Found::Nothing => return Ok(()),
            Found::Foreign => {
                return Err(PanelError::permanent(format!("{} is somebody else's account", account.username)));
            }
            Found::Ours(conf) => conf,
        };
        let params = [
            ("confirmed", Param::Plain("Confirm")),
            ("delete", Param::Plain("yes")),
            ("select0", Param::Plain(conf.username.as_str())),
        ];
        let said = self.calls.change("CMD_API_SELECT_USERS", None, &params).await?;
        // Some servers refuse what they have done.
        match (self.look(account, None).await?, said) {
            (Found::Nothing, _) => Ok(()),
            (Found::Foreign | Found::Ours(_), Err(refusal)) => Err(refusal.into()),
            (Found::Foreign | Found::Ours(_), Ok(())) => {
                Err(PanelError::ambiguous("DirectAdmin says that it removed the account, which is there"))
            }
        }
    }
}

fn name_taken(account: &AccountRef) -> PanelError {
    PanelError::name_taken(format!("{} is somebody else's account", account.username))
}
