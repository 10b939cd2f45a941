//! SNAP's seven digits. What they mean is decided in `classify`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Seven digits: HTTP status, service, case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResponseCode {
    digits: [u8; 7],
}

/// A text that is not seven ASCII digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a response code of seven digits")]
pub struct ResponseCodeError;

impl ResponseCode {
    /// Reads any seven ASCII digits, also those outside the standard.
    ///
    /// # Errors
    /// [`ResponseCodeError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, ResponseCodeError> {
        let digits = <[u8; 7]>::try_from(text.as_bytes()).ok().ok_or(ResponseCodeError)?;
        if digits.iter().all(u8::is_ascii_digit) { Ok(Self { digits }) } else { Err(ResponseCodeError) }
    }

    /// The first three digits, 0 to 999.
    pub fn http_status(self) -> u16 {
        self.digits[..3].iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
    }

    /// Digits four and five, 0 to 99.
    pub fn service(self) -> u8 {
        (self.digits[3] - b'0') * 10 + (self.digits[4] - b'0')
    }

    /// The last two digits, 0 to 99.
    pub fn case(self) -> u8 {
        (self.digits[5] - b'0') * 10 + (self.digits[6] - b'0')
    }

    /// The seven digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits).unwrap_or_default()
    }

    pub(crate) const fn digits(self) -> [u8; 7] {
        self.digits
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseCode({self})")
    }
}

impl FromStr for ResponseCode {
    type Err = ResponseCodeError;

    fn from_str(text: &str) -> Result<Self, ResponseCodeError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ResponseCode {
    type Error = ResponseCodeError;

    fn try_from(text: String) -> Result<Self, ResponseCodeError> {
        Self::parse(&text)
    }
}

impl From<ResponseCode> for String {
    fn from(code: ResponseCode) -> Self {
        code.as_str().to_owned()
    }
}
