//! Lenient readers for single fields of Stripe's objects.

use std::fmt;

use jiff::Timestamp;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Old API versions say null where newer ones say `{}`.
pub(super) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Seconds since 1970.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(seconds) = Option::<i64>::deserialize(deserializer)? else {
        return Ok(None);
    };
    Timestamp::from_second(seconds).map(Some).map_err(serde::de::Error::custom)
}

/// The id of a field that holds an id, or the whole object when it was expanded, or nothing.
pub(super) fn reference<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_any(ReferenceVisitor)
}

struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an id or an object with an id")
    }

    fn visit_str<E>(self, id: &str) -> Result<Self::Value, E> {
        Ok(Some(id.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut id = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == "id" {
                id = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use crate::gateways::stripe::objects::PaymentIntent;

    #[test]
    fn a_reference_is_read_bare_expanded_or_absent() {
        let read = |field: &str| {
            let text = format!(r#"{{"id":"pi_1","status":"succeeded"{field}}}"#);
            serde_json::from_str::<PaymentIntent>(&text).unwrap().customer
        };

        assert_eq!(read(r#","customer":"cus_1""#).as_deref(), Some("cus_1"));
        assert_eq!(read(r#","customer":{"object":"customer","id":"cus_1","metadata":{}}"#).as_deref(), Some("cus_1"));
        assert_eq!(read(r#","customer":null"#), None);
        assert_eq!(read(""), None);
    }
}
