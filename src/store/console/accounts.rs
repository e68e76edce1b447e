//! Accounts, as operators look for them.

use berth_jobs::ids::{AccountId, CustomerId};
use serde::Serialize;

use super::{
    super::{Store, StoreError},
    At,
    jobs::like,
};

/// An account among others.
#[derive(Clone, Debug, Serialize)]
pub struct AccountLine {
    /// Which.
    pub id: String,
    /// Where it stands.
    pub phase: String,
    /// What is sold.
    pub service: String,
    /// Its login.
    pub username: Option<String>,
    /// Its domain.
    pub domain: Option<String>,
    /// Its server.
    pub server: Option<String>,
    /// Whose.
    pub customer_id: String,
    /// Their address.
    pub email: String,
    /// The end of what is paid for.
    pub expires_at: Option<At>,
}

/// One account, besides its story.
#[derive(Clone, Debug, Serialize)]
pub struct AccountPage {
    /// Which.
    pub id: String,
    /// Where it stands.
    pub phase: String,
    /// The order that it was bought with.
    pub order: String,
    /// Whose.
    pub customer_id: String,
    /// Their address.
    pub email: String,
    /// What is sold.
    pub service: String,
    /// The tier.
    pub plan: String,
    /// How long a period is.
    pub billing_cycle: String,
    /// The panel's package.
    pub package: String,
    /// Its server.
    pub server: Option<String>,
    /// Since when that is left alone.
    pub server_broken_since: Option<At>,
    /// Its login.
    pub username: Option<String>,
    /// Its domain.
    pub domain: Option<String>,
    /// Where its site answers.
    pub site_url: Option<String>,
    /// Where its panel answers.
    pub control_panel_url: Option<String>,
    /// When it was made.
    pub created_at: At,
    /// When its panel confirmed it.
    pub activated_at: Option<At>,
    /// The end of what is paid for.
    pub expires_at: Option<At>,
    /// Whether it is renewed by itself.
    pub auto_renew: bool,
    /// When it ends by its customer's wish.
    pub cancel_at: Option<At>,
    /// What suspends it.
    pub suspension_reasons: Vec<String>,
    /// Since when it is suspended.
    pub suspended_at: Option<At>,
    /// How it ends.
    pub ending: Option<String>,
    /// When it was removed.
    pub terminated_at: Option<At>,
    /// Why its panel refused it.
    pub failure: Option<String>,
    /// Never suspended for non-payment.
    pub exempt: bool,
    /// Not suspended for non-payment before that.
    pub spared_until: Option<At>,
    /// Kept from being removed.
    pub kept: bool,
    /// Its backup from before its end.
    pub backup: Option<String>,
    /// When its timetable is looked at next.
    pub look_at: Option<At>,
}

impl Store {
    /// Accounts by phase, server and a text in their login, domain or id, the newest first, older than one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_accounts(
        &self,
        phase: Option<&str>,
        server: Option<&str>,
        text: Option<&str>,
        before: Option<AccountId>,
        limit: i64,
    ) -> Result<Vec<AccountLine>, StoreError> {
        Ok(sqlx::query_as!(
            AccountLine,
            r#"select berth.show_id('acc_', a.id) as "id!", a.phase, a.service_name as service, a.username, a.domain,
                   a.server, c.id::text as "customer_id!", c.email, a.expires_at as "expires_at: At"
               from berth.hosting_accounts a
               join berth.customers c on c.id = a.customer_id
               where ($1::text is null or a.phase = $1)
                 and ($2::text is null or a.server = $2)
                 and ($3::text is null or a.username ilike $3 or a.domain ilike $3 or c.email ilike $3)
                 and ($4::uuid is null or a.id < $4)
               order by a.id desc
               limit $5"#,
            phase,
            server,
            text.map(like),
            before.map(|id| id.0),
            limit,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// A customer's accounts, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_accounts_of(&self, customer: CustomerId) -> Result<Vec<AccountLine>, StoreError> {
        Ok(sqlx::query_as!(
            AccountLine,
            r#"select berth.show_id('acc_', a.id) as "id!", a.phase, a.service_name as service, a.username, a.domain,
                   a.server, c.id::text as "customer_id!", c.email, a.expires_at as "expires_at: At"
               from berth.hosting_accounts a
               join berth.customers c on c.id = a.customer_id
               where a.customer_id = $1
               order by a.id desc
               limit 100"#,
            customer.0,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// One account.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn console_account(&self, id: AccountId) -> Result<AccountPage, StoreError> {
        sqlx::query_as!(
            AccountPage,
            r#"select berth.show_id('acc_', a.id) as "id!", a.phase, berth.show_id('ord_', a.order_id) as "order!",
                   c.id::text as "customer_id!", c.email, a.service_name as service, a.plan_name as plan, a.billing_cycle,
                   a.package, a.server, s.broken_since as "server_broken_since: At", a.username, a.domain, a.site_url,
                   a.control_panel_url, a.created_at as "created_at: At", a.activated_at as "activated_at: At",
                   a.expires_at as "expires_at: At", a.auto_renew, a.cancel_at as "cancel_at: At",
                   a.suspension_reasons, a.suspended_at as "suspended_at: At", a.ending,
                   a.terminated_at as "terminated_at: At", a.failure, a.exempt, a.spared_until as "spared_until: At",
                   a.kept, a.backup_reference as backup, g.look_at as "look_at: At"
               from berth.hosting_accounts a
               join berth.customers c on c.id = a.customer_id
               left join berth.servers s on s.name = a.server
               left join berth.agenda g on g.account_id = a.id
               where a.id = $1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?
        .ok_or_else(|| StoreError::Missing(format!("account {id}")))
    }
}
