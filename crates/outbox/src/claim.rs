//! Handing jobs to who drives them: what is due, and what a restart finds.

use snap_core::Timestamp;

use crate::{JobId, Record, Store, StoreError, StoredJob};

/// Which unfinished jobs [`Store::recover`] goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoverScope {
    /// Those that were being driven when the last process ended.
    InFlight,
    /// All of them, waiting ones too: after the store was restored from an older copy.
    Unfinished,
}

/// What [`Store::recover`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Jobs it went through.
    pub found: u64,
    /// Those for which the caller had something to record.
    pub recorded: u64,
    /// Those that were made due as they are.
    pub released: u64,
    /// Those that somebody else changed meanwhile.
    pub fenced: u64,
}

impl Store {
    /// Takes up to `limit` jobs of a lane that are due, the longest due first. They are the caller's to drive: their
    /// version has grown, and nobody else is given them before a record or release makes them due again.
    ///
    /// # Errors
    /// [`StoreError::Full`] while there is no room for intents, or any failure of the store.
    pub async fn claim_due(
        &self,
        provider: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<StoredJob>, StoreError> {
        let _ = (provider, now, limit);
        todo!()
    }

    /// When the next job of a lane is due; cheap, and it does not disturb the writer.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn next_due(&self, provider: &str) -> Result<Option<Timestamp>, StoreError> {
        let _ = provider;
        todo!()
    }

    /// Gives a job back as it is, due at `due_at`; answers its new version.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::UnknownJob`], or any failure of the store.
    pub async fn release(
        &self,
        id: JobId,
        version: i64,
        due_at: Timestamp,
    ) -> Result<i64, StoreError> {
        let _ = (id, version, due_at);
        todo!()
    }

    /// Goes, at start and before anything is taken in, through unfinished jobs. Where `plan` gives a record it is
    /// applied; any other job that nobody drives any more becomes due at `now`.
    /// Its cost grows with unfinished jobs, not with stored ones, and it can be interrupted and run again.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn recover<P>(
        &self,
        scope: RecoverScope,
        now: Timestamp,
        plan: P,
    ) -> Result<RecoveryReport, StoreError>
    where
        P: FnMut(&StoredJob) -> Option<Record> + Send,
    {
        let _ = (scope, now, plan);
        todo!()
    }
}
