//! Where a provider reads a response code differently from the standard.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Class, ResponseCode, Service};

/// A response code read differently from the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeOverride {
    /// Which codes.
    pub code: CodePattern,
    /// What they mean.
    pub class: Class,
    /// As the answer of which service, where the digits of the code do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
}

impl CodeOverride {
    /// Whether it says something of this code as the answer of this service.
    pub fn applies(&self, service: Service, code: ResponseCode) -> bool {
        let asked = self.service.map_or(code.service() == service.code(), |named| named == service);
        asked && self.code.matches(code)
    }
}

/// Seven digits, some of which may be `x` for any.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodePattern([Option<u8>; 7]);

/// A text that is not seven digits or `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a pattern of seven digits, with x for any digit")]
pub struct PatternError;

impl CodePattern {
    /// Whether the code fits.
    pub fn matches(self, code: ResponseCode) -> bool {
        self.0.into_iter().zip(code.digits()).all(|(wanted, digit)| wanted.is_none_or(|wanted| wanted == digit))
    }
}

impl FromStr for CodePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let signs = <[u8; 7]>::try_from(text.as_bytes()).ok().ok_or(PatternError)?;
        if signs.iter().all(|sign| sign.is_ascii_digit() || *sign == b'x') {
            Ok(Self(signs.map(|sign| (sign != b'x').then_some(sign))))
        } else {
            Err(PatternError)
        }
    }
}

impl TryFrom<String> for CodePattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<CodePattern> for String {
    fn from(pattern: CodePattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for CodePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|sign| write!(f, "{}", char::from(sign.unwrap_or(b'x'))))
    }
}

impl fmt::Debug for CodePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodePattern({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_seven_digits_or_x() {
        let pattern: CodePattern = "404xx18".parse().unwrap();
        assert_eq!(pattern.to_string(), "404xx18");
        assert!(pattern.matches("4043818".parse().unwrap()));
        assert!(pattern.matches("4043718".parse().unwrap()));
        assert!(!pattern.matches("4043811".parse().unwrap()));
        for text in ["", "404", "404XX18", "404xx180", "404xx1٨"] {
            assert_eq!(text.parse::<CodePattern>(), Err(PatternError), "{text:?}");
        }
    }
}
