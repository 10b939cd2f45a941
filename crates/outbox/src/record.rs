//! Recording what happened to a job: state, attempts, history, outcomes, dead letter and audit row in one transaction.

use std::borrow::Cow;

use snap_core::{Amount, ExternalId, Service, Timestamp};

use crate::{JobId, NewAudit, NewDeadLetter, NewOutcome, OutcomeId, Store, StoreError};

/// What happened to a job. Built with [`Record::new`] and the fields that apply.
#[derive(Clone, Debug)]
pub struct Record {
    /// The job.
    pub id: JobId,
    /// The version the caller knows; any other on disk fences it off (M10).
    pub version: i64,
    /// The job after the event.
    pub job: engine::Job,
    /// Now.
    pub at: Timestamp,
    /// When it is due: `job.due_at()` where the caller lets go of it, `None` where the caller goes on driving it.
    pub due_at: Option<Timestamp>,
    /// What the history says.
    pub history: Vec<HistoryEntry>,
    /// Requests, before they leave or with their end.
    pub attempts: Vec<NewAttempt>,
    /// Ends of requests recorded before.
    pub ends: Vec<AttemptEnd>,
    /// What the provider told; fields that are `None` leave what is stored.
    pub answer: AnswerFields,
    /// A dead letter to open. One of this job with the same id is opened again, with these contents.
    pub dead_letter: Option<NewDeadLetter>,
    /// Events for the outbox.
    pub outcomes: Vec<NewOutcome>,
    /// What the audit trail says about it, where an operator acts.
    pub audit: Option<NewAudit>,
}

impl Record {
    /// A record that changes the state only.
    pub const fn new(id: JobId, version: i64, job: engine::Job, at: Timestamp) -> Self {
        Self {
            id,
            version,
            job,
            at,
            due_at: None,
            history: Vec::new(),
            attempts: Vec::new(),
            ends: Vec::new(),
            answer: AnswerFields {
                reference_no: None,
                response_code: None,
                response_message: None,
                fee_amount: None,
            },
            dead_letter: None,
            outcomes: Vec::new(),
            audit: None,
        }
    }
}

/// The job after a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The version to name next time.
    pub version: i64,
    /// Top-up attempts so far.
    pub attempts: u32,
    /// The outcomes in the order given: they can be published at once, without reading them back.
    pub outcomes: Vec<OutcomeId>,
}

/// One line of a job's history.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// What, in snake case.
    pub event: Cow<'static, str>,
    /// More about it; no names, numbers or bodies. `Null`: nothing.
    pub detail: serde_json::Value,
}

/// A request to record, at the latest before its first byte leaves where it can move money (M1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAttempt {
    /// The service called.
    pub service: Service,
    /// Its number, never used before (M5).
    pub external_id: ExternalId,
    /// When it starts.
    pub started_at: Timestamp,
    /// SHA-256 of the body, lower-case hex.
    pub body_sha256: Option<String>,
    /// How it ended, where that is known already.
    pub end: Option<AttemptEnd>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEnd {
    /// The request.
    pub external_id: ExternalId,
    /// When: by an answer, an error or a timeout.
    pub ended_at: Timestamp,
    /// The HTTP status, where there was an answer.
    pub http_status: Option<u16>,
    /// The seven digits, where they could be read.
    pub response_code: Option<String>,
    /// What it was taken for: a class of the response-code table.
    pub class: Option<Cow<'static, str>>,
    /// What went wrong below HTTP; no names, numbers or bodies.
    pub detail: Option<String>,
}

/// A request as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its place among the job's requests, from 1.
    pub no: u32,
    /// The service called.
    pub service: Service,
    /// Its number.
    pub external_id: ExternalId,
    /// When it started.
    pub started_at: Timestamp,
    /// SHA-256 of the body, lower-case hex.
    pub body_sha256: Option<String>,
    /// How it ended; `None`: perhaps sent.
    pub end: Option<AttemptEnd>,
}

/// What the provider told about the top-up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerFields {
    /// The provider's number.
    pub reference_no: Option<String>,
    /// The seven digits.
    pub response_code: Option<String>,
    /// The message beside them.
    pub response_message: Option<String>,
    /// The fee.
    pub fee_amount: Option<Amount>,
}

impl Store {
    /// Records what happened to a job. `Ok` means that it is on disk: after a record into `sending` the request may leave.
    ///
    /// When the job is not `dead` afterwards, its open dead letter is closed. A record into `sending` is an intent and is
    /// refused while there is no room; any other is a result and may use the reserve.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::UnknownJob`], [`StoreError::Full`], or any failure of the store.
    pub async fn record(&self, record: Record) -> Result<Recorded, StoreError> {
        drop(record);
        todo!()
    }
}
