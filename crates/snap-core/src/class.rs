//! The eight things an answer can mean for the money, and their words.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

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
        Self::ALL.into_iter().find(|class| class.as_str() == word).ok_or(UnknownClass)
    }
}
