//! A service's configuration: what the customer chose, completed with what is taken when nothing is said, and its price.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    catalogue::{OptionChoice, OptionKind, ServiceOption, priced},
    money::{Currency, Money, MoneyError},
};

/// What was chosen, by the option's id: numbers and texts.
pub type Configuration = BTreeMap<String, Value>;

/// Why a configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// The service has no such option.
    #[error("there is no option {option:?}; {}", known(.options))]
    UnknownOption {
        /// As it was asked for.
        option: String,
        /// The ids of those that there are.
        options: Vec<String>,
    },
    /// The option cannot be that.
    #[error("{option} is {found}, but must be {allowed}")]
    Value {
        /// Its id.
        option: String,
        /// As it was asked for, in JSON's writing.
        found: String,
        /// What it may be.
        allowed: String,
    },
}

fn known(options: &[String]) -> String {
    if options.is_empty() { "there are none".to_owned() } else { format!("there are {}", options.join(", ")) }
}

/// What an asked-for value is longer than is cut from refusals: they are shown and logged.
const LONGEST_SHOWN: usize = 60;

/// The whole configuration: every option of the service, as asked for or as taken when nothing is said.
///
/// # Errors
/// When an option is unknown, or cannot be what was asked for.
pub fn normalise(options: &[ServiceOption], asked: &Configuration) -> Result<Configuration, ConfigurationError> {
    if let Some(unknown) = asked.keys().find(|id| !options.iter().any(|option| option.id() == id.as_str())) {
        return Err(ConfigurationError::UnknownOption {
            option: shown(unknown),
            options: options.iter().map(|option| option.id().to_owned()).collect(),
        });
    }
    options.iter().map(|option| Ok((option.id().to_owned(), value_of(option, asked.get(option.id()))?))).collect()
}

/// What a whole configuration adds to the price of one cycle.
///
/// # Errors
/// When the sum is too large.
pub(super) fn price(
    options: &[ServiceOption],
    configuration: &Configuration,
    currency: Currency,
) -> Result<Money, MoneyError> {
    options.iter().try_fold(Money::zero(currency), |sum, option| {
        let value = configuration.get(option.id());
        let price = match option.kind() {
            OptionKind::Number { step, included, price, .. } => {
                let steps = number(value).unwrap_or(*included).saturating_sub(*included) / (*step).max(1);
                priced(price, currency).checked_mul(steps)?
            }
            OptionKind::Choice { choices, .. } => {
                chosen(choices, value).map_or_else(|| Money::zero(currency), |choice| choice.price(currency))
            }
        };
        sum.checked_add(price)
    })
}

/// The text by which two values differ if and only if they are different: for hashing.
pub(super) fn canonical(value: &Value) -> String {
    value.to_string()
}

fn value_of(option: &ServiceOption, asked: Option<&Value>) -> Result<Value, ConfigurationError> {
    let refuse = |allowed: String| ConfigurationError::Value {
        option: option.id().to_owned(),
        found: asked.map_or_else(String::new, |value| shown(&value.to_string())),
        allowed,
    };
    match option.kind() {
        OptionKind::Number { minimum, maximum, step, included, .. } => {
            let fits = |number: &u32| {
                (minimum..=maximum).contains(&number) && (number - minimum).is_multiple_of((*step).max(1))
            };
            match asked {
                None => Ok(Value::from(*included)),
                Some(_) => number(asked)
                    .filter(fits)
                    .map(Value::from)
                    .ok_or_else(|| refuse(format!("a whole number from {minimum} to {maximum}, in steps of {step}"))),
            }
        }
        OptionKind::Choice { choices, default } => match asked {
            None => Ok(Value::from(default.as_str())),
            Some(_) => chosen(choices, asked).map(|choice| Value::from(choice.id())).ok_or_else(|| {
                let ids: Vec<&str> = choices.iter().map(OptionChoice::id).collect();
                refuse(format!("one of {}", ids.join(", ")))
            }),
        },
    }
}

fn number(value: Option<&Value>) -> Option<u32> {
    u32::try_from(value?.as_u64()?).ok()
}

fn chosen<'a>(choices: &'a [OptionChoice], value: Option<&Value>) -> Option<&'a OptionChoice> {
    let id = value?.as_str()?;
    choices.iter().find(|choice| choice.id() == id)
}

fn shown(text: &str) -> String {
    text.chars().take(LONGEST_SHOWN).collect()
}

#[cfg(test)]
mod tests;
