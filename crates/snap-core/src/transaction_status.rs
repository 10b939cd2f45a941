//! `latestTransactionStatus`, the only part of a status answer that says something about the top-up.

use serde::{Deserialize, Serialize};

use crate::Class;

/// What the provider says became of the top-up.
/// Source: SNAP Developer Site, customer top-up, `latestTransactionStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionStatus {
    /// 00: credited.
    Success,
    /// 01: accepted, not started.
    Initiated,
    /// 02: on its way.
    Paying,
    /// 03: waiting.
    Pending,
    /// 04: the money left and came back.
    Refunded,
    /// 05: cancelled; the reference is used up.
    Cancelled,
    /// 06: failed; the reference is used up.
    Failed,
    /// 07: not known, which is no proof before the quiet period has passed.
    NotFound,
}

impl TransactionStatus {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::Initiated,
        Self::Paying,
        Self::Pending,
        Self::Refunded,
        Self::Cancelled,
        Self::Failed,
        Self::NotFound,
    ];

    /// Its two digits.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Success => "00",
            Self::Initiated => "01",
            Self::Paying => "02",
            Self::Pending => "03",
            Self::Refunded => "04",
            Self::Cancelled => "05",
            Self::Failed => "06",
            Self::NotFound => "07",
        }
    }

    /// Reads exactly two digits; anything else says nothing.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == text)
    }

    /// What it means for the top-up asked about. Source: `fixtures/response-codes.csv`, rows `2003900+00` to `+07`.
    pub const fn class(self) -> Class {
        match self {
            Self::Success => Class::Success,
            Self::Initiated | Self::Paying | Self::Pending => Class::Pending,
            Self::Refunded | Self::Cancelled | Self::Failed => Class::BusinessReject,
            Self::NotFound => Class::Ambiguous,
        }
    }
}

impl std::fmt::Display for TransactionStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}
