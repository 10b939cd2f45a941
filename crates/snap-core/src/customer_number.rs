//! The customer's phone number: one form inside, another one per provider, a masked one for everybody else.

use std::fmt;

/// An Indonesian mobile number, kept as `628…`. Shows itself masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerNumber(String);

/// A text that is no Indonesian mobile number. Does not carry the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Indonesian mobile number: 08…, 628… or +628…, 9 to 15 digits with the country code")]
pub struct CustomerNumberError;

/// How a provider wants the number written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhoneForm {
    /// `08…`. Source: seeds 000 and 003.
    Local,
    /// `628…`. Source: seed 002.
    International,
}

const COUNTRY: &str = "62";
const SHOWN_AT_EACH_END: usize = 4;

impl CustomerNumber {
    /// Reads `08…`, `628…` or `+628…`, ASCII digits only, no separators.
    ///
    /// # Errors
    /// [`CustomerNumberError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, CustomerNumberError> {
        let national = ["+62", COUNTRY, "0"].iter().find_map(|prefix| text.strip_prefix(prefix));
        let national = national.ok_or(CustomerNumberError)?;
        let canonical_len = COUNTRY.len() + national.len();
        let is_number = national.starts_with('8') && national.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && (9..=15).contains(&canonical_len) {
            Ok(Self(format!("{COUNTRY}{national}")))
        } else {
            Err(CustomerNumberError)
        }
    }

    /// The full number as `628…`, for the wire and the store, not for logs.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The full number as a provider wants it.
    pub fn render(&self, form: PhoneForm) -> String {
        match form {
            PhoneForm::International => self.0.clone(),
            PhoneForm::Local => format!("0{}", self.0.strip_prefix(COUNTRY).unwrap_or_default()),
        }
    }

    /// The first and last four digits, the rest as `*`.
    pub fn masked(&self) -> String {
        let hidden = SHOWN_AT_EACH_END..self.0.len().saturating_sub(SHOWN_AT_EACH_END);
        self.0.chars().enumerate().map(|(at, digit)| if hidden.contains(&at) { '*' } else { digit }).collect()
    }
}

impl std::str::FromStr for CustomerNumber {
    type Err = CustomerNumberError;

    fn from_str(text: &str) -> Result<Self, CustomerNumberError> {
        Self::parse(text)
    }
}

impl fmt::Display for CustomerNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for CustomerNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomerNumber({})", self.masked())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_spellings_are_one_number() {
        for text in ["081977817902", "6281977817902", "+6281977817902"] {
            let number = CustomerNumber::parse(text).unwrap();
            assert_eq!(number.expose(), "6281977817902");
            assert_eq!(number.render(PhoneForm::Local), "081977817902");
            assert_eq!(number.render(PhoneForm::International), "6281977817902");
        }
    }

    #[test]
    fn what_is_no_indonesian_mobile_number_is_refused() {
        for text in [
            "",
            "0",
            "08",
            "62",
            "+62",
            "8",
            "81977817902",
            "021123456789",
            "62211234567",
            "620819778",
            "+081977817902",
            "006281977817902",
            "0819 7781 7902",
            "0819-7781-7902",
            "0819778179O2",
            "08١٩٧٧٨١",
            "0８1977817902",
            "6581977817902",
            " 081977817902",
            "081977817902\n",
            "0812345",
            "08123456789012345",
        ] {
            assert_eq!(CustomerNumber::parse(text), Err(CustomerNumberError), "{text:?}");
        }
        assert!(CustomerNumber::parse("08123456").is_ok(), "nine digits with the country code");
        assert!(CustomerNumber::parse("08123456789012").is_ok(), "fifteen digits with the country code");
    }

    #[test]
    fn it_shows_itself_masked() {
        let number = CustomerNumber::parse("081977817902").unwrap();
        assert_eq!(number.to_string(), "6281*****7902");
        assert_eq!(format!("{number:?}"), "CustomerNumber(6281*****7902)");
    }

    /// It is enough that it came back.
    fn returns<T>(_: T) {}

    proptest! {
        #[test]
        fn every_spelling_of_a_number_reads_back(national in "8[0-9]{6,12}") {
            let number = CustomerNumber::parse(&format!("0{national}")).unwrap();
            for form in [PhoneForm::Local, PhoneForm::International] {
                prop_assert_eq!(&CustomerNumber::parse(&number.render(form)).unwrap(), &number);
            }
            prop_assert_eq!(&CustomerNumber::parse(&format!("+{}", number.expose())).unwrap(), &number);
        }

        #[test]
        fn the_middle_is_never_shown(national in "8[0-9]{6,12}") {
            let number = CustomerNumber::parse(&format!("0{national}")).unwrap();
            let (full, shown) = (number.expose(), number.to_string());
            prop_assert_eq!(shown.len(), full.len());
            prop_assert!(shown.bytes().skip(4).take(full.len() - 8).all(|byte| byte == b'*'));
            let debug = format!("{number:?}");
            prop_assert!(!debug.contains(full));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            returns(CustomerNumber::parse(&text));
        }
    }
}
