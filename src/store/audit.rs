//! The audit: questions whose answers must all be empty. Each is one SQL file which selects the rows that are wrong.

use super::{Store, StoreError};

/// A question of the audit, and the rows that are wrong.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Finding {
    /// What must hold.
    pub rule: &'static str,
    /// One line a row that breaks it; at most [`MOST_ROWS`].
    pub rows: Vec<String>,
}

/// So many rows are named for a rule that is broken.
pub const MOST_ROWS: i64 = 100;

/// How long after it was due a job may still be unfinished, in seconds.
const OVERDUE_SECONDS: f64 = 60.0;

macro_rules! rules {
    ($store:ident, $($rule:literal => $file:literal),* $(,)?) => {
        vec![$(Finding {
            rule: $rule,
            rows: sqlx::query_file_scalar!($file, MOST_ROWS).fetch_all(&$store.pool).await?,
        }),*]
    };
}

impl Store {
    /// Asks every question; a finding without rows is a rule that holds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit(&self) -> Result<Vec<Finding>, StoreError> {
        let mut findings = rules! { self,
            "every paid event has led to one paid order" => "src/store/queries/audit_paid_events.sql",
            "every paid order has one payment, over its total without its credit" => "src/store/queries/audit_payments.sql",
            "every page that was paid is one payment's" => "src/store/queries/audit_paid_pages.sql",
            "money that is not owed, or is asked back, goes back" => "src/store/queries/audit_surplus.sql",
            "what goes back of a payment is no more than it" => "src/store/queries/audit_refunds.sql",
            "what has gone back of an invoice has its credit note" => "src/store/queries/audit_credit_notes.sql",
            "no number of a credit note is missing" => "src/store/queries/audit_credit_note_numbers.sql",
            "an account is held by no dispute but one that is open or lost" => "src/store/queries/audit_disputes.sql",
            "every unit of a paid order has its account" => "src/store/queries/audit_accounts.sql",
            "every completed order has only active accounts" => "src/store/queries/audit_completed.sql",
            "an order's units sum to its totals, set-up fees included" => "src/store/queries/audit_sums.sql",
            "every paid order has one invoice" => "src/store/queries/audit_invoices.sql",
            "no number of an invoice is missing" => "src/store/queries/audit_invoice_numbers.sql",
            "an invoice's sums are its order's" => "src/store/queries/audit_invoice_sums.sql",
            "a coupon's uses are its redemptions" => "src/store/queries/audit_coupon_uses.sql",
            "a redemption is committed where its order is paid" => "src/store/queries/audit_redemptions.sql",
            "an order has at most one open page to pay on" => "src/store/queries/audit_sessions.sql",
            "every paid order and active account has its mail" => "src/store/queries/audit_mails.sql",
            "a change is made once it is paid, or what was paid is credit" => "src/store/queries/audit_changes.sql",
            "a balance of credit is the sum of its movements" => "src/store/queries/audit_credit.sql",
            "the credit of an order is what it took, and goes back where it is not paid" => "src/store/queries/audit_credit_used.sql",
            "a period of an account is renewed once" => "src/store/queries/audit_periods.sql",
            "a paid renewal has extended its account" => "src/store/queries/audit_renewed.sql",
            "a charge that is under way has a job" => "src/store/queries/audit_open_charges.sql",
            "a charge is what its order owes, and what it brought a payment" => "src/store/queries/audit_charges.sql",
            "every live account has its turn" => "src/store/queries/audit_turns.sql",
            "history and phase agree" => "src/store/queries/audit_history.sql",
            "no account waits for its panel without a job" => "src/store/queries/audit_waiting.sql",
            "an account shows the heaviest reason that suspends it" => "src/store/queries/audit_reasons.sql",
            "an account that ends has no renewal to pay" => "src/store/queries/audit_ended.sql",
            "no job is dead" => "src/store/queries/audit_dead.sql",
        };
        findings.push(Finding {
            rule: "no job is overdue",
            rows: sqlx::query_file_scalar!("src/store/queries/audit_overdue.sql", MOST_ROWS, OVERDUE_SECONDS)
                .fetch_all(&self.pool)
                .await?,
        });
        Ok(findings)
    }

    /// The open alerts, oldest first, as `kind subject: detail`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open_alerts(&self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"select kind || ' ' || subject || ': ' || detail as "line!"
               from berth.alerts
               where resolved_at is null
               order by created_at
               limit $1"#,
            MOST_ROWS,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}
