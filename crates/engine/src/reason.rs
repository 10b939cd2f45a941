//! Why a top-up ended or stopped, and what is known about the money. The words are the contract's.

use serde::{Deserialize, Serialize};

/// Why a top-up ended without a credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The provider refused it for this customer or amount; see the response code.
    Business,
    /// Its `notAfter` passed before it could be sent.
    Expired,
    /// The inquiry's limits exclude the amount; nothing was sent.
    AmountOutOfRange,
    /// The provider reports status 05.
    Cancelled,
}

impl RejectReason {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Business => "business",
            Self::Expired => "expired",
            Self::AmountOutOfRange => "amount_out_of_range",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why something stands before a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// The message is not a job.
    Malformed,
    /// No such provider is configured.
    UnknownProvider,
    /// The key is taken by a job with other content.
    IdempotencyConflict,
    /// The broker dead-lettered the delivery.
    Undeliverable,
    /// In doubt at an account that the configuration does not name any more (M14).
    OtherAccount,
    /// Two attempts of one job look paid (M16).
    DoubleCreditSuspected,
    /// The provider refuses this request as wrong.
    RequestRefused,
    /// The budget for safe retries is used up.
    RetriesExhausted,
    /// The status budget is used up; money may have moved.
    Unresolved,
    /// Another amount or reference came back.
    InconsistentAnswer,
    /// The provider reports status 04: the money came back.
    Refunded,
}

impl DeadReason {
    /// Every reason, in the contract's order.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::UnknownProvider,
        Self::IdempotencyConflict,
        Self::Undeliverable,
        Self::OtherAccount,
        Self::DoubleCreditSuspected,
        Self::RequestRefused,
        Self::RetriesExhausted,
        Self::Unresolved,
        Self::InconsistentAnswer,
        Self::Refunded,
    ];

    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownProvider => "unknown_provider",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::Undeliverable => "undeliverable",
            Self::OtherAccount => "other_account",
            Self::DoubleCreditSuspected => "double_credit_suspected",
            Self::RequestRefused => "request_refused",
            Self::RetriesExhausted => "retries_exhausted",
            Self::Unresolved => "unresolved",
            Self::InconsistentAnswer => "inconsistent_answer",
            Self::Refunded => "refunded",
        }
    }

    /// The reason of a contract word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// What is known about the money of a top-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoneyState {
    /// No byte of a top-up ever left.
    NeverSent,
    /// A top-up may have been executed.
    MaybeSent,
    /// Every attempt is proven not executed.
    ProvenUnpaid,
    /// The provider confirmed the credit.
    ProvenPaid,
    /// The provider reports the money as refunded.
    Returned,
}

impl MoneyState {
    /// Every state, in the contract's order.
    pub const ALL: [Self; 5] = [Self::NeverSent, Self::MaybeSent, Self::ProvenUnpaid, Self::ProvenPaid, Self::Returned];

    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverSent => "never_sent",
            Self::MaybeSent => "maybe_sent",
            Self::ProvenUnpaid => "proven_unpaid",
            Self::ProvenPaid => "proven_paid",
            Self::Returned => "returned",
        }
    }

    /// The state of a contract word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}
