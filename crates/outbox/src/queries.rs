//! Questions that operators and metrics ask.

use snap_core::{CustomerNumber, PartnerReferenceNo, Timestamp};

use crate::{
    Attempt, DeadLetter, HistoryEntry, JobId, Outcome, Store, StoreError, StoredJob, Total,
};

/// Which jobs.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// In one of these states, by the contract's words; empty: any.
    pub states: Vec<String>,
    /// Of this provider.
    pub provider: Option<String>,
    /// Of this customer.
    pub customer: Option<CustomerNumber>,
    /// Accepted at or after.
    pub since: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
    /// This text in the key, the provider's number, the response code or message.
    pub matching: Option<String>,
    /// The oldest first instead of the newest.
    pub oldest_first: bool,
}

/// Some of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// These.
    pub items: Vec<T>,
    /// What to ask for the next ones with; `None`: there are no more.
    pub next: Option<C>,
}

/// Jobs of one provider in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateTotal {
    /// The provider.
    pub provider: String,
    /// The state, by the contract's word.
    pub state: String,
    /// How many.
    pub count: u64,
    /// Their amounts.
    pub amount: Total,
    /// When the oldest was accepted.
    pub oldest: Timestamp,
}

/// Everything about one job.
#[derive(Clone)]
pub struct Timeline {
    /// The job.
    pub job: StoredJob,
    /// Its history, the oldest first.
    pub history: Vec<HistoryEntry>,
    /// Its requests, the oldest first.
    pub attempts: Vec<Attempt>,
    /// Its events, the oldest first.
    pub outcomes: Vec<Outcome>,
    /// Its dead letters, the oldest first.
    pub dead_letters: Vec<DeadLetter>,
}

impl Store {
    /// The job with this key.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn find(&self, key: &PartnerReferenceNo) -> Result<Option<StoredJob>, StoreError> {
        let _ = key;
        todo!()
    }

    /// The job with this number.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn job(&self, id: JobId) -> Result<Option<StoredJob>, StoreError> {
        let _ = id;
        todo!()
    }

    /// A page of jobs behind `after`, by arrival.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn jobs(
        &self,
        filter: JobFilter,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Page<StoredJob, JobId>, StoreError> {
        let _ = (filter, after, limit);
        todo!()
    }

    /// Everything about one job.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn timeline(&self, key: &PartnerReferenceNo) -> Result<Option<Timeline>, StoreError> {
        let _ = key;
        todo!()
    }

    /// Totals of jobs that are not final, for metrics. Its cost grows with those, not with stored jobs.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn open_totals(&self) -> Result<Vec<StateTotal>, StoreError> {
        todo!()
    }

    /// Totals of the jobs the filter names, final ones too. Reads every stored job.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn totals(&self, filter: JobFilter) -> Result<Vec<StateTotal>, StoreError> {
        drop(filter);
        todo!()
    }
}
