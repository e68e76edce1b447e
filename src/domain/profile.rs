//! Who a customer says that they are: checked field by field, so that all that is wrong is told at once.

use super::{
    address::Address,
    tax::{Country, VatId},
};

/// The longest name of a person or company, and the longest line of an address, in characters.
pub const MOST_OF_A_NAME: usize = 200;
/// The longest town or region.
pub const MOST_OF_A_PLACE: usize = 100;
/// The longest postal code.
pub const MOST_OF_A_POSTAL_CODE: usize = 20;
/// The longest spelling of a country, spaces included.
pub const MOST_OF_A_COUNTRY: usize = 10;
/// The longest VAT id, spaces and points included.
pub const MOST_OF_A_VAT_ID: usize = 40;

/// What a customer sent: nothing of it is known to be right. What is not given, or blank, is nothing.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The person.
    pub name: Option<String>,
    /// On whose behalf they buy.
    pub company: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// Where they are.
    pub address: Option<AddressDraft>,
    /// By which their company is known to the tax office.
    pub vat_id: Option<String>,
}

/// The address that a customer sent.
#[derive(Clone, Debug, Default)]
pub struct AddressDraft {
    /// Street and number.
    pub line1: Option<String>,
    /// Floor, building, care of.
    pub line2: Option<String>,
    /// The town.
    pub city: Option<String>,
    /// Where there are postal codes.
    pub postal_code: Option<String>,
    /// State, province or county.
    pub region: Option<String>,
}

/// Who a customer is, as far as they have said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The person.
    pub name: Option<String>,
    /// On whose behalf they buy.
    pub company: Option<String>,
    /// Where their tax is due.
    pub country: Option<Country>,
    /// Where they are.
    pub address: Option<Address>,
    /// Of the same country.
    pub vat_id: Option<VatId>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Its name in JSON: `address.city`.
    pub field: &'static str,
    /// What to do, as a sentence.
    pub detail: String,
}

/// Checks what a customer sent.
///
/// # Errors
/// Everything that is wrong with it, in the order of the fields.
pub fn check(draft: &Draft) -> Result<Details, Vec<FieldError>> {
    let mut reader = Reader { errors: Vec::new() };
    let name = reader.line("name", draft.name.as_deref(), MOST_OF_A_NAME);
    let company = reader.line("company", draft.company.as_deref(), MOST_OF_A_NAME);
    let country = reader.country(draft.country.as_deref());
    let address = draft.address.as_ref().and_then(|address| reader.address(address, country));
    let vat_id = reader.vat_id(draft.vat_id.as_deref(), country);
    if reader.errors.is_empty() {
        return Ok(Details { name, company, country, address, vat_id });
    }
    Err(reader.errors)
}

struct Reader {
    errors: Vec<FieldError>,
}

impl Reader {
    fn refuse(&mut self, field: &'static str, detail: impl Into<String>) {
        self.errors.push(FieldError { field, detail: detail.into() });
    }

    fn is_refused(&self, field: &str) -> bool {
        self.errors.iter().any(|error| error.field == field)
    }

    /// A text of one line, without the spaces around it; nothing when it is blank.
    fn line(&mut self, field: &'static str, text: Option<&str>, most: usize) -> Option<String> {
        let text = text?;
        // Before anything is trimmed: a line break at the end is no space that somebody typed.
        if text.contains(is_unprintable) {
            self.refuse(field, "Send one line of text, without line breaks, NULs and other control characters.");
            return None;
        }
        if text.chars().count() > most {
            self.refuse(field, format!("Send at most {most} characters."));
            return None;
        }
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn country(&mut self, text: Option<&str>) -> Option<Country> {
        let text = self.line("country", text, MOST_OF_A_COUNTRY)?;
        let country = text.parse::<Country>().ok().filter(|country| country.name().is_some());
        if country.is_none() {
            let detail = "Send the two letters by which ISO 3166-1 names the country, such as DE. The United Kingdom's \
                          are GB, those of Greece GR.";
            self.refuse("country", detail);
        }
        country
    }

    fn address(&mut self, address: &AddressDraft, country: Option<Country>) -> Option<Address> {
        let line1 = self.line("address.line1", address.line1.as_deref(), MOST_OF_A_NAME);
        let line2 = self.line("address.line2", address.line2.as_deref(), MOST_OF_A_NAME);
        let city = self.line("address.city", address.city.as_deref(), MOST_OF_A_PLACE);
        let postal_code = self.line("address.postal_code", address.postal_code.as_deref(), MOST_OF_A_POSTAL_CODE);
        let region = self.line("address.region", address.region.as_deref(), MOST_OF_A_PLACE);
        for (field, given) in [("address.line1", line1.is_some()), ("address.city", city.is_some())] {
            if !given && !self.is_refused(field) {
                self.refuse(field, "An address needs this; leave `address` out if you want to give none.");
            }
        }
        if country.is_none() && !self.is_refused("country") {
            self.refuse("country", "Say which country the address is in.");
        }
        Some(Address { line1: line1?, line2, city: city?, postal_code, region })
    }

    fn vat_id(&mut self, text: Option<&str>, country: Option<Country>) -> Option<VatId> {
        let text = self.line("vat_id", text, MOST_OF_A_VAT_ID)?;
        let Ok(vat_id) = text.parse::<VatId>() else {
            let detail = "This is not a VAT id of the European Union, such as DE123456789: check it, or leave it out. \
                          Numbers of other countries change no tax here.";
            self.refuse("vat_id", detail);
            return None;
        };
        match country {
            Some(country) if country != vat_id.country() => {
                let (of_id, given) = (vat_id.country(), country);
                self.refuse("vat_id", format!("This number is from {of_id}, but your country is {given}."));
                None
            }
            None if !self.is_refused("country") => {
                self.refuse("country", "A VAT id needs the country that it is from.");
                None
            }
            _ => Some(vat_id),
        }
    }
}

/// Control characters, separators of lines and paragraphs, and changes of the writing direction: what would let one field
/// disguise what follows it on an invoice or in a mail.
fn is_unprintable(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn full() -> Draft {
        Draft {
            name: text(" Ada Lovelace "),
            company: text("Analytical Engines GmbH"),
            country: text("de"),
            address: Some(AddressDraft {
                line1: text("Am Hafen 1"),
                line2: text(" "),
                city: text("Hamburg"),
                postal_code: text("20457"),
                region: None,
            }),
            vat_id: text("DE 123.456.789"),
        }
    }

    /// The fields that are refused, each with the beginning of the reason.
    fn refused(draft: &Draft) -> Vec<(&'static str, String)> {
        let errors = check(draft).unwrap_err();
        errors.into_iter().map(|error| (error.field, error.detail)).collect()
    }

    fn fields(draft: &Draft) -> Vec<&'static str> {
        refused(draft).into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn what_is_right_is_kept_in_one_spelling() {
        let details = check(&full()).unwrap();

        assert_eq!(details.name.as_deref(), Some("Ada Lovelace"));
        assert_eq!(details.country.unwrap().to_string(), "DE");
        assert_eq!(details.vat_id.unwrap().as_str(), "DE123456789");
        let address = details.address.unwrap();
        assert_eq!((address.line2, address.city.as_str()), (None, "Hamburg"));
    }

    #[test]
    fn nothing_has_to_be_said() {
        let blank = Draft { name: text(""), company: text("  "), country: text(" "), vat_id: text(""), address: None };

        assert_eq!(check(&Draft::default()), Ok(Details::default()));
        assert_eq!(check(&blank), Ok(Details::default()));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let draft = Draft {
            name: Some("x".repeat(MOST_OF_A_NAME + 1)),
            company: text("Evil\u{0} Ltd"),
            country: text("XX"),
            address: Some(AddressDraft { postal_code: Some("1".repeat(21)), ..AddressDraft::default() }),
            vat_id: text("GB123456789"),
        };

        assert_eq!(
            fields(&draft),
            ["name", "company", "country", "address.postal_code", "address.line1", "address.city", "vat_id"]
        );
        assert!(refused(&draft).iter().all(|(_, detail)| detail.ends_with('.')));
    }

    #[test]
    fn no_field_takes_what_cannot_be_printed_on_one_line() {
        for letter in ['\0', '\n', '\r', '\t', '\u{7f}', '\u{85}', '\u{2028}', '\u{202e}', '\u{2066}'] {
            for bad in [format!("a{letter}b"), format!("a{letter}"), letter.to_string()] {
                let some = || Some(bad.clone());
                let address =
                    AddressDraft { line1: some(), line2: some(), city: some(), postal_code: some(), region: some() };
                let draft =
                    Draft { name: some(), company: some(), country: some(), address: Some(address), vat_id: some() };

                assert_eq!(fields(&draft).len(), 9, "{letter:?}");
            }
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let most = "ß".repeat(MOST_OF_A_NAME);

        assert!(check(&Draft { name: Some(most.clone()), ..Draft::default() }).is_ok());
        assert_eq!(fields(&Draft { name: Some(most + "ß"), ..Draft::default() }), ["name"]);
    }

    #[test]
    fn a_vat_id_is_of_the_country_that_is_given() {
        let draft = |country: Option<&str>, vat_id: &str| Draft {
            country: country.map(str::to_owned),
            vat_id: text(vat_id),
            ..Draft::default()
        };

        assert!(check(&draft(Some("GR"), "EL123456789")).is_ok());
        assert_eq!(fields(&draft(Some("FR"), "DE123456789")), ["vat_id"]);
        assert_eq!(fields(&draft(None, "DE123456789")), ["country"]);
        assert_eq!(fields(&draft(Some("DE"), "DE12345678")), ["vat_id"]);
    }

    #[test]
    fn an_address_is_whole_or_not_there() {
        let draft = |country: Option<&str>, city: Option<&str>| Draft {
            country: country.map(str::to_owned),
            address: Some(AddressDraft {
                line1: text("Weg 1"),
                city: city.map(str::to_owned),
                ..AddressDraft::default()
            }),
            ..Draft::default()
        };

        assert!(check(&draft(Some("DE"), Some("Berlin"))).is_ok());
        assert_eq!(fields(&draft(Some("DE"), None)), ["address.city"]);
        assert_eq!(fields(&draft(None, Some("Berlin"))), ["country"]);
    }
}
