//! Days that pass: what is due on each is swept, and what follows is waited for.

use berth::{app::App, effects::Effects, sweeps::Sweep};
use jiff::{SignedDuration, Timestamp};

use super::Stack;

impl Stack {
    /// Has a sweep run, and what follows from it.
    pub(crate) async fn sweep(&self, app: &App, sweep: Sweep) {
        app.committer.write(Effects::none().enqueue(sweep.job(None))).await.unwrap();
        self.until_idle().await;
    }

    /// Lets it be this time, by Berth's clock and by Stripe's.
    pub(crate) async fn set_time(&self, app: &App, at: Timestamp) {
        sqlx::query("update berth.clock set clock_offset = $1::timestamptz - now()")
            .bind(at.to_string())
            .execute(&self.pool)
            .await
            .unwrap();
        app.clock.set(app.store.now().await.unwrap());
    }

    /// Lets so many hours pass.
    pub(crate) async fn pass_hours(&self, app: &App, hours: i64) -> Timestamp {
        let at = app.store.now().await.unwrap() + SignedDuration::from_hours(hours);
        self.set_time(app, at).await;
        at
    }

    /// Buys one of a service, which becomes active; answers the account.
    pub(crate) async fn account(&self, user: uuid::Uuid, service: &str) -> String {
        let (order, session) = self.checkout(user, service, 1).await;
        self.pay(&session).await;
        self.until(&format!("{order} has an account"), async || {
            let orders: Result<i64, _> = sqlx::query_scalar(
                "select count(*) from berth.hosting_accounts where activated_at is not null
                 and berth.show_id('ord_', order_id) = $1",
            )
            .bind(&order)
            .fetch_one(&self.pool)
            .await;
            orders.is_ok_and(|found| found == 1)
        })
        .await;
        self.until_idle().await;
        let (status, shown) = self.get(user, "/v1/hosting").await;
        assert_eq!(status, 200, "{shown}");
        let accounts = shown["data"].as_array().cloned().unwrap_or_default();
        let account = accounts.iter().find(|account| account["order_id"] == *order);
        account.unwrap_or_else(|| panic!("{order} has no account: {shown}"))["id"].as_str().unwrap().to_owned()
    }
}
