//! Papers: what an invoice or a credit note shows a person, and the PDF of it.
//!
//! Nothing here asks for the time or draws lots: the same paper is the same file, byte for byte. The file is PDF/A-2a for
//! the archive and PDF/UA-1 for readers that read aloud; its typefaces come along.

mod content;
mod draw;
mod layout;
mod text;
mod typeface;
pub mod wording;

use std::collections::BTreeSet;

use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::domain::{
    invoice::TaxTotal,
    money::{Money, MoneyError},
};

/// All that a paper says. Texts are printed as they are; dates are those of the shop's time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paper {
    /// What it is.
    pub kind: Kind,
    /// Its own number.
    pub number: String,
    /// The order that it is about: `ord_…`.
    pub order: String,
    /// The day of its number.
    pub issued_on: Date,
    /// Who sells.
    pub seller: Party,
    /// Who buys.
    pub buyer: Party,
    /// What was sold, or what of it is taken back.
    pub lines: Vec<Line>,
    /// The codes of the coupons that the discount is from.
    pub coupons: Vec<String>,
    /// The tax by rate, in the order in which it is shown.
    pub taxes: Vec<TaxTotal>,
    /// Before discount and tax. `total = subtotal − discount + tax`.
    pub subtotal: Money,
    /// What is taken off.
    pub discount: Money,
    /// What is added.
    pub tax: Money,
    /// What is to be paid, or is given back.
    pub total: Money,
    /// How much of the total the customer's credit pays; of the same currency.
    pub credit: Money,
    /// How the rest is or was paid.
    pub payment: Payment,
    /// Sentences below, such as that of a reverse charge.
    pub notes: Vec<String>,
}

/// What a paper is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It asks for money, or says that it was paid.
    Invoice,
    /// It takes back an invoice, or a part of it. Its amounts are not negative.
    CreditNote {
        /// The number of the invoice.
        invoice_number: String,
        /// Why, in a sentence; empty is unsaid.
        reason: String,
    },
}

/// How a total is paid. On a credit note: how it is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payment {
    /// Nothing is said of it.
    Unsaid,
    /// It was paid.
    Paid {
        /// The day, where it is known.
        on: Option<Date>,
    },
    /// It is to be paid.
    Due {
        /// By when, where it is known.
        by: Option<Date>,
    },
}

/// Who sells or buys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// By which they are called, the first above all.
    pub names: Vec<String>,
    /// The address, a line each.
    pub lines: Vec<String>,
    /// As it is shown.
    pub vat_id: Option<String>,
    /// For mail.
    pub email: Option<String>,
}

/// One line. Amounts are at the currency's scale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What was sold.
    pub name: String,
    /// More about it, a paragraph each.
    pub details: Vec<String>,
    /// How many.
    pub quantity: u32,
    /// What one costs before discount and tax.
    pub unit_price: Decimal,
    /// What is taken off all of them.
    pub discount: Decimal,
    /// In per cent.
    pub tax_rate: Decimal,
    /// `quantity × unit_price − discount`.
    pub net: Decimal,
}

/// A PDF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdf {
    /// The file.
    pub bytes: Vec<u8>,
    /// The letters that the typefaces lack. The file shows a box for each, and keeps the letter for whoever copies it.
    pub missing: BTreeSet<char>,
}

/// Why there is no PDF. Neither depends on what the paper says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaperError {
    /// The built-in typefaces do not read as such.
    #[error("a built-in typeface cannot be read")]
    Typeface,
    /// What was drawn is no PDF for the archive.
    #[error("the PDF breaks a rule of PDF/A or PDF/UA: {0}")]
    Refused(String),
}

impl Paper {
    /// The paper as sheets of A4.
    ///
    /// # Errors
    /// When the program itself is at fault: see [`PaperError`].
    pub fn pdf(&self) -> Result<Pdf, PaperError> {
        let mut typesetter = text::Typesetter::new().map_err(|typeface::BadTypeface| PaperError::Typeface)?;
        let content = content::of(self, &mut typesetter);
        let foot = content::foot(self, &mut typesetter);
        let sheets = layout::sheets(&content);
        let bytes = draw::pdf(self, foot.as_ref(), &sheets, &mut typesetter)?;
        Ok(Pdf { bytes, missing: typesetter.into_typefaces().into_missing() })
    }

    /// What it is called: `Invoice INV-000042`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.kind.name(), self.number)
    }

    /// Its name as a file: `INV-000042.pdf`. What is no plain letter, digit or hyphen of the number is left out.
    #[must_use]
    pub fn file_name(&self) -> String {
        const LONGEST: usize = 64;
        let plain = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
        let number: String = self.number.chars().filter(plain).take(LONGEST).collect();
        let name = if number.is_empty() { self.kind.name().to_lowercase().replace(' ', "-") } else { number };
        format!("{name}.pdf")
    }

    /// What is left to pay beside the credit.
    ///
    /// # Errors
    /// When the credit is more than the total, or of another currency.
    pub fn rest(&self) -> Result<Money, MoneyError> {
        self.total.checked_sub(self.credit)
    }
}

impl Kind {
    /// The word above the paper.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Invoice => "Invoice",
            Self::CreditNote { .. } => "Credit note",
        }
    }
}

#[cfg(test)]
mod tests;
