//! What stands before a person: refused messages and jobs that could not end.

use std::fmt;

use engine::{DeadReason, MoneyState};
use snap_core::{Amount, PartnerReferenceNo, Timestamp};

use crate::{DeadLetterId, JobId, NewAudit, NewOutcome, Page, Store, StoreError, Total};

/// A message as it was delivered.
#[derive(Clone, PartialEq)]
pub struct Delivered {
    /// The body, or its first MiB.
    pub body: Vec<u8>,
    /// The whole length in bytes.
    pub size: u64,
    /// SHA-256 of the whole.
    pub sha256: [u8; 32],
    /// AMQP properties.
    pub properties: serde_json::Value,
    /// AMQP headers.
    pub headers: serde_json::Value,
}

impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivered")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// A message that did not become a job: its dead letter, and the event that says so.
pub struct Refusal {
    /// The dead letter's id.
    pub id: DeadLetterId,
    /// The message.
    pub delivered: Delivered,
    /// Why.
    pub reason: DeadReason,
    /// The field, and what is wrong with it; never what it held.
    pub detail: String,
    /// The key it claims, where one could be read.
    pub claimed_reference: Option<String>,
    /// The provider, where it is known.
    pub provider: Option<String>,
    /// Now.
    pub at: Timestamp,
    /// `topup.message_refused`.
    pub outcome: NewOutcome,
    /// The earlier dead letter this one takes the place of, after an operator's edit.
    pub closes: Option<DeadLetterId>,
    /// What the audit trail says about it, where an operator acts.
    pub audit: Option<NewAudit>,
}

/// The dead letter of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeadLetter {
    /// Its id.
    pub id: DeadLetterId,
    /// Why.
    pub reason: DeadReason,
    /// In words; no names, numbers or bodies.
    pub detail: String,
    /// What is known about the money.
    pub money_state: MoneyState,
    /// The response code that led here.
    pub response_code: Option<String>,
}

/// How a dead letter was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedAs {
    /// An operator resumed the job, or the message became a job.
    Replayed,
    /// A check found the job paid.
    Succeeded,
    /// A check found the job refused for good.
    Rejected,
    /// An operator closed it.
    Discarded,
    /// An edited message was refused again, under another dead letter.
    Superseded,
}

/// A dead letter as it is on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Its id.
    pub id: DeadLetterId,
    /// The job; `None` for a refused message.
    pub job: Option<JobId>,
    /// The job's key; `None` for a refused message.
    pub partner_reference_no: Option<PartnerReferenceNo>,
    /// The key a refused message claims.
    pub claimed_reference: Option<String>,
    /// The provider, where it is known.
    pub provider: Option<String>,
    /// Why.
    pub reason: DeadReason,
    /// In words.
    pub detail: String,
    /// What is known about the money.
    pub money_state: MoneyState,
    /// The response code that led here.
    pub response_code: Option<String>,
    /// The job's amount.
    pub amount: Option<Amount>,
    /// The job's top-up attempts.
    pub attempts: u32,
    /// Since when.
    pub dead_at: Timestamp,
    /// Since when it is closed, and how.
    pub closed: Option<(Timestamp, ClosedAs)>,
    /// The refused message; `None` for a job, and in lists.
    pub delivered: Option<Delivered>,
}

/// Which dead letters.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterFilter {
    /// These only; empty: any.
    pub ids: Vec<DeadLetterId>,
    /// With this reason.
    pub reason: Option<DeadReason>,
    /// With this response code.
    pub response_code: Option<String>,
    /// Of this provider.
    pub provider: Option<String>,
    /// With this money state.
    pub money_state: Option<MoneyState>,
    /// Dead at or after.
    pub since: Option<Timestamp>,
    /// Dead before.
    pub until: Option<Timestamp>,
    /// This text in the detail, the key or the claimed key.
    pub matching: Option<String>,
    /// Closed ones too.
    pub closed_too: bool,
}

/// Open dead letters with the same face.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterGroup {
    /// The provider, where it is known.
    pub provider: Option<String>,
    /// Why.
    pub reason: DeadReason,
    /// The response code that led here.
    pub response_code: Option<String>,
    /// What is known about the money.
    pub money_state: MoneyState,
    /// How many.
    pub count: u64,
    /// The jobs' amounts.
    pub amount: Total,
    /// The first.
    pub oldest: Timestamp,
    /// The last.
    pub newest: Timestamp,
}

/// A refused message to close without a job.
#[derive(Clone, Debug)]
pub struct CloseDeadLetter {
    /// The dead letter.
    pub id: DeadLetterId,
    /// Now.
    pub at: Timestamp,
    /// `topup.discarded`.
    pub outcome: Option<NewOutcome>,
    /// What the audit trail says about it.
    pub audit: NewAudit,
}

impl Store {
    /// Records refused messages, all or none. `Ok` means that they may be acknowledged.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::DeadLetterState`] where `closes` names nothing open, or any failure of the store.
    pub async fn refuse(&self, refusals: Vec<Refusal>) -> Result<(), StoreError> {
        drop(refusals);
        todo!()
    }

    /// Closes the dead letter of a refused message as discarded. A job's dead letter is closed by recording the job.
    ///
    /// # Errors
    /// [`StoreError::UnknownDeadLetter`], [`StoreError::DeadLetterState`], or any failure of the store.
    pub async fn discard_refused(
        &self,
        close: CloseDeadLetter,
    ) -> Result<Vec<crate::OutcomeId>, StoreError> {
        drop(close);
        todo!()
    }

    /// Opens the dead letter of a refused message again.
    ///
    /// # Errors
    /// [`StoreError::UnknownDeadLetter`], [`StoreError::DeadLetterState`], or any failure of the store.
    pub async fn restore_refused(
        &self,
        id: &DeadLetterId,
        audit: NewAudit,
    ) -> Result<(), StoreError> {
        let _ = (id, audit);
        todo!()
    }

    /// Deletes dead letters that were closed before `before`, with their messages; answers how many.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn purge_dead_letters(
        &self,
        before: Timestamp,
        audit: NewAudit,
    ) -> Result<u64, StoreError> {
        let _ = (before, audit);
        todo!()
    }

    /// How many a purge would delete.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn count_purgeable(&self, before: Timestamp) -> Result<u64, StoreError> {
        let _ = before;
        todo!()
    }

    /// A page of dead letters, the oldest first, behind `after` where given.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn dead_letters(
        &self,
        filter: DeadLetterFilter,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Page<DeadLetter, DeadLetterId>, StoreError> {
        let _ = (filter, after, limit);
        todo!()
    }

    /// One dead letter with its message.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn dead_letter(&self, id: &DeadLetterId) -> Result<Option<DeadLetter>, StoreError> {
        let _ = id;
        todo!()
    }

    /// Open dead letters by face, the most first.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn dead_letter_groups(
        &self,
        filter: DeadLetterFilter,
    ) -> Result<Vec<DeadLetterGroup>, StoreError> {
        drop(filter);
        todo!()
    }

    /// Open dead letters by reason; reasons without one are left out.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn dead_letter_counts(&self) -> Result<Vec<(DeadReason, u64)>, StoreError> {
        todo!()
    }
}
