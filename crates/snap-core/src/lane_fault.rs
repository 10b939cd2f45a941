//! Faults that are ours or the provider's, not the job's: they stop the lane, and the jobs wait.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{ResponseCode, Service};

/// Why a provider's lane is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneFault {
    /// 401 00, after one forced token refresh: signature, client, clock or IP allow-list.
    Unauthorized,
    /// 403 01: the provider has not opened this service for us.
    FeatureNotAllowed,
    /// 403 14: our deposit is used up.
    InsufficientFunds,
    /// 403 19: we are blacklisted.
    MerchantBlacklisted,
    /// 403 20: our limit is used up.
    MerchantLimit,
    /// 404 08: the provider does not know us as a merchant.
    InvalidMerchant,
    /// 404 16: the provider does not know our partner id.
    PartnerNotFound,
    /// The token service refuses us.
    TokenRefused,
    /// The provider cannot be reached.
    Unreachable,
    /// Several jobs in a row were refused as wrong requests: then it is not the jobs.
    RequestsRefused,
}

/// A word that is no lane fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cause of a paused lane")]
pub struct UnknownLaneFault;

impl LaneFault {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Unauthorized,
        Self::FeatureNotAllowed,
        Self::InsufficientFunds,
        Self::MerchantBlacklisted,
        Self::MerchantLimit,
        Self::InvalidMerchant,
        Self::PartnerNotFound,
        Self::TokenRefused,
        Self::Unreachable,
        Self::RequestsRefused,
    ];

    /// Its word in output and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::FeatureNotAllowed => "feature_not_allowed",
            Self::InsufficientFunds => "insufficient_funds",
            Self::MerchantBlacklisted => "merchant_blacklisted",
            Self::MerchantLimit => "merchant_limit",
            Self::InvalidMerchant => "invalid_merchant",
            Self::PartnerNotFound => "partner_not_found",
            Self::TokenRefused => "token_refused",
            Self::Unreachable => "unreachable",
            Self::RequestsRefused => "requests_refused",
        }
    }
}

impl fmt::Display for LaneFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LaneFault {
    type Err = UnknownLaneFault;

    fn from_str(word: &str) -> Result<Self, UnknownLaneFault> {
        Self::ALL.into_iter().find(|fault| fault.as_str() == word).ok_or(UnknownLaneFault)
    }
}

/// The fault of ours that a code tells of, if it tells of one.
///
/// The caller checks first that the code answers the service it called; of an unknown service this says nothing.
pub fn lane_fault(code: ResponseCode) -> Option<LaneFault> {
    Service::from_code(code.service())?;
    match (code.http_status(), code.case()) {
        (401, 0) => Some(LaneFault::Unauthorized),
        (403, 1) => Some(LaneFault::FeatureNotAllowed),
        (403, 14) => Some(LaneFault::InsufficientFunds),
        (403, 19) => Some(LaneFault::MerchantBlacklisted),
        (403, 20) => Some(LaneFault::MerchantLimit),
        (404, 8) => Some(LaneFault::InvalidMerchant),
        (404, 16) => Some(LaneFault::PartnerNotFound),
        _ => None,
    }
}
