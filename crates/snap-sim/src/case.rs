//! A SNAP case: HTTP status and case digits, without the service that answers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// HTTP status and case digits of a response code, written `403xx14`.
///
/// The service digits are filled in by the service that answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Case {
    http: u16,
    case: u8,
}

/// Why a text is no [`Case`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a case is written like 403xx14: HTTP status 200 to 599, xx, two digits")]
pub struct CaseError;

impl Case {
    /// The case with this HTTP status (200 to 599) and these case digits (0 to 99).
    ///
    /// # Panics
    /// When a number is out of range; meant for constants.
    #[must_use]
    pub const fn new(http: u16, case: u8) -> Self {
        assert!(http >= 200 && http <= 599 && case <= 99, "out of range");
        Self { http, case }
    }

    /// The HTTP status it is sent with.
    #[must_use]
    pub const fn http(self) -> u16 {
        self.http
    }

    /// The last two digits.
    #[must_use]
    pub const fn case(self) -> u8 {
        self.case
    }

    /// The seven digits when this service answers.
    #[must_use]
    pub fn code(self, service: u8) -> String {
        format!("{:03}{:02}{:02}", self.http, service, self.case)
    }

    /// The standard's message for it, without placeholders.
    ///
    /// Source: SNAP Developer Site, customer-top-up, case table.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match (self.http, self.case) {
            (200, 0) => "Successful",
            (202, 0) => "Request In Progress",
            (400, 0) => "Bad Request",
            (400, 1) => "Invalid Field Format",
            (400, 2) => "Invalid Mandatory Field",
            (401, 0) => "Unauthorized",
            (401, 1) => "Invalid Token (B2B)",
            (401, 3) => "Token Not Found (B2B)",
            (403, 1) => "Feature Not Allowed",
            (403, 2) => "Exceeds Transaction Amount Limit",
            (403, 3) => "Suspected Fraud",
            (403, 4) => "Activity Count Limit Exceeded",
            (403, 5) => "Do Not Honor",
            (403, 6) => "Feature Not Allowed At This Time",
            (403, 14) => "Insufficient Funds",
            (403, 15) => "Transaction Not Permitted",
            (403, 18) => "Inactive Card/Account/Customer",
            (403, 19) => "Merchant Blacklisted",
            (403, 20) => "Merchant Limit Exceed",
            (404, 0) => "Invalid Transaction Status",
            (404, 1) => "Transaction Not Found",
            (404, 8) => "Invalid Merchant",
            (404, 11) => "Invalid Customer. Not found",
            (404, 13) => "Invalid Amount",
            (404, 16) => "Partner Not Found",
            (404, 18) => "Inconsistent Request",
            (405, 0) => "Requested Function Is Not Supported",
            (409, 0) => "Conflict",
            (409, 1) => "Duplicate partnerReferenceNo",
            (422, 2) => "Merchant Not Allowed",
            (429, 0) => "Too Many Requests",
            (500, 0) => "General Error",
            (500, 1) => "Internal Server Error",
            (500, 2) => "External Server Error",
            (503, _) => "Service Unavailable",
            (504, 0) => "Timeout",
            _ => "Simulated answer",
        }
    }
}

impl FromStr for Case {
    type Err = CaseError;

    fn from_str(text: &str) -> Result<Self, CaseError> {
        let digits =
            |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u16>().ok()).flatten();
        if text.len() != 7 || !text.is_ascii() || &text[3..5] != "xx" {
            return Err(CaseError);
        }
        let http = digits(&text[..3]).ok_or(CaseError)?;
        let case = digits(&text[5..]).and_then(|case| u8::try_from(case).ok());
        match case {
            Some(case) if (200..=599).contains(&http) => Ok(Self { http, case }),
            _ => Err(CaseError),
        }
    }
}

impl TryFrom<String> for Case {
    type Error = CaseError;

    fn try_from(text: String) -> Result<Self, CaseError> {
        text.parse()
    }
}

impl From<Case> for String {
    fn from(case: Case) -> Self {
        case.to_string()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}xx{:02}", self.http, self.case)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_becomes_the_code_of_the_service_that_answers() {
        let case: Case = "403xx14".parse().unwrap();
        assert_eq!(case, Case::new(403, 14));
        assert_eq!(case.code(38), "4033814");
        assert_eq!(case.to_string(), "403xx14");
    }

    #[test]
    fn what_is_no_case_is_refused() {
        for text in ["", "4033814", "403xx1", "403xx144", "103xx00", "6003801", "+03xx14", "403yy14", "40éxx1"] {
            assert_eq!(text.parse::<Case>(), Err(CaseError), "{text}");
        }
    }
}
