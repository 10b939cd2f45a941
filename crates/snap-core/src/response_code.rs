//! SNAP's seven digits and what they mean for the money. The rules are the matches in here, not the table.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Profile, Service};

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
        let digits = <[u8; 7]>::try_from(text.as_bytes())
            .ok()
            .ok_or(ResponseCodeError)?;
        if digits.iter().all(u8::is_ascii_digit) {
            Ok(Self { digits })
        } else {
            Err(ResponseCodeError)
        }
    }

    /// The first three digits, 0 to 999.
    pub fn http_status(self) -> u16 {
        self.digits[..3]
            .iter()
            .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
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

/// What an answer means for the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The credit is confirmed, or the question answered.
    Success,
    /// Accepted, not final: ask for the status.
    Pending,
    /// Refused before any money moved: send again later.
    RetrySafe,
    /// Refused at the door because of the token: refresh it once, send again.
    AuthRefresh,
    /// Money may have moved: ask for the status.
    Ambiguous,
    /// The provider knows this number already: ask for the status, assume nothing.
    Duplicate,
    /// Refused for this customer or amount.
    BusinessReject,
    /// Our request, credentials or contract are wrong.
    ConfigError,
}

/// A word that is no class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a class of response codes")]
pub struct UnknownClass;

impl Class {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::Pending,
        Self::RetrySafe,
        Self::AuthRefresh,
        Self::Ambiguous,
        Self::Duplicate,
        Self::BusinessReject,
        Self::ConfigError,
    ];

    /// The table's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Pending => "pending",
            Self::RetrySafe => "retry_safe",
            Self::AuthRefresh => "auth_refresh",
            Self::Ambiguous => "ambiguous",
            Self::Duplicate => "duplicate",
            Self::BusinessReject => "business_reject",
            Self::ConfigError => "config_error",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(word: &str) -> Result<Self, UnknownClass> {
        Self::ALL
            .into_iter()
            .find(|class| class.as_str() == word)
            .ok_or(UnknownClass)
    }
}

/// The class of a code that answered a call of `service`.
///
/// The profile's overrides win. A code of another service, or an unknown one, proves nothing. The answer of a status
/// inquiry is never success here, and never a refusal of the top-up: that is what
/// [`TransactionStatus::class`](crate::TransactionStatus::class) is for.
pub fn classify(profile: &Profile, service: Service, code: ResponseCode) -> Class {
    if let Some(class) = profile.class_override(service, code) {
        return class;
    }
    if code.service() != service.code() {
        return unknown(service);
    }
    let (http, case) = (code.http_status(), code.case());
    match service {
        Service::TopUp if (http, case) == (200, 0) && !profile.ok_is_final => Class::Pending,
        Service::TopUp => of_top_up(http, case),
        Service::AccountInquiry => of_inquiry(http, case),
        Service::TopUpStatus | Service::TransferStatus => of_status(http, case),
        Service::AccessToken => of_token(http, case),
    }
}

/// The class of a whole reply: as [`classify`], but a missing code, or one that disagrees with the HTTP status, proves
/// nothing.
pub fn classify_reply(
    profile: &Profile,
    service: Service,
    http_status: u16,
    code: Option<ResponseCode>,
) -> Class {
    match code {
        Some(code) if code.http_status() == http_status => classify(profile, service, code),
        _ => unknown(service),
    }
}

/// What is not understood is doubt where money moves, and asked again where none does.
const fn unknown(service: Service) -> Class {
    if service.moves_money() {
        Class::Ambiguous
    } else {
        Class::RetrySafe
    }
}

/// The standard's case codes as the answer of a call that moves money.
/// Source: `fixtures/response-codes.csv`, rows `standard,any`.
const fn of_top_up(http: u16, case: u8) -> Class {
    match (http, case) {
        (200, 0) => Class::Success,
        (202, 0) => Class::Pending,
        (400, 0..=2) => Class::ConfigError,
        (401, 1 | 3) => Class::AuthRefresh,
        (401, 0 | 2 | 4) => Class::ConfigError,
        (403, 4 | 6 | 14 | 20) => Class::RetrySafe,
        (403, 0 | 2 | 3 | 5 | 7..=9 | 15 | 17 | 18 | 23) => Class::BusinessReject,
        (403, 1 | 10..=13 | 19 | 21 | 22) => Class::ConfigError,
        (404, 9 | 11..=13 | 19) => Class::BusinessReject,
        (404, 2 | 3 | 5..=8 | 10 | 15..=17) => Class::ConfigError,
        (404, 14) | (409, 0 | 1) => Class::Duplicate,
        (405, 0 | 1) => Class::ConfigError,
        (429, 0) => Class::RetrySafe,
        // 403 16, 404 00/01/04/18, every 5xx, and whatever the standard does not list.
        _ => Class::Ambiguous,
    }
}

/// An inquiry moves nothing, so there is no doubt to settle: it is free to be asked again.
const fn of_inquiry(http: u16, case: u8) -> Class {
    match of_top_up(http, case) {
        Class::Ambiguous | Class::Duplicate => Class::RetrySafe,
        class => class,
    }
}

/// About the question, not about the top-up. Source: rows `standard,39`.
const fn of_status(http: u16, case: u8) -> Class {
    match (http, case) {
        // Answered; what became of the top-up stands in the body.
        (200, 0) => Class::Ambiguous,
        (404, 0 | 1 | 18) => Class::Ambiguous,
        _ => match of_top_up(http, case) {
            // A refusal of the question must never pass for a refusal of the top-up.
            Class::Ambiguous | Class::Duplicate | Class::BusinessReject | Class::Success => {
                Class::RetrySafe
            }
            class => class,
        },
    }
}

/// A token has no customer to refuse and no token to refresh. Source: rows `standard,73`.
const fn of_token(http: u16, case: u8) -> Class {
    match of_top_up(http, case) {
        Class::BusinessReject | Class::AuthRefresh => Class::ConfigError,
        Class::Ambiguous | Class::Duplicate => Class::RetrySafe,
        class => class,
    }
}
