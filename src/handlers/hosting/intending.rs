//! What is intended of an account before its panel is asked: on which server, under which name, with which password.

use berth_jobs::hosting::ProvisionAccount;

use super::at_server::{self, AtServer, Door};
use crate::{
    app::Ctx,
    domain::{
        account::{AccountMove, AccountState, Intent},
        username::{self, Username},
    },
    effects::Effects,
    error::JobError,
    secrets::Place,
    store::accounts::Account,
};

/// How many names are tried before a person looks at it.
pub(super) const MOST_NAMES: i32 = 20;

/// The first intent of an account, and the server that it is on. One that may not be talked to now is passed over while another
/// one may: a customer waits.
///
/// # Errors
/// When no server takes it now, or no name is free; it waits.
pub(super) async fn first<'a>(ctx: &'a Ctx, account: &Account) -> Result<(Intent, AtServer<'a>), JobError> {
    let (mut passed, mut waits) = (Vec::new(), None);
    loop {
        let Some(name) = ctx.servers.choose(&ctx.store, &ctx.panels, account, &passed).await? else {
            // For the first of them, which is filled least.
            let Some(wait) = waits else { return Err(no_server(ctx, account).await?) };
            return Err(wait);
        };
        match at_server::knock(ctx, &name).await? {
            Door::Open(server) => {
                let intent = new_intent(ctx, &account.state, name, account.username_salt).await?;
                return Ok((intent, server));
            }
            Door::Closed(wait) => {
                ctx.servers.not_placed(&name).await;
                waits.get_or_insert(wait);
                passed.push(name);
            }
        }
    }
}

/// Commits an intent. Where another process has taken the server's last place, the next run finds another server.
///
/// # Errors
/// When it is refused, or the database is away.
pub(super) async fn commit(ctx: &Ctx, begun: AccountMove) -> Result<(), JobError> {
    let committed = ctx.checkpoint(begun).await;
    if committed.is_err() {
        ctx.servers.forget().await;
    }
    committed
}

/// Somebody else has the name on the panel: the intent is made anew, under the next one.
///
/// # Errors
/// When no name is free.
pub(super) async fn another_name(ctx: &Ctx, state: &AccountState, intent: &Intent) -> Result<Effects, JobError> {
    let next = new_intent(ctx, state, intent.server.clone(), intent.username_salt + 1).await?;
    Ok(begun_anew(state, next))
}

/// The server has no room, and nothing of the account is on it: the intent is made anew, on another one.
///
/// # Errors
/// When no other server takes it; it waits.
pub(super) async fn elsewhere(
    ctx: &Ctx,
    account: &Account,
    state: &AccountState,
    intent: &Intent,
) -> Result<Effects, JobError> {
    let full = [intent.server.clone()];
    let Some(server) = ctx.servers.choose(&ctx.store, &ctx.panels, account, &full).await? else {
        return Err(no_server(ctx, account).await?);
    };
    Ok(begun_anew(state, new_intent(ctx, state, server, account.username_salt).await?))
}

fn begun_anew(state: &AccountState, intent: Intent) -> Effects {
    let Some(begun) = state.begin(intent) else { return Effects::none() };
    Effects::from(begun).enqueue(ProvisionAccount { account_id: state.id })
}

/// No account is lost for want of room: a person is told, and it waits.
async fn no_server(ctx: &Ctx, account: &Account) -> Result<JobError, JobError> {
    let none = ctx.servers.none_for(account);
    ctx.checkpoint(Effects::none().alert(none.alert())).await?;
    Ok(none.into())
}

async fn new_intent(ctx: &Ctx, account: &AccountState, server: String, first_salt: i32) -> Result<Intent, JobError> {
    let secrets = ctx.secrets()?;
    let (username, username_salt) = free_name(ctx, account, &server, first_salt).await?;
    let password = crate::secrets::generate_password(&username)?;
    let sealed = secrets.seal(&password_place(account), &password)?;
    let sealed_password = sealed.into_string();
    Ok(Intent { server, username, username_salt, sealed_password, intended_at: ctx.now() })
}

/// The first name, from `salt` on, that no other account of the server has.
async fn free_name(
    ctx: &Ctx,
    account: &AccountState,
    server: &str,
    first_salt: i32,
) -> Result<(Username, i32), JobError> {
    let key = ctx.secrets()?.username_key();
    for salt in first_salt..=first_salt.saturating_add(MOST_NAMES) {
        let name = username::username(&ctx.username_prefix, &key, account.id, salt.unsigned_abs());
        if !ctx.store.username_taken(server, name.as_str(), account.id).await? {
            return Ok((name, salt));
        }
    }
    Err(JobError::Retry("no free username was found".to_owned()))
}

/// Where the sealed password stands; a seal opens in its own place only.
pub(crate) fn password_place(account: &AccountState) -> Place {
    Place { table: "hosting_accounts", row: account.id.0, column: "sealed_password" }
}
