//! What was learnt outside: true whoever tells it and however often, one statement a kind.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

mod sessions;

use std::collections::BTreeMap;

use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::effects::Fact;

/// Writes what was learnt of mails and of pages to pay on. Each fact is true whoever tells it, and telling it
/// twice changes nothing.
pub(super) async fn learn(db: &mut PgConnection, facts: &[(usize, &Fact)]) -> Result<(), sqlx::Error> {
    attempt_mails(db, facts).await?;
    accept_mails(db, facts).await?;
    refuse_mails(db, facts).await?;
    sessions::learn(db, facts).await
}

async fn attempt_mails(db: &mut PgConnection, facts: &[(usize, &Fact)]) -> Result<(), sqlx::Error> {
    let mut attempts = BTreeMap::new();
    for (_, fact) in facts {
        if let Fact::MailAttempted { mail_id, at } = fact {
            attempts.insert(mail_id.0, at.to_sqlx());
        }
    }
    if attempts.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update berth.mails m
         set attempts = m.attempts + 1, attempted_at = f.at
         from unnest($1::uuid[], $2::timestamptz[]) f (id, at)
         where m.id = f.id",
        &attempts.keys().copied().collect::<Vec<_>>(),
        &attempts.values().copied().collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn accept_mails(db: &mut PgConnection, facts: &[(usize, &Fact)]) -> Result<(), sqlx::Error> {
    let mut accepted = BTreeMap::new();
    for (_, fact) in facts {
        if let Fact::MailAccepted { mail_id, at, response } = fact {
            accepted.insert(mail_id.0, (at.to_sqlx(), response.clone()));
        }
    }
    if accepted.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update berth.mails m
         set accepted_at = f.at, response = f.response
         from unnest($1::uuid[], $2::timestamptz[], $3::text[]) f (id, at, response)
         where m.id = f.id and m.accepted_at is null",
        &accepted.keys().copied().collect::<Vec<_>>(),
        &accepted.values().map(|(at, _)| *at).collect::<Vec<_>>(),
        &accepted.values().map(|(_, response)| response.clone()).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn refuse_mails(db: &mut PgConnection, facts: &[(usize, &Fact)]) -> Result<(), sqlx::Error> {
    for (_, fact) in facts {
        // Rare: one statement each.
        if let Fact::MailRefused { mail_id, at, response } = fact {
            sqlx::query!(
                "update berth.mails set refused_at = $2, response = $3 where id = $1 and accepted_at is null",
                mail_id.0,
                at.to_sqlx(),
                response,
            )
            .execute(&mut *db)
            .await?;
        }
    }
    Ok(())
}

/// What was learnt of customers, written where a transaction locks customers.
pub(super) async fn know_customers(db: &mut PgConnection, facts: &[(usize, &Fact)]) -> Result<(), sqlx::Error> {
    let mut known: BTreeMap<Uuid, &str> = BTreeMap::new();
    for (_, fact) in facts {
        if let Fact::CustomerKnown { customer_id, stripe_customer_id } = fact {
            known.entry(customer_id.0).or_insert(stripe_customer_id);
        }
    }
    if known.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update berth.customers c
         set stripe_customer_id = f.stripe_customer_id
         from unnest($1::uuid[], $2::text[]) f (id, stripe_customer_id)
         where c.id = f.id and c.stripe_customer_id is null",
        &known.keys().copied().collect::<Vec<_>>(),
        &known.values().map(|id| (*id).to_owned()).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What a panel said of an account that it created.
#[derive(Default)]
struct CreatedColumns {
    remote_id: Option<String>,
    site_url: Option<String>,
    control_panel_url: Option<String>,
    nameservers: Vec<String>,
}

/// What was learnt of accounts, written where a transaction locks accounts.
pub(super) async fn note_created(db: &mut PgConnection, facts: &[(usize, &Fact)]) -> Result<(), sqlx::Error> {
    let mut created: BTreeMap<Uuid, CreatedColumns> = BTreeMap::new();
    for (_, fact) in facts {
        if let Fact::AccountCreated { account_id, remote_id, site_url, control_panel_url, nameservers } = fact {
            let columns = created.entry(account_id.0).or_default();
            columns.remote_id = remote_id.clone().or(columns.remote_id.take());
            columns.site_url = site_url.clone().or(columns.site_url.take());
            columns.control_panel_url = control_panel_url.clone().or(columns.control_panel_url.take());
            columns.nameservers.clone_from(nameservers);
        }
    }
    if created.is_empty() {
        return Ok(());
    }
    // PostgreSQL has no arrays of arrays of different lengths, so the names of servers travel as one text.
    sqlx::query!(
        "update berth.hosting_accounts a
         set remote_id = coalesce(f.remote_id, a.remote_id), site_url = coalesce(f.site_url, a.site_url),
             control_panel_url = coalesce(f.control_panel_url, a.control_panel_url),
             nameservers = string_to_array(f.nameservers, ',')
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
             f (id, remote_id, site_url, control_panel_url, nameservers)
         where a.id = f.id",
        &created.keys().copied().collect::<Vec<_>>(),
        &created.values().map(|c| c.remote_id.clone()).collect::<Vec<_>>() as &[Option<String>],
        &created.values().map(|c| c.site_url.clone()).collect::<Vec<_>>() as &[Option<String>],
        &created.values().map(|c| c.control_panel_url.clone()).collect::<Vec<_>>() as &[Option<String>],
        &created.values().map(|c| c.nameservers.join(",")).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}
