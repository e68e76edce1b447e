//! One type per kind of id, so that an order's id cannot be passed where an account's is meant.
//!
//! Berth's own ids are UUIDv7 and are shown as a prefix and the UUID in Crockford base32, in lower case:
//! `ord_01k9z3…` (26 characters after the prefix). They sort by the time they were made.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const ENCODED_LEN: usize = 26;

/// A text that is no id of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidId {
    expected: &'static str,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected an id such as {}01k9z3m6sne5y8r7q2w4x6t8va", self.expected)
    }
}

impl std::error::Error for InvalidId {}

fn encode(uuid: Uuid, out: &mut String) {
    let value = uuid.as_u128();
    for place in (0..ENCODED_LEN).rev() {
        let digit = (value >> (5 * place)) & 31;
        // The digit is below 32: it always has a letter.
        let letter = usize::try_from(digit).ok().and_then(|at| ALPHABET.get(at));
        out.push(char::from(*letter.unwrap_or(&b'0')));
    }
}

fn decode(text: &str) -> Option<Uuid> {
    if text.len() != ENCODED_LEN {
        return None;
    }
    let mut value: u128 = 0;
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
        value = value.checked_mul(32)?.checked_add(u128::try_from(digit).ok()?)?;
    }
    Some(Uuid::from_u128(value))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The text before the encoded UUID.
            pub const PREFIX: &str = $prefix;

            /// A new id, later than every earlier one of this process.
            #[must_use]
            #[allow(clippy::new_without_default, reason = "two defaults of an id are never equal")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = String::with_capacity(Self::PREFIX.len() + ENCODED_LEN);
                text.push_str(Self::PREFIX);
                encode(self.0, &mut text);
                f.pad(&text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(Self::PREFIX)
                    .and_then(decode)
                    .map(Self)
                    .ok_or(InvalidId { expected: Self::PREFIX })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": concat!("^", $prefix, "[0-7][0-9a-hjkmnp-tv-z]{25}$"),
                })
            }
        }
    )*};
}

ids! {
    /// An order: what a customer agreed to buy, at the prices of that moment.
    OrderId = "ord_";
    /// One unit of an order: one hosting account bought.
    OrderItemId = "itm_";
    /// A hosting account.
    AccountId = "acc_";
    /// One attempt to take or give back money.
    PaymentId = "pay_";
    /// One attempt to charge a saved card.
    ChargeId = "chg_";
    /// Money that is given back.
    RefundId = "rfd_";
    /// A credit note; customers know it by its number.
    CreditNoteId = "crn_";
    /// A movement of a customer's credit.
    CreditEntryId = "cre_";
    /// What a sweep was about to do, and a person has to confirm.
    FusePlanId = "plan_";
    /// A line of a customer's cart.
    CartItemId = "cit_";
    /// A change of what an account is.
    PlanChangeId = "chn_";
    /// A coupon.
    CouponId = "cpn_";
    /// An invoice; customers know it by its number.
    InvoiceId = "inv_";
    /// A mail to be sent once.
    MailId = "mail_";
    /// A key that an application asks for jobs with.
    ApiKeyId = "key_";
    /// A job in the ledger.
    JobId = "job_";
}

/// The id of a customer: the subject (`sub`) of the token that they sign in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CustomerId(pub Uuid);

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The id that Stripe gave an event: `evt_…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StripeEventId(pub String);

impl fmt::Display for StripeEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id that Stripe gave a dispute: `du_…` or `dp_…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StripeDisputeId(pub String);

impl fmt::Display for StripeDisputeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_shown() {
        for value in [0, 1, u128::MAX, 0x0190_0000_0000_7000_8000_0000_0000_0001] {
            let id = OrderId(Uuid::from_u128(value));

            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let account = AccountId::new().to_string();

        assert!(account.parse::<OrderId>().is_err());
        assert!("ord_8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<OrderId>().is_err(), "more than 128 bits");
        assert!("ord_".parse::<OrderId>().is_err());
    }

    #[test]
    fn ids_sort_by_age() {
        let first = OrderId::new();
        let second = OrderId::new();

        assert!(first.to_string() < second.to_string());
    }
}
