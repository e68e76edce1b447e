//! What a payment is for: it stands in the metadata at Stripe, so that whoever finds the payment there can tell, also where
//! nothing else knows of it any more.

use berth_jobs::ids::{AccountId, OrderId};
use jiff::Timestamp;

use super::objects::Metadata;

const ORDER: &str = "order_id";
const ACCOUNT: &str = "account_id";
const PERIOD: &str = "period_start";

/// What a payment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// The order that it pays.
    pub order: OrderId,
    /// Of a renewal: the account, and the beginning of the period. They stay the same where the order is issued anew.
    pub period: Option<(AccountId, Timestamp)>,
}

impl Purpose {
    /// What the metadata of an intent or a page say; `None` of one that pays no order.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Option<Self> {
        let order = metadata.get(ORDER)?.parse().ok()?;
        let account = metadata.get(ACCOUNT).and_then(|id| id.parse().ok());
        let begins = metadata.get(PERIOD).and_then(|at| at.parse().ok());
        Some(Self { order, period: account.zip(begins) })
    }

    /// What is written of it.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::from([(ORDER.to_owned(), self.order.to_string())]);
        if let Some((account, begins)) = self.period {
            metadata.insert(ACCOUNT.to_owned(), account.to_string());
            metadata.insert(PERIOD.to_owned(), begins.to_string());
        }
        metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_to_the_microsecond() {
        let begins = "2026-11-27T03:04:05.678901Z".parse().unwrap();
        let order = OrderId::new();

        for period in [None, Some((AccountId::new(), begins))] {
            let purpose = Purpose { order, period };
            assert_eq!(Purpose::of(&purpose.metadata()), Some(purpose));
        }
    }

    #[test]
    fn what_somebody_else_wrote_is_of_no_order_or_of_no_period() {
        let order = OrderId::new();
        let with = |pairs: &[(&str, &str)]| -> Metadata {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let id = order.to_string();

        assert_eq!(Purpose::of(&with(&[(ORDER, "cart-4711")])), None);
        assert_eq!(Purpose::of(&with(&[])), None);
        let no_period = Some(Purpose { order, period: None });
        assert_eq!(Purpose::of(&with(&[(ORDER, &id), (ACCOUNT, "7"), (PERIOD, "2026-11-27T03:04:05Z")])), no_period);
        assert_eq!(Purpose::of(&with(&[(ORDER, &id), (ACCOUNT, &AccountId::new().to_string())])), no_period);
    }
}
