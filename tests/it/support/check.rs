//! What must hold once everything is finished, whoever was killed meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use berth::store::Store;
use serde_json::Value;

use super::{Stack, stack::creates};

impl Stack {
    /// What is wrong, by the audit and by the records of Stripe, the panel and the mail server; one line each.
    pub(crate) async fn violations(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for finding in Store::on(self.pool.clone()).audit().await.unwrap() {
            wrong.extend(finding.rows.iter().map(|row| format!("audit: {}: {row}", finding.rule)));
        }
        wrong.extend(self.wrong_on_the_panel().await);
        wrong.extend(self.wrong_in_the_mailbox().await);
        wrong.extend(self.wrong_at_stripe().await);
        wrong.extend(self.wrong_in_the_ledger().await);
        wrong
    }

    /// Waits until nothing due is unfinished; answers what still is after `patience`.
    pub(crate) async fn unfinished_after(&self, patience: Duration) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let jobs: Result<Vec<String>, _> = sqlx::query_scalar(
                "select concat_ws(' ', 'unfinished:', kind, id, state, attempt, unsettled, dispatched_at, last_error)
                 from berth.jobs
                 where state = 'running' or (state = 'queued' and run_at <= berth.now() + interval '5 min')
                 limit 20",
            )
            .fetch_all(&self.pool)
            .await;
            match jobs {
                Ok(jobs) if jobs.is_empty() || begun.elapsed() > patience => return jobs,
                Err(error) if begun.elapsed() > patience => return vec![format!("unfinished: {error}")],
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// The panel's own log has one create for every active account, and none besides.
    async fn wrong_on_the_panel(&self) -> Vec<String> {
        let creates = creates(&self.sites_dir());
        let double = creates.iter().filter(|(_, count)| **count != 1);
        let mut wrong: Vec<String> =
            double.map(|(account, count)| format!("panel: {account} was created {count} times")).collect();
        let active: Vec<uuid::Uuid> =
            sqlx::query_scalar("select id from berth.hosting_accounts where activated_at is not null")
                .fetch_all(&self.pool)
                .await
                .unwrap();
        let active: BTreeSet<_> = active.into_iter().map(berth_jobs::ids::AccountId).collect();
        let created: BTreeSet<_> = creates.into_keys().collect();
        wrong.extend(active.symmetric_difference(&created).map(|id| format!("panel: only one side knows of {id}")));
        wrong
    }

    /// Every mail was accepted, and none more often than it was tried by runs of its own.
    async fn wrong_in_the_mailbox(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mails: Vec<(uuid::Uuid, i32, bool, i32)> = sqlx::query_as(
            "select m.id, m.attempts, m.accepted_at is not null, coalesce(max(j.attempt), 0)
             from berth.mails m
             left join berth.jobs j on j.kind = 'send_mail' and j.payload ->> 'mail_id' = berth.show_id('mail_', m.id)
             group by m.id",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let mut seen = self.acceptances();
        for (id, attempts, accepted, runs) in mails {
            let id = berth_jobs::ids::MailId(id);
            let times = seen.remove(&id.to_string()).unwrap_or(0);
            if !accepted || times == 0 {
                wrong.push(format!("mail: {id} was accepted {times} times, and {attempts} times tried"));
            }
            // A second acceptance is excused by a run that died between the server's answer and the commit of it;
            // then the job's next run is the next attempt.
            if times > u64::try_from(runs.min(attempts)).unwrap().max(1) {
                wrong.push(format!("mail: {id} was accepted {times} times in {runs} runs and {attempts} attempts"));
            }
        }
        wrong.extend(seen.into_keys().map(|id| format!("mail: {id} is none of ours")));
        wrong
    }

    /// How often the mail server accepted each mail, by the mail's id.
    pub(crate) fn acceptances(&self) -> BTreeMap<String, u64> {
        let id_of = |message: &str| message.trim_start_matches('<').split('@').next().unwrap_or_default().to_owned();
        self.mailbox.all_acceptances().iter().map(|(message, times)| (id_of(message), *times)).collect()
    }

    /// Every session that Stripe has money for is one payment over the same sum, by the same intent, and no other.
    async fn wrong_at_stripe(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let records = self.sim_get("records").await;
        let mut orders: BTreeMap<String, u32> = BTreeMap::new();
        let mut paid: BTreeSet<(String, String, i64)> = BTreeSet::new();
        for session in records["checkout_sessions"].as_array().unwrap() {
            let order = text(&session["client_reference_id"]);
            *orders.entry(order.clone()).or_default() += 1;
            if session["payment_status"] == "paid" {
                let sum = session["amount_total"].as_i64().unwrap();
                paid.insert((order, text(&session["payment_intent"]), sum));
            }
        }
        wrong.extend(
            orders
                .iter()
                .filter(|(_, count)| **count != 1)
                .map(|(order, count)| format!("stripe: {count} sessions were opened for {order}")),
        );
        let charged = records["charges"].as_array().unwrap().iter().filter(|charge| charge["paid"] == true).count();
        if charged != paid.len() {
            wrong.push(format!("stripe: {charged} charges for {} paid sessions", paid.len()));
        }
        let known: Vec<(String, String, i64)> = sqlx::query_as(
            "select berth.show_id('ord_', order_id), stripe_payment_intent_id, (amount * 100)::int8
             from berth.payments where state = 'succeeded'",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let payments = known.len();
        let known: BTreeSet<_> = known.into_iter().collect();
        if known.len() != payments {
            wrong.push("stripe: a payment is booked twice".to_owned());
        }
        wrong.extend(paid.symmetric_difference(&known).map(|it| format!("stripe: only one side knows of {it:?}")));
        wrong
    }

    /// An event has one job, a unit one account, an order one payment, a mail one job.
    async fn wrong_in_the_ledger(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select 'ledger: ' || count(*) || ' jobs for event ' || (payload ->> 'event_id')
             from berth.jobs where payload ? 'event_id' group by payload ->> 'event_id' having count(*) > 1
             union all
             select 'ledger: ' || count(*) || ' jobs for mail ' || (payload ->> 'mail_id')
             from berth.jobs where payload ? 'mail_id' group by payload ->> 'mail_id' having count(*) > 1
             union all
             select 'ledger: ' || count(*) || ' accounts for unit ' || order_item_id
             from berth.hosting_accounts group by order_item_id having count(*) > 1
             union all
             select 'ledger: ' || count(*) || ' payments for order ' || order_id
             from berth.payments where state = 'succeeded' group by order_id having count(*) > 1
             union all
             select 'ledger: ' || count(*) || ' mails say ' || kind || ' of ' || about
             from berth.mails group by kind, about having count(*) > 1
             union all
             select 'ledger: alert ' || kind || ' ' || subject || ': ' || detail
             from berth.alerts where resolved_at is null",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
