//! ResetPassword: gives an account the new password that its customer has asked for, then tells them. It is decided upon, and
//! committed sealed, before the panel hears of it: however often the panel is asked, it is asked for the same one.

use berth_jobs::hosting::ResetPassword;
use secrecy::SecretString;

use super::{
    at_panel::{self, Answer},
    at_server,
};
use crate::{
    app::Ctx,
    domain::account::{AccountPhase, PASSWORD_KEPT},
    effects::{AccountEdit, AccountSettings, Effects, PasswordStep},
    ending,
    error::{JobError, chain},
    failpoint,
    mail::{Mail, PasswordChanged},
    secrets::{self, Place},
    store::accounts::Account,
};

/// Runs the job.
///
/// # Errors
/// When the panel or the database is away, or refuses.
pub async fn run(job: &ResetPassword, ctx: &Ctx) -> Result<Effects, JobError> {
    let account = ctx.store.account(job.account_id).await?;
    if account.password_asked_at.is_none() {
        // It was set before, or nobody has asked.
        return Ok(Effects::none());
    }
    if !works(account.state.phase) {
        return Ok(step(&account, account.state.version, "no new password was set", PasswordStep::Dropped));
    }
    let (server, on_panel) = at_panel::place_of_live(&account)?;
    let server = at_server::enter(ctx, server).await?;
    let (password, version) = decided(ctx, &account).await?;
    failpoint::hit("panel.before_password");
    let answer = server.panel().set_password(&on_panel, &password).await;
    failpoint::hit("panel.after_password");
    match at_panel::heard(ctx, server.heard(answer).await)? {
        Answer::Done(()) => in_force(ctx, &account, version),
        // The wish stays: the job does it when the cause is mended, and so does its customer's next wish.
        Answer::Refused(why) => Ok(at_panel::given_up::<ResetPassword>("password_reset_failed", &account, &why)),
    }
}

/// Whoever cannot use an account needs no way into it; one that is being changed is used meanwhile.
fn works(phase: AccountPhase) -> bool {
    match phase {
        AccountPhase::Active | AccountPhase::Grace | AccountPhase::Changing => true,
        AccountPhase::Pending
        | AccountPhase::Provisioning
        | AccountPhase::Failed
        | AccountPhase::Suspending
        | AccountPhase::Suspended
        | AccountPhase::Unsuspending
        | AccountPhase::Terminating
        | AccountPhase::Terminated => false,
    }
}

/// The new password and the account's version, once it is committed which it is: an earlier run's, or a new one.
async fn decided(ctx: &Ctx, account: &Account) -> Result<(SecretString, i32), JobError> {
    let (keys, place, version) = (ctx.secrets()?, Place::password_of(account.state.id), account.state.version);
    if let Some(intent) = &account.intent {
        let password = keys.open(&place, &intent.sealed_password)?;
        ctx.checkpoint(at_panel::as_read(account)).await?;
        return Ok((password, version));
    }
    let username = account.username.as_deref().unwrap_or_default().parse();
    let username = username.map_err(|error| JobError::Retry(format!("{}: {}", account.state.id, chain(&error))))?;
    let password = secrets::generate_password(&username)?;
    let sealed = keys.seal(&place, &password)?.into_string();
    ctx.checkpoint(step(account, version, "a new password is to be set", PasswordStep::Sealed(sealed))).await?;
    Ok((password, version + 1))
}

fn in_force(ctx: &Ctx, account: &Account, version: i32) -> Result<Effects, JobError> {
    let now = ctx.now();
    let mail = Mail::PasswordChanged(PasswordChanged {
        account_id: account.state.id,
        customer_name: account.customer.name.clone(),
        service_name: account.service_name.clone(),
        username: account.username.clone().unwrap_or_default(),
        changed_at: now,
        reveal_until: now.checked_add(PASSWORD_KEPT).map_err(|error| JobError::Retry(chain(&error)))?,
        reveal_url: ending::account_url(ctx, account),
    });
    Ok(step(account, version, "a new password was set", PasswordStep::Set(now)).mail(account.customer.id, mail))
}

fn step(account: &Account, version: i32, reason: &'static str, password: PasswordStep) -> Effects {
    let settings = AccountSettings { password: Some(password), ..AccountSettings::default() };
    Effects::none().edit_account(AccountEdit { account_id: account.state.id, version, reason, settings })
}
