//! The first page: how much waits, and what needs somebody.

use serde::Serialize;

use super::{
    super::{Store, StoreError},
    At, MOST_COUNTED,
};

/// What waits in one queue.
#[derive(Clone, Debug, Serialize)]
pub struct QueueLine {
    /// Its name.
    pub queue: String,
    /// Jobs that wait, those that are due later included.
    pub waiting: i64,
    /// Jobs that are due and do not run yet.
    pub due: i64,
    /// Since when the one is due that is due longest.
    pub oldest_due: Option<At>,
    /// Jobs that run.
    pub running: i64,
    /// Jobs that were given up.
    pub dead: i64,
    /// Jobs of which two starts ended with their process: they run alone, in a process of their own.
    pub quarantined: i64,
}

/// What needs somebody, counted up to ten thousand each.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Counts {
    /// Open alerts.
    pub alerts: i64,
    /// Servers that are left alone because they fail.
    pub broken_servers: i64,
    /// Orders that are paid and not delivered.
    pub undelivered: i64,
    /// Paid orders that a person has to look at.
    pub held: i64,
    /// Accounts that their panel has refused.
    pub failed_accounts: i64,
    /// Accounts that are suspended.
    pub suspended_accounts: i64,
    /// Renewals that are to be paid and not due yet.
    pub renewals_open: i64,
    /// Renewals whose period has begun unpaid.
    pub renewals_late: i64,
    /// Mails that no mail server has taken, those of the last ten seconds apart.
    pub unsent_mails: i64,
    /// Mails among them that a mail server will never take.
    pub refused_mails: i64,
    /// Stripe's events that nothing has acted on.
    pub unheard_events: i64,
    /// Plans of sweeps that wait to be confirmed.
    pub stopped_plans: i64,
}

/// When a sweep ran.
#[derive(Clone, Debug, Serialize)]
pub struct SweepLine {
    /// Its name.
    pub name: String,
    /// Which run began last, by the schedule.
    pub due_at: At,
    /// When it began.
    pub at: At,
}

impl Store {
    /// What waits in each queue that has anything, by name. Each state is counted by the index that holds it alone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_queues(&self) -> Result<Vec<QueueLine>, StoreError> {
        Ok(sqlx::query_file_as!(QueueLine, "src/store/queries/console_queues.sql").fetch_all(&self.pool).await?)
    }

    /// What needs somebody.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_counts(&self) -> Result<Counts, StoreError> {
        Ok(sqlx::query_file_as!(Counts, "src/store/queries/console_counts.sql", MOST_COUNTED)
            .fetch_one(&self.pool)
            .await?)
    }

    /// The last run of each sweep that ever ran, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_sweeps(&self) -> Result<Vec<SweepLine>, StoreError> {
        Ok(sqlx::query_as!(
            SweepLine,
            r#"select distinct on (name) name, due_at as "due_at: At", at as "at: At"
               from berth.ticks
               order by name, due_at desc"#,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}

/// A plan of a sweep that waits to be confirmed.
#[derive(Clone, Debug, Serialize)]
pub struct StoppedPlan {
    /// Which.
    pub id: String,
    /// What was about to be done to too many.
    pub what: String,
    /// When.
    pub planned_at: At,
    /// How many it would have been in a day.
    pub count: i64,
    /// Of how many accounts.
    pub of_accounts: i64,
    /// What it is about, by currency.
    pub sums: Option<String>,
}

impl Store {
    /// The plans of a day that wait to be confirmed, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_stopped_plans(&self) -> Result<Vec<StoppedPlan>, StoreError> {
        Ok(sqlx::query_as!(
            StoppedPlan,
            r#"select berth.show_id('plan_', p.id) as "id!", p.what, p.planned_at as "planned_at: At", p.count,
                   p.of_accounts,
                   (
                       select string_agg(s.amount || ' ' || s.currency, ', ')
                       from (
                           select currency, sum(amount) as amount
                           from berth.fuse_plan_rows r
                           where r.plan_id = p.id and amount is not null
                           group by currency
                       ) s
                   ) as sums
               from berth.fuse_plans p
               where p.confirmed_at is null and p.planned_at > berth.now() - interval '1 day'
               order by p.id desc
               limit 20"#,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}
