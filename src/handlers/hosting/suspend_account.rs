//! SuspendAccount: has an account that is to be suspended serve a notice, then tells its customer.

use berth_jobs::hosting::SuspendAccount;

use super::{
    at_panel::{self, Answer},
    at_server,
};
use crate::{
    app::Ctx,
    domain::account::{AccountPhase, SuspensionReason},
    effects::Effects,
    ending,
    error::JobError,
    failpoint,
    mail::{AccountSuspended, Mail},
    store::accounts::Account,
};

/// Runs the job.
///
/// # Errors
/// When the panel or the database is away, or refuses.
pub async fn run(job: &SuspendAccount, ctx: &Ctx) -> Result<Effects, JobError> {
    let account = ctx.store.account(job.account_id).await?;
    if account.state.phase != AccountPhase::Suspending {
        return Ok(at_panel::moved_on(&account));
    }
    let (server, on_panel) = at_panel::place_of_live(&account)?;
    let server = at_server::enter(ctx, server).await?;
    ctx.checkpoint(at_panel::as_read(&account)).await?;
    failpoint::hit("panel.before_suspend");
    // Whoever has paid meanwhile leaves no reason behind; the account works again next.
    let reason = account.state.standing.reason().map_or("suspended", SuspensionReason::as_str);
    let answer = server.panel().ensure_suspended(&on_panel, reason).await;
    failpoint::hit("panel.after_suspend");
    match at_panel::heard(ctx, server.heard(answer).await)? {
        Answer::Done(()) => suspended(ctx, &account).await,
        Answer::Refused(why) => Ok(at_panel::given_up::<SuspendAccount>("suspension_failed", &account, &why)),
    }
}

async fn suspended(ctx: &Ctx, account: &Account) -> Result<Effects, JobError> {
    let Some(step) = account.state.suspended(ctx.now()) else { return Ok(Effects::none()) };
    let after = account.state.after(&step);
    let effects = at_panel::with_wishes(Effects::from(step), &after);
    // One whose reason is gone already works again at once, and its customer hears of nothing.
    let Some(reason) = after.standing.reason() else { return Ok(effects) };
    Ok(effects.mail(account.customer.id, notice(ctx, account, reason).await?))
}

async fn notice(ctx: &Ctx, account: &Account, reason: SuspensionReason) -> Result<Mail, JobError> {
    let unsettled = ctx.store.unsettled_renewals(&[account.state.id]).await?;
    let to_pay = unsettled.into_iter().find(|open| reason == SuspensionReason::NonPayment && !open.state.called_off);
    let public_url = ctx.config.http.public_url.as_str();
    let pay_link = |order| ctx.secrets().map(|keys| keys.pay_link(public_url, order));
    let pay_url = to_pay.as_ref().map(|open| pay_link(open.order.id)).transpose()?;
    Ok(Mail::AccountSuspended(AccountSuspended {
        account_id: account.state.id,
        customer_name: account.customer.name.clone(),
        service_name: account.service_name.clone(),
        site_url: account.site_url.clone(),
        reason: reason.to_string(),
        suspended_at: ctx.now(),
        amount_due: to_pay.map(|open| open.due.to_string()),
        action_url: pay_url.unwrap_or_else(|| ending::account_url(ctx, account)),
    }))
}
