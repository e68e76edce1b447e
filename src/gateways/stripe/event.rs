//! A webhook event: a tolerant envelope, and typed views of the object in it.

use std::fmt;

use jiff::Timestamp;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::json_path;
use super::objects::{
    Charge, CheckoutSession, Customer, Dispute, EarlyFraudWarning, PaymentIntent, PaymentMethod, Refund, SetupIntent,
};

/// Why a body is not an event, or its object not of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Malformed: the endpoint answers 400.
    #[error("not JSON in UTF-8: {problem}")]
    NotJson {
        /// Where it ceased to be JSON.
        problem: String,
    },
    /// JSON, but not of a shape we know: to be parked, and answered 200.
    #[error("unexpected shape: {problem}")]
    Shape {
        /// The path, and what was wrong there; no values.
        problem: String,
    },
    /// Another kind of object than was asked for.
    #[error("the event holds {found}, not {expected}")]
    OtherObject {
        /// What was asked for.
        expected: &'static str,
        /// Stripe's word for what is there.
        found: String,
    },
}

/// An event. Only `id` and `kind` are certain.
#[derive(Clone)]
pub struct StripeEvent {
    /// `evt_…`: the same for every delivery of this event.
    pub id: String,
    /// Stripe's `type`, such as `checkout.session.completed`.
    pub kind: String,
    /// When it happened, to the second: it cannot order events.
    pub created: Option<Timestamp>,
    /// False in test mode. An event of the other mode must not be applied.
    pub livemode: Option<bool>,
    /// The version its object is shaped by.
    pub api_version: Option<String>,
    /// Set when it concerns a connected account, which Berth has none of.
    pub account: Option<String>,
    /// `data.object` as sent; absent in thin events.
    object: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "lenient_time")]
    created: Option<Timestamp>,
    livemode: Option<bool>,
    api_version: Option<String>,
    account: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    object: Option<Box<RawValue>>,
}

/// What is left when the rest of an envelope is not what it used to be.
#[derive(Deserialize)]
struct BareEnvelope {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct ObjectKind {
    object: Option<String>,
}

impl StripeEvent {
    /// Reads a body whose signature has been verified.
    ///
    /// # Errors
    /// `NotJson`, or `Shape` when there is no usable `id` or `type`.
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        let text = std::str::from_utf8(body).map_err(|error| EventError::NotJson { problem: error.to_string() })?;
        // serde would read a struct from an array too.
        if !text.trim_start().starts_with('{') {
            return Err(not_json(text).unwrap_or_else(|| EventError::Shape { problem: "not an object".to_owned() }));
        }
        let event = match serde_json::from_str::<Envelope>(text) {
            Ok(envelope) => Self::of(envelope),
            Err(_) => Self::parse_bare(text)?,
        };
        // No id or type of Stripe's has one, and a database's text cannot hold it.
        if event.id.contains('\0') || event.kind.contains('\0') {
            return Err(EventError::Shape { problem: "NUL in the id or type".to_owned() });
        }
        Ok(event)
    }

    fn of(envelope: Envelope) -> Self {
        Self {
            id: envelope.id,
            kind: envelope.kind,
            created: envelope.created,
            livemode: envelope.livemode,
            api_version: envelope.api_version,
            account: envelope.account,
            object: envelope.data.and_then(|data| data.object),
        }
    }

    fn parse_bare(text: &str) -> Result<Self, EventError> {
        let bare: BareEnvelope = serde_json::from_str(text).map_err(|error| {
            not_json(text).unwrap_or_else(|| EventError::Shape { problem: json_path::describe(text, &error) })
        })?;
        Ok(Self {
            id: bare.id,
            kind: bare.kind,
            created: None,
            livemode: None,
            api_version: None,
            account: None,
            object: None,
        })
    }

    /// `data.object` as sent.
    #[must_use]
    pub fn object_json(&self) -> Option<&str> {
        self.object.as_deref().map(RawValue::get)
    }

    /// # Errors
    /// When the event holds something else or misses what is essential.
    pub fn checkout_session(&self) -> Result<CheckoutSession, EventError> {
        self.view("checkout.session")
    }

    /// # Errors
    /// When the event holds something else or misses what is essential.
    pub fn payment_intent(&self) -> Result<PaymentIntent, EventError> {
        self.view("payment_intent")
    }

    /// # Errors
    /// When the event holds something else or misses what is essential.
    pub fn setup_intent(&self) -> Result<SetupIntent, EventError> {
        self.view("setup_intent")
    }

    /// # Errors
    /// When the event holds something else or misses what is essential.
    pub fn charge(&self) -> Result<Charge, EventError> {
        self.view("charge")
    }

    /// # Errors
    /// When the event holds something else or misses what is essential.
    pub fn refund(&self) -> Result<Refund, EventError> {
        self.view("refund")
    }

    /// # Errors
    /// When the event holds something else or misses what is essential.
    pub fn dispute(&self) -> Result<Dispute, EventError> {
        self.view("dispute")
    }

    /// # Errors
    /// When the event holds something else or misses what is essential.
    pub fn early_fraud_warning(&self) -> Result<EarlyFraudWarning, EventError> {
        self.view("radar.early_fraud_warning")
    }

    /// # Errors
    /// When the event holds something else or misses what is essential.
    pub fn payment_method(&self) -> Result<PaymentMethod, EventError> {
        self.view("payment_method")
    }

    /// # Errors
    /// When the event holds something else or misses what is essential.
    pub fn customer(&self) -> Result<Customer, EventError> {
        self.view("customer")
    }

    /// Looks at the object's own name first: a charge would also pass for an intent.
    fn view<T: DeserializeOwned>(&self, expected: &'static str) -> Result<T, EventError> {
        let Some(text) = self.object_json() else {
            return Err(EventError::Shape { problem: "no data.object".to_owned() });
        };
        let shape = |error: serde_json::Error| EventError::Shape {
            problem: format!("data.object: {}", json_path::describe(text, &error)),
        };
        let kind: ObjectKind = serde_json::from_str(text).map_err(shape)?;
        match kind.object {
            Some(found) if found == expected => serde_json::from_str(text).map_err(shape),
            found => Err(EventError::OtherObject {
                expected,
                found: found.unwrap_or_else(|| "an unnamed object".to_owned()),
            }),
        }
    }
}

/// Where a text ceases to be JSON, if it does: serde may stop at an odd shape before it gets there.
fn not_json(text: &str) -> Option<EventError> {
    let error = serde_json::from_str::<IgnoredAny>(text).err()?;
    Some(EventError::NotJson { problem: error.to_string() })
}

/// The object is left out: it holds client secrets and personal data.
impl fmt::Debug for StripeEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StripeEvent")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("created", &self.created)
            .field("livemode", &self.livemode)
            .field("api_version", &self.api_version)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// Seconds since 1970, or RFC 3339 as in thin events; anything else is as good as absent.
fn lenient_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    deserializer.deserialize_any(TimeVisitor)
}

struct TimeVisitor;

impl<'de> Visitor<'de> for TimeVisitor {
    type Value = Option<Timestamp>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a time")
    }

    fn visit_i64<E>(self, seconds: i64) -> Result<Self::Value, E> {
        Ok(Timestamp::from_second(seconds).ok())
    }

    fn visit_u64<E>(self, seconds: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.parse().ok())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
