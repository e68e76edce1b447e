//! ProvisionAccount: makes a pending account exist on its panel, then welcomes the customer.

use berth_jobs::hosting::{ProvisionAccount, ReconcileAccount};
use secrecy::SecretString;

use super::{
    at_panel,
    at_server::{self, AtServer},
    intending,
};
use crate::{
    app::Ctx,
    domain::account::{AccountPhase, AccountState, Intent},
    effects::{Alert, Effects, Fact},
    error::JobError,
    failpoint,
    gateways::panels::{AccountRef, CreateSpec, Created, Observed, PanelError, Step},
    mail::{Mail, Welcome},
    store::accounts::Account,
};

/// Runs the job.
///
/// # Errors
/// When the panel or the database is away, or refuses.
pub async fn run(job: &ProvisionAccount, ctx: &Ctx) -> Result<Effects, JobError> {
    let account = ctx.store.account(job.account_id).await?;
    if !account.state.may_begin() {
        // Whoever lost a race may have left something on the panel that nobody has.
        let leftover = ReconcileAccount { account_id: account.state.id };
        let is_gone = account.state.phase == AccountPhase::Terminated;
        // An earlier run has finished, or it was enqueued twice.
        return Ok(if is_gone { Effects::none().enqueue(leftover) } else { at_panel::moved_on(&account) });
    }
    let (intent, server) = match &account.intent {
        Some(earlier) => (earlier.clone(), at_server::enter(ctx, &earlier.server).await?),
        None => intending::first(ctx, &account).await?,
    };
    let Some(begun) = account.state.begin(intent.clone()) else { return Ok(at_panel::moved_on(&account)) };
    let state = account.state.after(&begun);
    intending::commit(ctx, begun).await?; // before anything is sent
    let spec = spec(ctx, &account, &intent)?;
    failpoint::hit("panel.before_create");
    let created = server.panel().ensure_created(&spec).await;
    failpoint::hit("panel.after_create");
    match server.heard(created).await {
        Ok(Step::Done(created)) => live(ctx, &account, &state, &intent, created),
        Ok(Step::Pending(_, after)) => Err(JobError::waiting("the panel is at work on it", after)),
        Err(PanelError::NameTaken(_)) if intent.username_salt < intending::MOST_NAMES => {
            intending::another_name(ctx, &state, &intent).await
        }
        Err(PanelError::Capacity(_)) if is_absent(&server, &spec).await? => {
            intending::elsewhere(ctx, &account, &state, &intent).await
        }
        Err(error @ PanelError::Permanent(_)) => Ok(failed(&account, &state, &crate::error::chain(&error))),
        Err(error) => match JobError::from(error) {
            JobError::Retry(why) if ctx.last_attempt => Ok(failed(&account, &state, &why)),
            error @ (JobError::Retry(_) | JobError::Snooze { .. } | JobError::InTurn { .. } | JobError::Cancel(_)) => {
                Err(error)
            }
        },
    }
}

/// Whether nothing of the account is on its server, so that another one may have it.
async fn is_absent(server: &AtServer<'_>, spec: &CreateSpec) -> Result<bool, JobError> {
    Ok(server.heard(server.panel().observe(&spec.account).await).await? == Observed::Absent)
}

fn spec(ctx: &Ctx, account: &Account, intent: &Intent) -> Result<CreateSpec, JobError> {
    let password: SecretString =
        ctx.secrets()?.open(&intending::password_place(&account.state), &intent.sealed_password)?;
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
