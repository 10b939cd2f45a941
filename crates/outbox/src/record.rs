//! Recording what happened to a job: state, attempts, history, outcomes, dead letter and audit row in one transaction.

use std::borrow::Cow;

use rusqlite::{OptionalExtension as _, params};
use snap_core::{Amount, ExternalId, Service, Timestamp};

use crate::{
    Amendment, ClosedAs, JobId, NewAudit, NewDeadLetter, NewOutcome, OutcomeId, Store, StoreError, accept::engine_text,
    amend, audit, dead_letters, error::Rejected, outcomes, past, rows::minor, task::Room, transaction::Transaction,
};

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
    /// When it is due: `job.due_at()` where the caller lets go of it, `None` where the caller goes on driving it, as
    /// always in `sending`.
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
    /// What an operator changes of the request.
    pub amendment: Option<Box<Amendment>>,
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
            answer: AnswerFields { reference_no: None, response_code: None, response_message: None, fee_amount: None },
            dead_letter: None,
            outcomes: Vec::new(),
            audit: None,
            amendment: None,
        }
    }

    /// Whether the request it records leaves only after it.
    const fn is_intent(&self) -> bool {
        matches!(self.job.state, engine::State::Sending { .. })
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
    /// To whom it was sent, where it can move money (M14); `None`: recorded before accounts were.
    pub account: Option<engine::Account>,
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
        let room = if record.is_intent() { Room::Ordinary } else { Room::Reserved };
        let (_, recorded) =
            self.write(room, Prepared::new(record), |transaction, prepared| write(transaction, prepared)).await?;
        Ok(recorded)
    }
}

/// A record with what can be rendered off the writer thread.
pub(crate) struct Prepared {
    record: Record,
    engine: String,
    happened: String,
}

impl Prepared {
    pub(crate) fn new(record: Record) -> Self {
        Self { engine: engine_text(&record.job), happened: past::text(&record), record }
    }
}

/// What stands on disk before a record.
struct Before {
    version: i64,
    was_dead: bool,
    attempts: u32,
    requests: u32,
    record: Option<i64>,
    outcome: Option<i64>,
}

/// Writes a record; refusals come before the first change.
pub(crate) fn write(transaction: &Transaction<'_>, prepared: &Prepared) -> Result<Recorded, Rejected> {
    let Prepared { record, engine, happened } = prepared;
    let before = fence(transaction, record.id, record.version)?;
    let is_dead = matches!(record.job.state, engine::State::Dead { .. });
    if record.is_intent() && record.due_at.is_some() {
        // Whoever claimed it would drive it beside the request that is about to leave (M10).
        return Err(StoreError::Refused("a job is sending and due".to_owned()).into());
    }
    if is_dead && !before.was_dead && record.dead_letter.is_none() {
        return Err(StoreError::Refused("a job dies without a dead letter".to_owned()).into());
    }
    for end in &record.ends {
        must_have_begun(transaction, record, &before, end)?;
    }
    if before.was_dead && !is_dead {
        dead_letters::close_of_job(transaction, record.id, ClosedAs::by_leaving_for(&record.job.state), record.at)?;
    }
    if let Some(dead_letter) = &record.dead_letter {
        dead_letters::insert_of_job(transaction, record.id, dead_letter, record.at)?;
    }
    if let Some(amendment) = &record.amendment {
        amend::write(transaction, record.id, before.version, amendment, record.at)?;
    }
    let (outcomes, terminal) = insert_outcomes(transaction, record, before.outcome)?;
    let number = past::append(transaction, record.id, before.record, engine, happened)?;
    let attempts = before.attempts + count(record.attempts.iter().filter(|attempt| attempt.service.moves_money()));
    update_state(transaction, record, number, &before, attempts, terminal)?;
    if let Some(entry) = &record.audit {
        audit::append(transaction, entry)?;
    }
    Ok(Recorded { version: before.version + 1, attempts, outcomes })
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

/// Reads what stands on disk, where it is what the caller knows (M10).
fn fence(transaction: &Transaction<'_>, id: JobId, expected: i64) -> Result<Before, Rejected> {
    let before = transaction
        .kept(
            "SELECT version, state = 'dead', attempts, requests, record_id, outcome_id FROM job_states WHERE job_id = ?1",
        )?
        .query_row([id.0], |row| {
            Ok(Before {
                version: row.get(0)?,
                was_dead: row.get(1)?,
                attempts: row.get(2)?,
                requests: row.get(3)?,
                record: row.get(4)?,
                outcome: row.get(5)?,
            })
        })
        .optional()?
        .ok_or(StoreError::UnknownJob(id))?;
    if before.version == expected {
        Ok(before)
    } else {
        Err(StoreError::Fenced { id, expected, found: before.version }.into())
    }
}

fn must_have_begun(
    transaction: &Transaction<'_>,
    record: &Record,
    before: &Before,
    end: &AttemptEnd,
) -> Result<(), Rejected> {
    let begins_here = record.attempts.iter().any(|attempt| attempt.external_id == end.external_id);
    if begins_here || past::has_request(transaction, before.record, &end.external_id)? {
        return Ok(());
    }
    Err(StoreError::Refused(format!("job {} has no attempt {}", record.id, end.external_id)).into())
}

/// Answers the outcomes' ids, and the one that is the job's terminal outcome now.
fn insert_outcomes(
    transaction: &Transaction<'_>,
    record: &Record,
    before: Option<i64>,
) -> Result<(Vec<OutcomeId>, Option<i64>), Rejected> {
    let mut terminal = before;
    let mut ids = Vec::with_capacity(record.outcomes.len());
    for outcome in &record.outcomes {
        let id = outcomes::insert(transaction, Some(record.id), outcome, record.at)?;
        if outcome.terminal
            && let Some(earlier) = terminal.replace(id.0)
        {
            // After an operator took a discard back: the earlier one is history.
            outcomes::supersede(transaction, OutcomeId(earlier))?;
        }
        ids.push(id);
    }
    Ok((ids, terminal))
}

fn update_state(
    transaction: &Transaction<'_>,
    record: &Record,
    number: i64,
    before: &Before,
    attempts: u32,
    terminal: Option<i64>,
) -> Result<(), Rejected> {
    let answer = &record.answer;
    transaction
        .kept(
            "UPDATE job_states SET version = version + 1, state = ?2, due_at = ?3, finished_at = ?4, attempts = ?5,
               requests = ?6, record_id = ?7, outcome_id = ?8, reference_no = coalesce(?9, reference_no),
               response_code = coalesce(?10, response_code), response_message = coalesce(?11, response_message),
               fee_amount = coalesce(?12, fee_amount)
             WHERE job_id = ?1",
        )?
        .execute(params![
            record.id.0,
            record.job.state.name(),
            record.due_at.map(Timestamp::as_millis),
            record.job.state.is_final().then(|| record.at.as_millis()),
            attempts,
            before.requests + count(record.attempts.iter()),
            number,
            terminal,
            answer.reference_no,
            answer.response_code,
            answer.response_message,
            answer.fee_amount.map(minor),
        ])?;
    Ok(())
}
