//! ProvisionAccount: makes a pending account exist on its panel, then welcomes the customer.

use berth_jobs::hosting::{ProvisionAccount, ReconcileAccount};
use secrecy::SecretString;

use super::at_panel;
use crate::{
    app::{Ctx, SITE_SERVER},
    domain::{
        account::{AccountPhase, AccountState, Intent},
        username::{self, Username},
    },
    effects::{Alert, Effects, Fact},
    error::JobError,
    failpoint,
    gateways::panels::{AccountRef, CreateSpec, Created, PanelError, Step},
    mail::{Mail, Welcome},
    secrets::Place,
    store::accounts::Account,
};

/// How many names are tried before a person looks at it.
const MOST_NAMES: i32 = 20;

/// Runs the job.
///
/// # Errors
/// When the panel or the database is away, or refuses.
pub async fn run(job: &ProvisionAccount, ctx: &Ctx) -> Result<Effects, JobError> {
    let account = ctx.store.account(job.account_id).await?;
    let intent = intent(ctx, &account).await?;
    let Some(begun) = account.state.begin(intent.clone()) else {
        // Whoever lost a race may have left something on the panel that nobody has.
        let leftover = ReconcileAccount { account_id: account.state.id };
        let is_gone = account.state.phase == AccountPhase::Terminated;
        // An earlier run has finished, or it was enqueued twice.
        return Ok(if is_gone { Effects::none().enqueue(leftover) } else { at_panel::moved_on(&account) });
    };
    let state = account.state.after(&begun);
    ctx.checkpoint(begun).await?; // committed before anything is sent
    failpoint::hit("panel.before_create");
    let created = ctx.panels.of(&intent.server)?.ensure_created(&spec(ctx, &account, &intent)?).await;
    failpoint::hit("panel.after_create");
    match created {
        Ok(Step::Done(created)) => live(ctx, &account, &state, &intent, created),
        Ok(Step::Pending(_, after)) => Err(JobError::waiting("the panel is at work on it", after)),
        Err(PanelError::NameTaken(_)) if intent.username_salt < MOST_NAMES => another_name(ctx, &state, &intent).await,
        Err(error @ PanelError::Permanent(_)) => Ok(failed(&account, &state, &crate::error::chain(&error))),
        Err(error) => match JobError::from(error) {
            JobError::Retry(why) if ctx.last_attempt => Ok(failed(&account, &state, &why)),
            error @ (JobError::Retry(_) | JobError::Snooze { .. } | JobError::Cancel(_)) => Err(error),
        },
    }
}

/// The intent of an earlier attempt, or a new one.
async fn intent(ctx: &Ctx, account: &Account) -> Result<Intent, JobError> {
    match &account.intent {
        Some(intent) => Ok(intent.clone()),
        None => new_intent(ctx, account.state.clone(), account.username_salt).await,
    }
}

async fn new_intent(ctx: &Ctx, account: AccountState, first_salt: i32) -> Result<Intent, JobError> {
    let secrets = ctx.secrets()?;
    let (username, username_salt) = free_name(ctx, &account, first_salt).await?;
    let password = crate::secrets::generate_password(&username)?;
    let sealed = secrets.seal(&password_place(&account), &password)?;
    Ok(Intent {
        server: SITE_SERVER.to_owned(),
        username,
        username_salt,
        sealed_password: sealed.into_string(),
        intended_at: ctx.now(),
    })
}

/// The first name, from `salt` on, that no other account of the server has.
async fn free_name(ctx: &Ctx, account: &AccountState, first_salt: i32) -> Result<(Username, i32), JobError> {
    let key = ctx.secrets()?.username_key();
    for salt in first_salt..=first_salt.saturating_add(MOST_NAMES) {
        let name = username::username(&ctx.username_prefix, &key, account.id, salt.unsigned_abs());
        if !ctx.store.username_taken(SITE_SERVER, name.as_str(), account.id).await? {
            return Ok((name, salt));
        }
    }
    Err(JobError::Retry("no free username was found".to_owned()))
}

/// Somebody else has the name on the panel: the intent is made anew, under the next one.
async fn another_name(ctx: &Ctx, state: &AccountState, intent: &Intent) -> Result<Effects, JobError> {
    let next = new_intent(ctx, state.clone(), intent.username_salt + 1).await?;
    let Some(begun) = state.begin(next) else { return Ok(Effects::none()) };
    Ok(Effects::from(begun).enqueue(ProvisionAccount { account_id: state.id }))
}

fn spec(ctx: &Ctx, account: &Account, intent: &Intent) -> Result<CreateSpec, JobError> {
    let password: SecretString = ctx.secrets()?.open(&password_place(&account.state), &intent.sealed_password)?;
    Ok(CreateSpec {
        account: AccountRef {
            account_id: account.state.id,
            username: intent.username.to_string(),
            remote_id: account.remote_id.clone(),
            domain: account.domain.clone(),
        },
        password,
        package: account.package.clone(),
        owner_email: account.customer.email.clone(),
        configuration: account.configuration.clone(),
        addons: account.addons.clone(),
        intended_at: intent.intended_at,
    })
}

/// Where the sealed password stands; a seal opens in its own place only.
pub(crate) fn password_place(account: &AccountState) -> Place {
    Place { table: "hosting_accounts", row: account.id.0, column: "sealed_password" }
}

fn live(
    ctx: &Ctx,
    account: &Account,
    state: &AccountState,
    intent: &Intent,
    created: Created,
) -> Result<Effects, JobError> {
    let fact = Fact::AccountCreated {
        account_id: state.id,
        remote_id: Some(created.remote_id),
        site_url: created.site_url.clone(),
        control_panel_url: created.control_panel_url.clone(),
        nameservers: ctx.config.hosting.nameservers.clone(),
    };
    let Some(step) = state.provisioned(ctx.now())? else { return Ok(fact.into()) };
    let (_, expires_at) = state.first_period(ctx.now())?;
    let welcome = Mail::Welcome(Welcome {
        account_id: state.id,
        customer_name: account.customer.name.clone(),
        service_name: account.service_name.clone(),
        username: intent.username.to_string(),
        site_url: created.site_url.unwrap_or_else(|| ctx.shop.url.clone()),
        control_panel_url: created.control_panel_url,
        nameservers: ctx.config.hosting.nameservers.clone(),
        expires_at,
        reveal_url: format!("{}/hosting/{}", ctx.shop.url, state.id),
    });
    let after = state.after(&step);
    let effects = Effects::from(step).fact(fact).mail(account.customer.id, welcome).maybe_complete(account.order_id);
    Ok(at_panel::with_wishes(effects, &after))
}

/// The account is given to a person: nothing of it is lost, and `berth jobs retry` goes on where it stopped.
fn failed(account: &Account, state: &AccountState, why: &str) -> Effects {
    let alert = Alert {
        kind: "provisioning_failed",
        subject: state.id.to_string(),
        detail: format!(
            "{} of {}: {why}. When its cause is mended: berth enqueue provision_account '{{\"account_id\": \"{}\"}}'",
            state.id, account.order_id, state.id,
        ),
    };
    let Some(step) = state.failed(why.to_owned()) else { return Effects::none().alert(alert) };
    let after = state.after(&step);
    at_panel::with_wishes(Effects::from(step).alert(alert), &after)
}
