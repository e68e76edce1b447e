//! Hosting accounts, as they are read.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use std::collections::HashMap;

use berth_jobs::ids::{AccountId, CustomerId, OrderId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Store, StoreError,
    orders::{HistoryStep, Page},
};
use crate::{
    domain::{
        account::{AccountPhase, AccountState, Intent, PASSWORD_KEPT, PackageChange, Standing, UnknownReason},
        timetable::TimetableChanges,
    },
    effects::CustomerContact,
};

/// A hosting account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Which, where it stands, and at which version.
    pub state: AccountState,
    /// Whose it is.
    pub customer: CustomerContact,
    /// The order that it was bought with.
    pub order_id: OrderId,
    /// The catalogue's id of the service.
    pub service_id: String,
    /// The name at the time of the sale.
    pub service_name: String,
    /// shared, vps, cloud or wordpress.
    pub service_type: String,
    /// The tier.
    pub plan_name: String,
    /// The panel's package.
    pub package: String,
    /// The pool of servers it belongs to.
    pub pool: String,
    /// How it is to be created; `None` before that was decided.
    pub intent: Option<Intent>,
    /// Its login on the panel.
    pub username: Option<String>,
    /// The panel that it is on.
    pub server: Option<String>,
    /// Names that were found taken.
    pub username_salt: i32,
    /// The panel's own id.
    pub remote_id: Option<String>,
    /// Where its site answers.
    pub site_url: Option<String>,
    /// Where its control panel is.
    pub control_panel_url: Option<String>,
    /// Which name servers its domains use.
    pub nameservers: Vec<String>,
    /// The name of its site.
    pub domain: Option<String>,
    /// The options that it was sold with: an object.
    pub configuration: Value,
    /// The add-ons that it was sold with, each an object of id, name and price.
    pub addons: Value,
    /// Whether it is renewed.
    pub auto_renew: bool,
    /// Whether its password can still be revealed.
    pub password_waits: bool,
    /// Until when, as long as it waits.
    pub password_until: Option<Timestamp>,
    /// Since when its customer waits for a new password; what the intent holds is then that one, once it is decided upon.
    pub password_asked_at: Option<Timestamp>,
    /// When it was paid for.
    pub created_at: Timestamp,
    /// Since when it has been active.
    pub activated_at: Option<Timestamp>,
    /// The end of the period that is paid for.
    pub expires_at: Option<Timestamp>,
    /// Why it is suspended.
    pub suspension_reason: Option<String>,
    /// Why it could not be made, or keeps its package.
    pub failure: Option<String>,
    /// What its periods count from.
    pub billing_anchor: Option<Timestamp>,
    /// Since when it serves a notice.
    pub suspended_at: Option<Timestamp>,
    /// Since when it is gone from its panel.
    pub terminated_at: Option<Timestamp>,
    /// The backup made before its end, by the panel's reference.
    pub backup_reference: Option<String>,
    /// When its backup and secrets were deleted.
    pub purged_at: Option<Timestamp>,
    /// What it is to become by a change that is under way.
    pub intended_package: Option<PackageChange>,
    /// What a renewal costs, before discount and tax; `None` is what the catalogue says by then.
    pub renewal_price: Option<Decimal>,
    /// What its timetable has otherwise than its plan's.
    pub timetable: TimetableChanges,
    /// Whether it is never suspended, nor removed, for non-payment.
    pub exempt: bool,
    /// Whether staff keeps it from being removed.
    pub kept: bool,
    /// Until when staff lets it be, paid or not.
    pub spared_until: Option<Timestamp>,
    /// Whether staff lets it be removed without a backup.
    pub backup_waived: bool,
}

#[derive(Clone, Debug)]
pub(super) struct AccountRow {
    id: Uuid,
    customer_id: Uuid,
    email: String,
    customer_name: Option<String>,
    order_id: Uuid,
    phase: String,
    version: i32,
    service_id: String,
    service_name: String,
    service_type: String,
    plan_name: String,
    billing_cycle: String,
    package: String,
    pool: String,
    server: Option<String>,
    username: Option<String>,
    sealed_password: Option<String>,
    username_salt: i32,
    intended_at: Option<jiff_sqlx::Timestamp>,
    remote_id: Option<String>,
    site_url: Option<String>,
    control_panel_url: Option<String>,
    nameservers: Vec<String>,
    domain: Option<String>,
    configuration: Value,
    addons: Value,
    auto_renew: bool,
    created_at: jiff_sqlx::Timestamp,
    activated_at: Option<jiff_sqlx::Timestamp>,
    expires_at: Option<jiff_sqlx::Timestamp>,
    suspension_reason: Option<String>,
    failure: Option<String>,
    trial_days: i32,
    suspension_reasons: Vec<String>,
    ending: Option<String>,
    cancel_at: Option<jiff_sqlx::Timestamp>,
    suspended_at: Option<jiff_sqlx::Timestamp>,
    terminated_at: Option<jiff_sqlx::Timestamp>,
    billing_anchor: Option<jiff_sqlx::Timestamp>,
    intended_service_id: Option<String>,
    intended_package: Option<String>,
    renewal_price: Option<Decimal>,
    timetable: Value,
    exempt: bool,
    kept: bool,
    backup_reference: Option<String>,
    purged_at: Option<jiff_sqlx::Timestamp>,
    spared_until: Option<jiff_sqlx::Timestamp>,
    backup_waived: bool,
    password_asked_at: Option<jiff_sqlx::Timestamp>,
    password_set_at: Option<jiff_sqlx::Timestamp>,
}

impl Store {
    /// An account.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn account(&self, id: AccountId) -> Result<Account, StoreError> {
        let row = self.reads.accounts.load(id.0, |ids| self.account_rows(ids)).await?;
        account_from(row.ok_or_else(|| StoreError::Missing(format!("account {id}")))?)
    }

    async fn account_rows(&self, ids: Vec<Uuid>) -> Result<HashMap<Uuid, AccountRow>, StoreError> {
        let rows =
            sqlx::query_file_as!(AccountRow, "src/store/queries/accounts.sql", &ids).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// A customer's accounts in every state, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn accounts_of(&self, customer: CustomerId, page: Page<'_>) -> Result<Vec<Account>, StoreError> {
        let rows = sqlx::query_file_as!(
            AccountRow,
            "src/store/queries/accounts_of.sql",
            customer.0,
            page.before,
            page.phases,
            page.limit,
            page.from.map(ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>,
            page.to.map(ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(account_from).collect()
    }

    /// The account's history, oldest step first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn account_history(&self, id: AccountId) -> Result<Vec<HistoryStep>, StoreError> {
        let rows = sqlx::query!(
            "select from_phase, to_phase, reason, at
             from berth.account_history
             where account_id = $1
             order by version",
            id.0,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| HistoryStep { from: row.from_phase, to: row.to_phase, reason: row.reason, at: row.at.to_jiff() })
            .collect())
    }

    /// Whether another account of that server has the name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn username_taken(&self, server: &str, username: &str, by_other: AccountId) -> Result<bool, StoreError> {
        let name = (server.to_owned(), username.to_owned());
        let holder = self.reads.usernames.load(name, |names| self.holders_of(names)).await?;
        Ok(holder.is_some_and(|holder| holder != by_other.0))
    }

    async fn holders_of(&self, names: Vec<(String, String)>) -> Result<HashMap<(String, String), Uuid>, StoreError> {
        let (servers, usernames): (Vec<String>, Vec<String>) = names.into_iter().unzip();
        let rows = sqlx::query!(
            r#"select a.id, n.server as "server!", n.username as "username!"
               from unnest($1::text[], $2::text[]) n (server, username)
               join berth.hosting_accounts a on a.server = n.server and a.username = n.username"#,
            &servers,
            &usernames,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| ((row.server, row.username), row.id)).collect())
    }

    /// Whether a live account has the domain, however it is spelt.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn domain_is_taken(&self, domain: &str) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"select exists (
                   select
                   from berth.hosting_accounts
                   where lower(domain) = lower($1) and domain is not null and phase <> 'terminated'
               ) as "taken!""#,
            domain,
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Takes the sealed password away for good, to be shown this once. False when `sealed` is not what can be
    /// revealed any more: it was taken, forgotten, replaced or sealed anew.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_sealed_password(
        &self,
        id: AccountId,
        customer: CustomerId,
        sealed: &str,
    ) -> Result<bool, StoreError> {
        let taken = sqlx::query!(
            "update berth.hosting_accounts
             set sealed_password = null, password_revealed_at = berth.now()
             where id = $1 and customer_id = $2 and phase in ('active', 'grace')
               and sealed_password = $3 and password_asked_at is null",
            id.0,
            customer.0,
            sealed,
        )
        .execute(&self.pool)
        .await?;
        Ok(taken.rows_affected() > 0)
    }
}

fn account_from(row: AccountRow) -> Result<Account, StoreError> {
    let id = AccountId(row.id);
    let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("account {id}"), why);
    let phase: AccountPhase = row.phase.parse().map_err(|error| unreadable(&error))?;
    let cycle = row.billing_cycle.parse().map_err(|error| unreadable(&error))?;
    let trial_days = u32::try_from(row.trial_days).map_err(|error| unreadable(&error))?;
    let standing = standing_from(&row.suspension_reasons, row.ending.as_deref(), row.cancel_at)
        .map_err(|error| unreadable(&error))?;
    let works = matches!(phase, AccountPhase::Active | AccountPhase::Grace);
    let password_waits = works && row.sealed_password.is_some() && row.password_asked_at.is_none();
    let in_force_since = row.password_set_at.or(row.activated_at).filter(|_| password_waits);
    let intent = match (&row.server, &row.username, row.sealed_password, row.intended_at) {
        (Some(server), Some(username), Some(sealed_password), Some(intended_at)) => Some(Intent {
            server: server.clone(),
            username: username.parse().map_err(|error| unreadable(&error))?,
            username_salt: row.username_salt,
            sealed_password,
            intended_at: intended_at.to_jiff(),
        }),
        _ => None,
    };
    Ok(Account {
        state: AccountState { id, phase, version: row.version, cycle, trial_days, standing },
        customer: CustomerContact { id: CustomerId(row.customer_id), email: row.email, name: row.customer_name },
        order_id: OrderId(row.order_id),
        service_id: row.service_id,
        service_name: row.service_name,
        service_type: row.service_type,
        plan_name: row.plan_name,
        package: row.package,
        pool: row.pool,
        intent,
        username: row.username,
        server: row.server,
        username_salt: row.username_salt,
        remote_id: row.remote_id,
        site_url: row.site_url,
        control_panel_url: row.control_panel_url,
        nameservers: row.nameservers,
        domain: row.domain,
        configuration: row.configuration,
        addons: row.addons,
        auto_renew: row.auto_renew,
        password_waits,
        password_until: in_force_since.and_then(|since| since.to_jiff().checked_add(PASSWORD_KEPT).ok()),
        password_asked_at: row.password_asked_at.map(|at| at.to_jiff()),
        created_at: row.created_at.to_jiff(),
        activated_at: row.activated_at.map(|at| at.to_jiff()),
        expires_at: row.expires_at.map(|at| at.to_jiff()),
        suspension_reason: row.suspension_reason,
        failure: row.failure,
        billing_anchor: row.billing_anchor.map(|at| at.to_jiff()),
        suspended_at: row.suspended_at.map(|at| at.to_jiff()),
        terminated_at: row.terminated_at.map(|at| at.to_jiff()),
        backup_reference: row.backup_reference,
        purged_at: row.purged_at.map(|at| at.to_jiff()),
        intended_package: row
            .intended_service_id
            .zip(row.intended_package)
            .map(|(service_id, package)| PackageChange { service_id, package }),
        renewal_price: row.renewal_price,
        timetable: serde_json::from_value(row.timetable).map_err(|error| unreadable(&error))?,
        exempt: row.exempt,
        kept: row.kept,
        spared_until: row.spared_until.map(|at| at.to_jiff()),
        backup_waived: row.backup_waived,
    })
}

/// What is wished of an account, as its row says.
pub(super) fn standing_from(
    reasons: &[String],
    ending: Option<&str>,
    cancel_at: Option<jiff_sqlx::Timestamp>,
) -> Result<Standing, UnknownReason> {
    Ok(Standing {
        reasons: reasons.iter().map(|reason| reason.parse()).collect::<Result<_, _>>()?,
        ending: ending.map(str::parse).transpose()?,
        cancel_at: cancel_at.map(|at| at.to_jiff()),
    })
}
