//! Taking jobs in: the idempotent insert.

use snap_core::Timestamp;

use crate::{
    Carried, DeadLetterId, JobRequest, NewAudit, OutcomeId, Refusal, Store, StoreError, StoredJob,
};

/// Builds the dead letter of a message whose key is taken by a job with other content. It is given the names of the
/// fields that differ, in the contract's words: `customerNumber`, `amount`, `provider`, `beneficiaryProvider`.
///
/// It is called on the writer thread, may be called twice for one message, and must not block.
pub type OnConflict = Box<dyn Fn(&[&'static str]) -> Refusal + Send + Sync>;

/// A job to take in.
pub struct NewJob {
    /// What is asked.
    pub request: JobRequest,
    /// What its outcomes carry on.
    pub carried: Carried,
    /// Its first state.
    pub job: engine::Job,
    /// Now.
    pub at: Timestamp,
    /// When it is due; `None`: the caller drives it at once.
    pub due_at: Option<Timestamp>,
    /// What to record instead where the key is taken by other content.
    pub on_conflict: OnConflict,
    /// The dead letter of a refused message that an operator gives another chance; closed in the same transaction.
    pub closes: Option<DeadLetterId>,
    /// What the audit trail says about it, where an operator acts.
    pub audit: Option<NewAudit>,
}

/// What became of a [`NewJob`].
#[derive(Debug)]
pub enum Accepted {
    /// It is recorded; where `due_at` was `None` it is the caller's to drive.
    New(Box<StoredJob>),
    /// The key was known, with the same content.
    Duplicate(Duplicate),
    /// The key was known, with other content: a dead letter was recorded.
    Conflict {
        /// The dead letter.
        dead_letter: DeadLetterId,
        /// The fields that differ.
        fields: Vec<&'static str>,
    },
}

/// How the first job with the key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicate {
    /// It ended; its outcome stands in the outbox again, with the id and body it had.
    Finished {
        /// The outcome; `None` where the job ended without one.
        outcome: Option<OutcomeId>,
    },
    /// It is under way: nothing happens.
    Unfinished,
    /// It stands before a person: nothing happens.
    Dead,
}

impl Store {
    /// Records jobs, all or none, and answers in their order. `Ok` means that the messages may be acknowledged.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::DeadLetterState`] where `closes` names nothing open, or any failure of the store.
    pub async fn accept(&self, jobs: Vec<NewJob>) -> Result<Vec<Accepted>, StoreError> {
        drop(jobs);
        todo!()
    }
}
