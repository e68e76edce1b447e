//! The pages that orders are paid on, as Stripe tells of them.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use std::collections::BTreeMap;

use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;

use crate::effects::{Fact, SessionNews, SessionState};

/// Writes what was learnt of pages. News of one page come in the order of its life, whatever their order here.
pub(super) async fn learn(db: &mut PgConnection, facts: &[(usize, &Fact)]) -> Result<(), sqlx::Error> {
    let mut pages: BTreeMap<&str, SessionNews> = BTreeMap::new();
    for (_, fact) in facts {
        if let Fact::Session(news) = fact {
            let known = pages.entry(&news.session_id).or_insert_with(|| news.clone());
            if rank(news.state) > rank(known.state) {
                known.state = news.state;
            }
            known.url = known.url.take().or_else(|| news.url.clone());
            known.expires_at = known.expires_at.or(news.expires_at);
        }
    }
    if pages.is_empty() {
        return Ok(());
    }
    sqlx::query_file!(
        "src/store/queries/learn_sessions.sql",
        &pages.values().map(|page| page.session_id.clone()).collect::<Vec<_>>(),
        &pages.values().map(|page| page.order_id.0).collect::<Vec<_>>(),
        &pages.values().map(|page| page.version).collect::<Vec<_>>(),
        &pages.values().map(|page| page.state.as_str().to_owned()).collect::<Vec<_>>(),
        &pages.values().map(|page| page.url.clone()).collect::<Vec<_>>() as &[Option<String>],
        &pages.values().map(|page| page.expires_at.map(ToSqlx::to_sqlx)).collect::<Vec<_>>()
            as &[Option<jiff_sqlx::Timestamp>],
        &pages.values().map(|page| page.at.to_sqlx()).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}

fn rank(state: SessionState) -> u8 {
    match state {
        SessionState::Open => 0,
        SessionState::Expired => 1,
        SessionState::Paid => 2,
    }
}
