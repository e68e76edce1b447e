//! Days that pass for an instance: its clock and Stripe's are moved, what is due is done, and what follows is waited for.

use std::time::Instant;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use url::Url;

use super::{Guide, PATIENCE, POLL_EVERY};
use crate::clock::Clock;

/// The days around the end of what is paid for on which something happens to who does not pay, by the usual timetable.
const UNPAID: [i64; 10] = [-7, -3, -1, 0, 1, 2, 3, 4, 5, 6];
/// What was told yesterday must be a whole day old: each visit is so much later in its day.
const LATER_SECONDS: i64 = 20;
/// So often in a row may a sweep find something that the one before it made due.
const MOST_SWEEPS: usize = 6;

pub(super) struct Days {
    owner: PgConnection,
    stripe: Url,
}

impl Days {
    pub(super) async fn of(guide: &Guide<'_>) -> anyhow::Result<Self> {
        let owner = PgConnection::connect(guide.tour.owner_url).await.context("the database's owner cannot sign in")?;
        Ok(Self { owner, stripe: guide.tour.config.stripe.api_base.clone() })
    }

    /// Passes the days until nobody works any more who was not paid for.
    pub(super) async fn pass_unpaid(&mut self, guide: &Guide<'_>, due: Timestamp) -> anyhow::Result<()> {
        for (day, visit) in UNPAID.into_iter().zip(1..) {
            let at = due + SignedDuration::from_hours(24 * day) + SignedDuration::from_secs(LATER_SECONDS * visit);
            self.go_to(guide, at).await?;
            // On its own it runs by the hour; a month without it would be an alert.
            guide.sweep("stripe_events").await?;
            for _ in 0..MOST_SWEEPS {
                guide.sweep("accounts").await?;
                self.settle(guide).await?;
                if self.count("select count(*) from berth.agenda where look_at <= berth.now()").await? == 0 {
                    break;
                }
            }
            let mails = "select count(*) from berth.mails where accepted_at is not null";
            let mails = self.count(mails).await?;
            guide.say(&format!("  {} ({day:+} days): {mails} mails so far", at.strftime("%Y-%m-%d")));
        }
        Ok(())
    }

    /// Lets it be that time, by Berth's clock and by Stripe's.
    async fn go_to(&mut self, guide: &Guide<'_>, at: Timestamp) -> anyhow::Result<()> {
        sqlx::query("update berth.clock set clock_offset = $1::timestamptz - now()")
            .bind(at.to_string())
            .execute(&mut self.owner)
            .await
            .context("the clock cannot be moved")?;
        guide.tour.clock.set(guide.tour.store.now().await?);
        let offset = at.as_second() - Clock::machine().as_second();
        let body = json!({ "offset_seconds": offset });
        let moved = guide.shop.http.post(self.stripe.join("/_sim/clock")?).json(&body).send().await?;
        moved.error_for_status().context("Stripe's clock cannot be moved")?;
        Ok(())
    }

    /// Waits until nothing is under way, at Stripe neither.
    async fn settle(&mut self, guide: &Guide<'_>) -> anyhow::Result<()> {
        let waiting = Instant::now();
        let busy =
            "select count(*) from berth.jobs where state = 'running' or (state = 'queued' and run_at <= berth.now())";
        let mut quiet = 0;
        // Twice in a row, for what one tells the other.
        while quiet < 2 {
            if waiting.elapsed() > PATIENCE {
                bail!("after {} s jobs still wait; `berth jobs list` shows which", PATIENCE.as_secs());
            }
            let health = guide.shop.http.request(Method::GET, self.stripe.join("/_sim/healthz")?).send().await?;
            let health: Value = health.json().await?;
            let is_quiet = health["undelivered"] == 0 && self.count(busy).await? == 0;
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if !is_quiet {
                tokio::time::sleep(POLL_EVERY).await;
            }
        }
        Ok(())
    }

    async fn count(&mut self, query: &'static str) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar(query).fetch_one(&mut self.owner).await?)
    }
}
