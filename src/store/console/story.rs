//! What happened to an order or an account, in its order: what Stripe told, jobs, moves, what the panel was asked, mails, and
//! what people did.

use berth_jobs::ids::{AccountId, OrderId};
use serde::Serialize;
use uuid::Uuid;

use super::{
    super::{Store, StoreError},
    At,
};

/// So many steps are shown, the newest; a long life has more.
const MOST_STEPS: i64 = 300;

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// When it began.
    pub at: At,
    /// `event`, `job`, `order`, `account`, `panel`, `money`, `mail` or `person`.
    pub sort: String,
    /// What.
    pub title: String,
    /// What more there is to say of it.
    pub detail: Option<String>,
    /// The row that it is about, as its page is found by.
    pub subject: Option<String>,
    /// Where a job, an event, a mail or a page stands.
    pub state: Option<String>,
    /// The job whose run brought it about.
    pub job: Option<String>,
    /// When it ended, where it took time.
    pub until: Option<At>,
}

impl Store {
    /// The story of an order: of its accounts only what belongs to it. What is known by real time alone (when an event came,
    /// when a job ran) is told in Berth's time as it was when the order was agreed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn order_story(&self, id: OrderId) -> Result<Vec<Step>, StoreError> {
        let accounts: Vec<Uuid> = sqlx::query_scalar!(
            r#"select a.id from berth.hosting_accounts a where a.order_id = $1
               union
               select coalesce(o.renewal_of_hosting_id, o.changes_account_id) as "id!"
               from berth.orders o
               where o.id = $1 and num_nonnulls(o.renewal_of_hosting_id, o.changes_account_id) > 0"#,
            id.0,
        )
        .fetch_all(&self.pool)
        .await?
        .into_iter()
        .flatten()
        .collect();
        Ok(sqlx::query_file_as!(Step, "src/store/queries/console_order_story.sql", id.0, &accounts, MOST_STEPS)
            .fetch_all(&self.pool)
            .await?)
    }

    /// The story of an account, from its order to its end.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn account_story(&self, id: AccountId) -> Result<Vec<Step>, StoreError> {
        Ok(sqlx::query_file_as!(Step, "src/store/queries/console_account_story.sql", id.0, MOST_STEPS)
            .fetch_all(&self.pool)
            .await?)
    }
}
