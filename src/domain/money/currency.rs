//! The currencies that Berth sells in, as Stripe counts them.

use std::{fmt, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Money, MoneyError};

macro_rules! currencies {
    ($($name:ident = $code:literal, exponent $exponent:literal, scale $scale:literal, minimum $minimum:literal;)*) => {
        /// A currency that Berth sells in, named by its ISO 4217 code.
        ///
        /// An allow-list of what Stripe charges without surprises. Left out on purpose: UGX (Stripe's own page calls it both
        /// zero-decimal and ×100), the three-decimal BHD, JOD, KWD, OMR and TND, those paid out in whole units only (HUF, TWD),
        /// those for which Stripe publishes no minimum, and those of which eight digits of minor units are too few (ARS, COP, IDR).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "a variant is its ISO code")]
        pub enum Currency { $($name,)* }

        impl Currency {
            /// Every currency of the allow-list, by code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The ISO 4217 code in upper case.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// How many decimals Stripe's minor units have: `4.99 USD` is 499, `500 JPY` is 500, `500 ISK` is 50000.
            ///
            /// Stripe's table, not ISO 4217's.
            #[must_use]
            pub const fn exponent(self) -> u32 {
                match self { $(Self::$name => $exponent,)* }
            }

            /// How many decimals an amount is held and shown with; never more than the exponent.
            #[must_use]
            pub const fn scale(self) -> u32 {
                match self { $(Self::$name => $scale,)* }
            }

            const fn minimum_in_shown_units(self) -> i64 {
                match self { $(Self::$name => $minimum,)* }
            }
        }
    };
}

// The minimum is in units of the scale (cents for USD, yen for JPY), from docs.stripe.com/currencies, read in October 2026.
// It holds for the currency of settlement after conversion, so it is a first filter: Stripe may still answer `amount_too_small`.
currencies! {
    Aed = "AED", exponent 2, scale 2, minimum 200;
    Aud = "AUD", exponent 2, scale 2, minimum 50;
    Brl = "BRL", exponent 2, scale 2, minimum 50;
    Cad = "CAD", exponent 2, scale 2, minimum 50;
    Chf = "CHF", exponent 2, scale 2, minimum 50;
    Czk = "CZK", exponent 2, scale 2, minimum 1500;
    Dkk = "DKK", exponent 2, scale 2, minimum 250;
    Eur = "EUR", exponent 2, scale 2, minimum 50;
    Gbp = "GBP", exponent 2, scale 2, minimum 30;
    Hkd = "HKD", exponent 2, scale 2, minimum 400;
    Ils = "ILS", exponent 2, scale 2, minimum 50;
    Inr = "INR", exponent 2, scale 2, minimum 50;
    // Stripe publishes no minimum for ISK and takes only multiples of 100 minor units: the smallest charge is one króna.
    Isk = "ISK", exponent 2, scale 0, minimum 1;
    Jpy = "JPY", exponent 0, scale 0, minimum 50;
    Krw = "KRW", exponent 0, scale 0, minimum 50;
    Mxn = "MXN", exponent 2, scale 2, minimum 1000;
    Myr = "MYR", exponent 2, scale 2, minimum 200;
    Nok = "NOK", exponent 2, scale 2, minimum 300;
    Nzd = "NZD", exponent 2, scale 2, minimum 50;
    Php = "PHP", exponent 2, scale 2, minimum 50;
    Pln = "PLN", exponent 2, scale 2, minimum 200;
    Ron = "RON", exponent 2, scale 2, minimum 200;
    Sek = "SEK", exponent 2, scale 2, minimum 300;
    Sgd = "SGD", exponent 2, scale 2, minimum 50;
    Thb = "THB", exponent 2, scale 2, minimum 1000;
    Usd = "USD", exponent 2, scale 2, minimum 50;
    Zar = "ZAR", exponent 2, scale 2, minimum 50;
}

/// The most minor units that Stripe takes in one charge: eight digits.
const MAXIMUM_CHARGE_MINOR: i64 = 99_999_999;

impl Currency {
    /// The smallest amount above zero that Stripe charges.
    #[must_use]
    pub fn minimum_charge(self) -> Money {
        Money { amount: Decimal::new(self.minimum_in_shown_units(), self.scale()), currency: self }
    }

    /// The largest amount that Stripe charges at once.
    #[must_use]
    pub fn maximum_charge(self) -> Money {
        let shown = MAXIMUM_CHARGE_MINOR / self.minor_units_in_a_shown_unit();
        Money { amount: Decimal::new(shown, self.scale()), currency: self }
    }

    /// How many of Stripe's minor units make one unit of the last digit shown: 100 for ISK, 1 for the others.
    pub(super) const fn minor_units_in_a_shown_unit(self) -> i64 {
        10_i64.pow(self.exponent() - self.scale())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        Self::ALL
            .iter()
            .copied()
            .find(|currency| currency.code().eq_ignore_ascii_case(text))
            .ok_or_else(|| MoneyError::UnknownCurrency(text.to_owned()))
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
