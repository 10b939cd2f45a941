//! Pauses of the lanes, kept so that an operator's outlives the process and every process sees them.

use snap_core::{LaneFault, Timestamp};

use crate::{NewAudit, Store, StoreError};

/// Why a lane is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PauseCause {
    /// By itself (M9).
    Fault(LaneFault),
    /// An operator said so; only an operator resumes it.
    Operator {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanePause {
    /// Why.
    pub cause: PauseCause,
    /// Since when.
    pub at: Timestamp,
    /// When the next probe is due, for the reader's eye.
    pub probe_at: Option<Timestamp>,
}

/// A lane as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The provider.
    pub provider: String,
    /// Its pause.
    pub pause: Option<LanePause>,
    /// Grows with every change, so that a running worker sees that an operator acted.
    pub version: i64,
}

/// Who resumes a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// A probe succeeded: ends a fault's pause, never an operator's.
    Probe,
    /// An operator: ends any.
    Operator,
}

impl Store {
    /// The lanes that were ever paused.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn lanes(&self) -> Result<Vec<Lane>, StoreError> {
        todo!()
    }

    /// One lane; one that was never paused has version 0.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn lane(&self, provider: &str) -> Result<Lane, StoreError> {
        let _ = provider;
        todo!()
    }

    /// Pauses a lane, or renews its pause. A fault does not replace an operator's pause. Answers how it stands then.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn pause_lane(
        &self,
        provider: &str,
        pause: LanePause,
        audit: Option<NewAudit>,
    ) -> Result<Lane, StoreError> {
        let _ = (provider, pause, audit);
        todo!()
    }

    /// Resumes a lane. Answers how it stands then.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn resume_lane(
        &self,
        provider: &str,
        by: Resume,
        audit: Option<NewAudit>,
    ) -> Result<Lane, StoreError> {
        let _ = (provider, by, audit);
        todo!()
    }
}
