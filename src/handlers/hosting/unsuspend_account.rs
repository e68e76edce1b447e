//! UnsuspendAccount: lets an account that is to work again do so, then tells its customer.

use berth_jobs::hosting::UnsuspendAccount;

use super::{
    at_panel::{self, Answer},
    at_server,
};
use crate::{
    app::Ctx,
    domain::account::AccountPhase,
    effects::Effects,
    ending,
    error::JobError,
    failpoint,
    mail::{AccountSuspended, AccountUnsuspended, Mail},
    store::accounts::Account,
};

/// Runs the job.
///
/// # Errors
/// When the panel or the database is away, or refuses.
pub async fn run(job: &UnsuspendAccount, ctx: &Ctx) -> Result<Effects, JobError> {
    let account = ctx.store.account(job.account_id).await?;
    if account.state.phase != AccountPhase::Unsuspending {
        return Ok(at_panel::moved_on(&account));
    }
    let (server, on_panel) = at_panel::place_of_live(&account)?;
    let server = at_server::enter(ctx, server).await?;
    ctx.checkpoint(at_panel::as_read(&account)).await?;
    failpoint::hit("panel.before_unsuspend");
    let answer = server.panel().ensure_active(&on_panel).await;
    failpoint::hit("panel.after_unsuspend");
    match at_panel::heard(ctx, server.heard(answer).await)? {
        Answer::Done(()) => works_again(ctx, &account).await,
        Answer::Refused(why) => Ok(at_panel::given_up::<UnsuspendAccount>("unsuspension_failed", &account, &why)),
    }
}

async fn works_again(ctx: &Ctx, account: &Account) -> Result<Effects, JobError> {
    let Some(step) = account.state.unsuspended() else { return Ok(Effects::none()) };
    let after = account.state.after(&step);
    let stays = after.act().is_none();
    let effects = at_panel::with_wishes(Effects::from(step), &after);
    // Who was not told that it stopped, or whose account stops again at once, is not told that it works.
    let told = match account.suspended_at.filter(|_| stays) {
        Some(at) => ctx.store.mail_was_written(&AccountSuspended::key(account.state.id, at)).await?,
        None => false,
    };
    Ok(if told { effects.mail(account.customer.id, notice(ctx, account)) } else { effects })
}

fn notice(ctx: &Ctx, account: &Account) -> Mail {
    Mail::AccountUnsuspended(AccountUnsuspended {
        account_id: account.state.id,
        customer_name: account.customer.name.clone(),
        service_name: account.service_name.clone(),
        site_url: account.site_url.clone(),
        unsuspended_at: ctx.now(),
        paid_until: account.expires_at.filter(|until| *until > ctx.now()),
        account_url: ending::account_url(ctx, account),
    })
}
