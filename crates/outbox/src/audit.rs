//! The audit trail: a hash chain over what operators did.

use snap_core::Timestamp;

use crate::{Store, StoreError};

/// What an operator did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAudit {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What, in snake case: `dlq_replay`, `provider_pause`.
    pub action: String,
    /// To what: a key, a dead letter's id, a provider.
    pub subject: String,
    /// Why, in the operator's words.
    pub reason: String,
    /// More about it; no names, numbers or bodies. `Null`: nothing.
    pub detail: serde_json::Value,
}

/// A row of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place, from 1 without gaps.
    pub seq: u64,
    /// What was done.
    pub entry: NewAudit,
    /// SHA-256 over the row before and this one, lower-case hex.
    pub hash: String,
}

/// The end of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// How many rows.
    pub rows: u64,
    /// The last row's hash; 64 zeros for an empty trail.
    pub hash: String,
}

/// Where the trail is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// A row is missing.
    #[error("audit row {seq} is missing")]
    Missing {
        /// The row.
        seq: u64,
    },
    /// A row, or the one before it, was changed.
    #[error("audit row {seq} is not what was written")]
    Changed {
        /// The row.
        seq: u64,
    },
}

impl Store {
    /// Adds a row of its own, for actions that change nothing else; answers its number.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn audit_append(&self, entry: NewAudit) -> Result<u64, StoreError> {
        drop(entry);
        todo!()
    }

    /// A page of the trail behind row `after`, the oldest first.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn audit_rows(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        let _ = (after, limit);
        todo!()
    }

    /// Follows the whole chain.
    ///
    /// # Errors
    /// Any failure to read. What was found is the inner result.
    pub async fn audit_verify(&self) -> Result<Result<AuditHead, AuditFault>, StoreError> {
        todo!()
    }
}
