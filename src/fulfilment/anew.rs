//! Renewals whose orders were lost, as a backup was restored: the same periods are issued anew, and what has paid a lost order pays
//! the new one.

use berth_jobs::ids::{AccountId, OrderId, StripeEventId};
use jiff::{SignedDuration, Timestamp};

use crate::store::{Store, StoreError};

/// For so long after its payment's event became known a period may still be about to be issued. Who waits for it is told within the day
/// that a job may wait.
const ISSUED_WITHIN: SignedDuration = SignedDuration::from_hours(23);

/// What stands for an order that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anew {
    /// The renewal of the same period.
    Issued(OrderId),
    /// That is about to be issued.
    ToCome,
    /// Nothing.
    Never,
}

/// What stands for the order that an event of a payment names and nobody knows. The period is what the payment says that it is for.
///
/// # Errors
/// When the database does not answer.
pub async fn anew(
    store: &Store,
    period: Option<(AccountId, Timestamp)>,
    event: &StripeEventId,
) -> Result<Anew, StoreError> {
    let Some((account, begins)) = period else { return Ok(Anew::Never) };
    if let Some(order) = store.renewal_of_period(account, begins).await? {
        return Ok(Anew::Issued(order));
    }
    let is_next = match store.account(account).await {
        Ok(account) => account.state.phase.is_live() && account.expires_at == Some(begins),
        Err(StoreError::Missing(_)) => false,
        Err(error) => return Err(error),
    };
    let waits = is_next && store.event_known_for(event).await? < ISSUED_WITHIN;
    Ok(if waits { Anew::ToCome } else { Anew::Never })
}
