//! Money as an integer of minor units. Knows no currency but its two decimals.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of money in minor units (sen), at most sixteen digits before the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(u64);

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not digits, a point and decimals.
    #[error("not an amount with two decimals, such as 10000.00")]
    Form,
    /// More than sixteen digits before the point.
    #[error("more than 16 digits before the point")]
    TooLarge,
}

const MAX_WHOLE_DIGITS: usize = 16;

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// `9999999999999999.99`. Source: seed 002, `String(16,2)`.
    pub const MAX: Self = Self(999_999_999_999_999_999);

    /// From minor units; none above [`Amount::MAX`].
    pub const fn from_minor(minor: u64) -> Option<Self> {
        if minor <= Self::MAX.0 { Some(Self(minor)) } else { None }
    }

    /// The minor units.
    pub const fn minor(self) -> u64 {
        self.0
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum; none above [`Amount::MAX`].
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(minor) => Self::from_minor(minor),
            None => None,
        }
    }

    /// Reads the form we write and demand of producers: exactly two decimals, no sign, no leading zeros, `0.50`.
    ///
    /// # Errors
    /// [`AmountError::Form`] for any other form, [`AmountError::TooLarge`] beyond sixteen digits.
    pub fn parse_strict(text: &str) -> Result<Self, AmountError> {
        let (whole, decimals) = text.split_once('.').ok_or(AmountError::Form)?;
        if decimals.len() != 2 {
            return Err(AmountError::Form);
        }
        from_parts(whole, decimals)
    }

    /// Reads the forms seen in providers' answers: `0`, `10000`, `10000.0`, `10000.00`; more decimals only if zero.
    /// Source: Finpay topup-status and Midtrans notification samples.
    ///
    /// # Errors
    /// [`AmountError::Form`] for any other form, [`AmountError::TooLarge`] beyond sixteen digits.
    pub fn parse_lenient(text: &str) -> Result<Self, AmountError> {
        match text.split_once('.') {
            None => from_parts(text, ""),
            Some((_, "")) => Err(AmountError::Form),
            Some((whole, decimals)) => from_parts(whole, decimals),
        }
    }
}

fn from_parts(whole: &str, decimals: &str) -> Result<Amount, AmountError> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || (whole.len() > 1 && whole.starts_with('0')) {
        return Err(AmountError::Form);
    }
    if whole.len() > MAX_WHOLE_DIGITS {
        return Err(AmountError::TooLarge);
    }
    let mut sen = decimals.bytes().chain(*b"00");
    let (tenths, hundredths) = (sen.next().unwrap_or(b'0'), sen.next().unwrap_or(b'0'));
    if decimals.bytes().skip(2).any(|byte| byte != b'0') {
        return Err(AmountError::Form);
    }
    // Eighteen digits at most, so this cannot overflow a u64.
    let minor = whole.bytes().chain([tenths, hundredths]).fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
    Ok(Amount(minor))
}

/// The longest amount: a `u64` of minor units has 20 digits, and there is a point.
const SPELLED_MAX: usize = 21;

impl Amount {
    /// Written from its end into `buffer`: several are written for each job, and a formatter takes many times as long.
    fn spell<'a>(&self, buffer: &'a mut [u8; SPELLED_MAX]) -> &'a str {
        let mut rest = self.0;
        let mut at = SPELLED_MAX;
        while at > SPELLED_MAX - 4 || rest > 0 {
            at -= 1;
            if at == SPELLED_MAX - 3 {
                buffer[at] = b'.';
                continue;
            }
            buffer[at] = b"0123456789"[usize::from((rest % 10) as u8)];
            rest /= 10;
        }
        std::str::from_utf8(&buffer[at..]).unwrap_or_default()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spell(&mut [0; SPELLED_MAX]))
    }
}

impl std::str::FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        Self::parse_strict(text)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.spell(&mut [0; SPELLED_MAX]))
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strict;
        impl de::Visitor<'_> for Strict {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount as a string with two decimals, such as \"10000.00\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                Amount::parse_strict(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Strict)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strict(text: &str) -> Result<u64, AmountError> {
        Amount::parse_strict(text).map(Amount::minor)
    }

    fn lenient(text: &str) -> Result<u64, AmountError> {
        Amount::parse_lenient(text).map(Amount::minor)
    }

    #[test]
    fn two_decimals_and_nothing_else_are_read_strictly() {
        assert_eq!(strict("10000.00"), Ok(1_000_000));
        assert_eq!(strict("0.50"), Ok(50));
        assert_eq!(strict("0.00"), Ok(0));
        assert_eq!(strict("9999999999999999.99"), Ok(Amount::MAX.minor()));
        assert_eq!(strict("10000000000000000.00"), Err(AmountError::TooLarge));
        for text in [
            "",
            ".",
            ".00",
            "0",
            "10000",
            "10000.",
            "10000.0",
            "10000.000",
            "00.00",
            "010.00",
            "-1.00",
            "+1.00",
            "1,000.00",
            "1e4.00",
            " 1.00",
            "1.00 ",
            "1.-1",
            "1.0x",
            "١.٠٠",
            "1.é",
            "1.00.00",
            "NaN",
            "0x1.00",
        ] {
            assert_eq!(strict(text), Err(AmountError::Form), "{text:?}");
        }
    }

    #[test]
    fn the_spellings_of_answers_are_read_leniently() {
        for text in ["10000", "10000.0", "10000.00", "10000.0000"] {
            assert_eq!(lenient(text), Ok(1_000_000), "{text}");
        }
        assert_eq!(lenient("0"), Ok(0));
        assert_eq!(lenient("0.5"), Ok(50));
        assert_eq!(lenient("1.25"), Ok(125));
        assert_eq!(lenient("12345678901234567"), Err(AmountError::TooLarge));
        for text in ["", ".", "1.", ".5", "1.001", "00", "-0", "1e4", "1E4", "1_000", " 1", "1 ", "1.0.0"] {
            assert_eq!(lenient(text), Err(AmountError::Form), "{text:?}");
        }
    }

    #[test]
    fn it_goes_over_the_wire_as_a_string_only() {
        let amount = Amount::parse_strict("10000.00").unwrap();
        assert_eq!(serde_json::to_string(&amount).unwrap(), "\"10000.00\"");
        assert_eq!(serde_json::from_str::<Amount>("\"10000.00\"").unwrap(), amount);
        for text in ["10000", "10000.00", "\"10000\"", "null"] {
            assert!(serde_json::from_str::<Amount>(text).is_err(), "{text}");
        }
        let error = serde_json::from_str::<Amount>("10000").unwrap_err().to_string();
        assert!(error.contains("a string with two decimals"), "{error}");
    }

    #[test]
    fn only_nothing_is_nothing_and_a_text_is_read_strictly_however_it_is_read() {
        let sen = Amount::from_minor(1).unwrap();
        assert!(Amount::ZERO.is_zero() && !sen.is_zero() && !Amount::MAX.is_zero());
        assert_eq!("0.01".parse(), Ok(sen));
        assert_eq!("0.1".parse::<Amount>(), Err(AmountError::Form));
    }

    #[test]
    fn sums_stay_below_the_largest() {
        let sen = Amount::from_minor(1).unwrap();
        assert_eq!(Amount::MAX.checked_add(Amount::ZERO), Some(Amount::MAX));
        assert_eq!(Amount::MAX.checked_add(sen), None);
        assert_eq!(Amount::from_minor(Amount::MAX.minor() + 1), None);
        assert_eq!(Amount::from_minor(u64::MAX), None);
    }

    /// It is enough that it came back.
    fn returns<T>(_: T) {}

    proptest! {
        #[test]
        fn what_is_written_reads_back(minor in 0..=Amount::MAX.minor()) {
            let amount = Amount::from_minor(minor).unwrap();
            let text = amount.to_string();
            prop_assert_eq!(Amount::parse_strict(&text), Ok(amount));
            prop_assert_eq!(Amount::parse_lenient(&text), Ok(amount));
            prop_assert_eq!(Amount::parse_lenient(&format!("{text}000")), Ok(amount));
        }

        #[test]
        fn what_is_read_strictly_is_written_the_same(text in "[0-9.+-]{0,20}") {
            if let Ok(amount) = Amount::parse_strict(&text) {
                prop_assert_eq!(amount.to_string(), text);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            returns(Amount::parse_strict(&text));
            returns(Amount::parse_lenient(&text));
        }
    }
}
