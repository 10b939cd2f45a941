//! The two numbers of a request: the producer's, which never changes, and ours, which always does.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The producer's number of a top-up and its idempotency key: 1 to 64 printable ASCII characters without spaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartnerReferenceNo(String);

/// The number of one request (`X-EXTERNAL-ID`): digits only, at most 32, never reused.
/// Source: the narrowest of Finpay (numeric, 32) and the standard (36).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExternalId(String);

/// Why a text is not such a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing, or more than 64 or 32 characters.
    #[error("must have 1 to {max} characters")]
    Length {
        /// The most it may have.
        max: usize,
    },
    /// A space, a control character or something beyond ASCII in a [`PartnerReferenceNo`].
    #[error("must be printable ASCII without spaces")]
    NotPrintable,
    /// Something other than a digit in an [`ExternalId`].
    #[error("must be digits only")]
    NotDigits,
}

impl PartnerReferenceNo {
    /// The most characters it may have. Source: seeds 000 to 003.
    pub const MAX_LEN: usize = 64;

    /// Reads it.
    ///
    /// # Errors
    /// [`IdError::Length`] or [`IdError::NotPrintable`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Self::try_from(text.to_owned())
    }
}

impl ExternalId {
    /// The most digits it may have.
    pub const MAX_LEN: usize = 32;

    /// A new number: 13 digits of time in milliseconds, then 19 digits of `random`.
    pub fn new(at: Timestamp, random: u64) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0) % 10_u64.pow(13);
        let random = random % 10_u64.pow(19);
        Self(format!("{millis:013}{random:019}"))
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`IdError::Length`] or [`IdError::NotDigits`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Self::try_from(text.to_owned())
    }
}

fn check_len(text: &str, max: usize) -> Result<(), IdError> {
    if (1..=max).contains(&text.len()) { Ok(()) } else { Err(IdError::Length { max }) }
}

impl TryFrom<String> for PartnerReferenceNo {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(IdError::NotPrintable);
        }
        check_len(&text, Self::MAX_LEN)?;
        Ok(Self(text))
    }
}

impl TryFrom<String> for ExternalId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(IdError::NotDigits);
        }
        check_len(&text, Self::MAX_LEN)?;
        Ok(Self(text))
    }
}

macro_rules! text_of {
    ($id:ty) => {
        impl $id {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.0
            }
        }

        impl TryFrom<&str> for $id {
            type Error = IdError;

            fn try_from(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl std::str::FromStr for $id {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_of!(PartnerReferenceNo);
text_of!(ExternalId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reference_is_printable_ascii_without_spaces() {
        for text in ["1", "A/B-1", "~!@#\"'\\", &"x".repeat(64)] {
            assert_eq!(PartnerReferenceNo::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(PartnerReferenceNo::parse(""), Err(IdError::Length { max: 64 }));
        assert_eq!(PartnerReferenceNo::parse(&"x".repeat(65)), Err(IdError::Length { max: 64 }));
        for text in ["a b", "a\n", "\0", "\u{7f}", "é", "a\u{200b}"] {
            assert_eq!(PartnerReferenceNo::parse(text), Err(IdError::NotPrintable), "{text:?}");
        }
        assert!(serde_json::from_str::<PartnerReferenceNo>("\"a b\"").is_err());
    }

    #[test]
    fn an_external_id_is_32_digits_of_time_and_chance() {
        let at = Timestamp::from_millis(1_714_533_630_007);
        assert_eq!(ExternalId::new(at, 42).as_str(), "17145336300070000000000000000042");
        assert_eq!(ExternalId::new(at, u64::MAX).as_str(), "17145336300078446744073709551615");
        assert_eq!(ExternalId::new(Timestamp::from_millis(-1), 0).as_str(), "0".repeat(32));
    }

    #[test]
    fn an_external_id_is_digits_only() {
        assert!(ExternalId::parse("0123456789").is_ok());
        assert_eq!(ExternalId::parse(""), Err(IdError::Length { max: 32 }));
        assert_eq!(ExternalId::parse(&"1".repeat(33)), Err(IdError::Length { max: 32 }));
        assert_eq!(ExternalId::parse("12a"), Err(IdError::NotDigits));
        assert_eq!(ExternalId::parse("١٢"), Err(IdError::NotDigits));
    }

    proptest! {
        #[test]
        fn every_new_external_id_is_one(millis in any::<i64>(), random in any::<u64>()) {
            let id = ExternalId::new(Timestamp::from_millis(millis), random);
            prop_assert_eq!(id.as_str().len(), 32);
            prop_assert_eq!(ExternalId::parse(id.as_str()), Ok(id));
        }
    }
}
