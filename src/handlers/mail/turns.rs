//! Whose turn it is, where the mail server's provider takes only so many mails a minute.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{
    app::Ctx,
    domain::pace::{Asking, Turn},
    error::JobError,
    store::mails::MailRow,
};

/// Jobs come this much early or late: waiting for less would be asking twice.
const GRAIN: SignedDuration = SignedDuration::from_millis(250);

/// Takes a mail's turn. What somebody waits for goes at once; the rest waits for its place, as long as that takes.
pub(super) async fn take(row: &MailRow, ctx: &Ctx) -> Result<(), JobError> {
    let per_minute = ctx.config.mail.max_per_minute;
    if per_minute == 0 {
        return Ok(());
    }
    let asking = match row.turn_at {
        _ if row.by_hand || !row.mail.is_bulk() => Asking::AtOnce,
        None => Asking::New,
        Some(at) if at.duration_since(ctx.now()) <= GRAIN => Asking::InTurn,
        Some(at) => return Err(waiting(at, ctx.now())),
    };
    match ctx.store.mail_turn(row.id, asking, per_minute).await? {
        Turn::Now => Ok(()),
        Turn::At(at) => Err(waiting(at, ctx.now())),
        Turn::Later(at) => Err(asking_again(row, at, ctx.now())),
    }
}

/// A mail that has a place waits for it; in Berth's time, as jobs do.
fn waiting(at: Timestamp, now: Timestamp) -> JobError {
    JobError::in_turn(format!("it is sent when its turn comes: {at} (mail.max_per_minute)"), until(at, now))
}

/// Between half of the time until then and all of it, each mail by its own id: they do not ask again at the same moment.
fn asking_again(row: &MailRow, at: Timestamp, now: Timestamp) -> JobError {
    let half = until(at, now) / 2;
    let [.., a, b] = *row.id.0.as_bytes();
    let after = half + half * u32::from(u16::from_be_bytes([a, b])) / u32::from(u16::MAX);
    JobError::in_turn("too many mails wait before it for a place (mail.max_per_minute)".to_owned(), after)
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    at.duration_since(now).try_into().unwrap_or(Duration::ZERO)
}
