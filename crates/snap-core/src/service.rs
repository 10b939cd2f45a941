//! The five SNAP services there are to call.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A SNAP service, known on the wire by its two digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Service {
    /// 36: what became of a transfer; Midtrans answers for top-ups here.
    TransferStatus,
    /// 37: who the customer is and what he may be sent.
    AccountInquiry,
    /// 38: the one that moves money.
    TopUp,
    /// 39: what became of a top-up.
    TopUpStatus,
    /// 73: the access token.
    AccessToken,
}

impl Service {
    /// All of them, by code.
    pub const ALL: [Self; 5] =
        [Self::TransferStatus, Self::AccountInquiry, Self::TopUp, Self::TopUpStatus, Self::AccessToken];

    /// Its two digits.
    pub const fn code(self) -> u8 {
        match self {
            Self::TransferStatus => 36,
            Self::AccountInquiry => 37,
            Self::TopUp => 38,
            Self::TopUpStatus => 39,
            Self::AccessToken => 73,
        }
    }

    /// The service with these two digits.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.code() == code)
    }

    /// Whether a call of it can move money: the top-up only.
    pub const fn moves_money(self) -> bool {
        matches!(self, Self::TopUp)
    }

    /// Whether it asks what became of an earlier top-up.
    pub const fn asks_status(self) -> bool {
        matches!(self, Self::TopUpStatus | Self::TransferStatus)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.code())
    }
}

impl From<Service> for u8 {
    fn from(service: Service) -> Self {
        service.code()
    }
}

/// Two digits that are no service of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such service: {0} (known: 36, 37, 38, 39, 73)")]
pub struct UnknownService(u8);

impl TryFrom<u8> for Service {
    type Error = UnknownService;

    fn try_from(code: u8) -> Result<Self, UnknownService> {
        Self::from_code(code).ok_or(UnknownService(code))
    }
}
