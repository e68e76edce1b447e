//! The create: a user with our mark, then its domain. Each step is looked at before it is repeated.

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    HestiaPanel,
    account::{User, WebDomain, marked_name},
    calls::Arg,
    exits::{Exit, Refusal, Unmade},
    reads::Found,
};
use crate::{AccountRef, Cause, CreateSpec, Created, PanelError};

impl HestiaPanel {
    pub(super) async fn create(&self, spec: &CreateSpec) -> Result<Created, PanelError> {
        check_password(&spec.password)?;
        match self.look(&spec.account).await? {
            Found::Ours(user) => return self.adopt(spec, &user).await,
            Found::Foreign => return Err(is_foreign(&spec.account)),
            Found::Nothing => {}
        }
        let domain = self.domain_of(&spec.account);
        self.check_domain_is_free(&domain).await?;
        if let Err(refusal) = self.send_create(spec).await? {
            return self.adopt_after(spec, refusal).await;
        }
        let user = self.read_back(spec).await?;
        let web = self.add_web_domain(&user, &domain).await.map_err(is_half_made)?;
        self.add_beside(&user, &domain, &web).await.map_err(is_half_made)?;
        Ok(self.created(&user, &domain, false))
    }

    async fn send_create(&self, spec: &CreateSpec) -> Result<Result<(), Refusal>, PanelError> {
        let name = marked_name(spec.account.account_id);
        let args = [
            Arg::Plain(spec.account.username.as_str()),
            Arg::Secret(&spec.password),
            Arg::Plain(&spec.owner_email),
            Arg::Plain(&spec.package),
            Arg::Plain(&name),
        ];
        self.calls.change("v-add-user", &args).await
    }

    /// The user that this call has just made.
    async fn read_back(&self, spec: &CreateSpec) -> Result<User, PanelError> {
        let hindered = match self.look(&spec.account).await {
            Ok(Found::Ours(user)) if user.package == spec.package => return Ok(user),
            Ok(Found::Ours(user)) => {
                return Err(PanelError::permanent(format!(
                    "Hestia made the account on the package {:?} instead of {:?}",
                    user.package, spec.package
                )));
            }
            Ok(Found::Foreign | Found::Nothing) => {
                Cause::new("Hestia says that it made the user, and shows another or none")
            }
            Err(error) => Cause::new("Hestia says that it made the user, which could not be read back").because(error),
        };
        Err(PanelError::Ambiguous(hindered))
    }

    /// An earlier call of ours may have gone on at the server and ended just now: then the name is taken by our own.
    async fn adopt_after(&self, spec: &CreateSpec, refusal: Refusal) -> Result<Created, PanelError> {
        let Some(unmade) = refusal.of_the_name() else { return Err(refusal.into()) };
        let said = format!("Hestia made no user {}: {:?}", spec.account.username, refusal.message());
        match (self.look(&spec.account).await?, unmade) {
            (Found::Ours(user), _) => self.adopt(spec, &user).await,
            (Found::Foreign, _) => Err(is_foreign(&spec.account)),
            (Found::Nothing, Unmade::Taken) => Err(PanelError::name_taken(said)),
            (Found::Nothing, Unmade::BySystem) => Err(PanelError::transient(said)),
        }
    }

    /// Takes an account that an earlier call has made, and finishes it. Nobody heard how that ended, so its password is set to
    /// the intent's; one that is suspended has lived since, and Hestia changes nothing of it.
    async fn adopt(&self, spec: &CreateSpec, user: &User) -> Result<Created, PanelError> {
        let domain = self.domain_of(&spec.account);
        let was_whole = spec.account.remote_id.is_some();
        let web = if was_whole { None } else { self.web_domain(&user.username, &domain).await? };
        if user.is_suspended() {
            return match was_whole || web.is_some() {
                true => Ok(self.created(user, &domain, true)),
                false => Err(PanelError::permanent("the account was suspended before it had its domain")),
            };
        }
        self.send_password(user, &spec.password).await?;
        if !was_whole {
            let web = match web {
                Some(web) => web,
                None => self.add_web_domain(user, &domain).await.map_err(is_half_made)?,
            };
            self.add_beside(user, &domain, &web).await.map_err(is_half_made)?;
        }
        Ok(self.created(user, &domain, true))
    }

    /// Adds the domain, and reads it back. Another call of ours may have been quicker; Hestia then says that the domain is
    /// there, or, as it counts first, that there is no room for another.
    async fn add_web_domain(&self, user: &User, domain: &str) -> Result<WebDomain, PanelError> {
        let args = [Arg::Plain(user.username.as_str()), Arg::Plain(domain)];
        let refused = match self.calls.change("v-add-web-domain", &args).await? {
            Ok(()) => PanelError::ambiguous("Hestia says that it added the web domain, and shows none"),
            Err(refusal) if matches!(refusal.exit(), Exit::Exists | Exit::Limit) => refusal.into(),
            Err(refusal) => return Err(refusal.into()),
        };
        self.web_domain(&user.username, domain).await?.ok_or(refused)
    }

    /// What an account has besides, where there is room for it. Both commands may be repeated: they find what is there.
    async fn add_beside(&self, user: &User, domain: &str, web: &WebDomain) -> Result<(), PanelError> {
        let args = [user.username.as_str(), domain, &web.ip].map(Arg::Plain);
        // A zone needs to be told the address; a mail domain finds it.
        for (command, is_wanted, args) in
            [("v-add-dns-domain", self.dns, &args[..]), ("v-add-mail-domain", self.mail, &args[..2])]
        {
            if !is_wanted {
                continue;
            }
            match self.calls.change(command, args).await? {
                Ok(()) => {}
                Err(refusal) if refusal.is_of_something_beside() => {
                    tracing::debug!(command, domain, message = refusal.message(), "an account does without");
                }
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Ok(())
    }

    fn created(&self, user: &User, domain: &str, adopted: bool) -> Created {
        Created {
            remote_id: user.remote_id(),
            site_url: Some(format!("http://{domain}/")),
            control_panel_url: Some(self.control_panel_url.clone()),
            adopted,
        }
    }
}

fn is_foreign(account: &AccountRef) -> PanelError {
    PanelError::name_taken(format!("{} is somebody else's account", account.username))
}

/// There is a user of ours by now, so none of these may say that nothing was done: another server or another name would make
/// a second account.
fn is_half_made(error: PanelError) -> PanelError {
    match error {
        PanelError::Transient(_) | PanelError::Capacity(_) => {
            PanelError::Ambiguous(Cause::new("the user was made, and not all that belongs to it").because(error))
        }
        PanelError::NameTaken(cause) => PanelError::Permanent(cause),
        PanelError::Ambiguous(_)
        | PanelError::Permanent(_)
        | PanelError::Misconfigured(_)
        | PanelError::RateLimited { .. } => error,
    }
}

/// A password that Hestia takes as it is. It drops spaces at the ends; it reads one that looks like a file of `/tmp` from that
/// file; and it gives it to `chpasswd` in a line, of which a second one would set anybody's.
pub(super) fn check_password(password: &SecretString) -> Result<(), PanelError> {
    let text = password.expose_secret();
    let is_taken_as_it_is =
        !text.is_empty() && text.trim() == text && !text.contains(char::is_control) && !text.starts_with("/tmp/");
    if is_taken_as_it_is {
        return Ok(());
    }
    Err(PanelError::permanent(
        "the password is empty, has spaces at its ends or control characters in it, or begins with /tmp/",
    ))
}
