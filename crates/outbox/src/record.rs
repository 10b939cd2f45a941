//! Recording what happened to a job: state, attempts, history, outcomes, dead letter and audit row in one transaction.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension as _, params};
use snap_core::{Amount, ExternalId, Service, Timestamp};

use crate::{
    ClosedAs, JobId, NewAudit, NewDeadLetter, NewOutcome, OutcomeId, Store, StoreError,
    accept::engine_text,
    audit, dead_letters,
    error::Rejected,
    outcomes,
    rows::{json_text, minor},
    task::Room,
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
    details: Vec<Option<String>>,
}

impl Prepared {
    pub(crate) fn new(record: Record) -> Self {
        let details = record.history.iter().map(|entry| json_text(&entry.detail)).collect();
        Self { engine: engine_text(&record.job), details, record }
    }
}

/// What stands on disk before a record.
struct Before {
    version: i64,
    was_dead: bool,
    attempts: u32,
    requests: u32,
    entries: u32,
    outcome: Option<i64>,
}

/// Writes a record; refusals come before the first change.
pub(crate) fn write(transaction: &Connection, prepared: &Prepared) -> Result<Recorded, Rejected> {
    let Prepared { record, engine, details } = prepared;
    let before = fence(transaction, record.id, record.version)?;
    let is_dead = matches!(record.job.state, engine::State::Dead { .. });
    if record.is_intent() && record.due_at.is_some() {
        // Whoever claimed it would drive it beside the request that is about to leave (M10).
        return Err(StoreError::Refused("a job is sending and due".to_owned()).into());
    }
    if is_dead && !before.was_dead && record.dead_letter.is_none() {
        return Err(StoreError::Refused("a job dies without a dead letter".to_owned()).into());
    }
    insert_attempts(transaction, record, before.requests)?;
    for end in &record.ends {
        end_attempt(transaction, record.id, end)?;
    }
    for ((entry, detail), no) in record.history.iter().zip(details).zip(before.entries + 1..) {
        transaction
            .prepare_cached("INSERT INTO history (job_id, no, at, event, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![record.id.0, no, entry.at.as_millis(), entry.event, detail])?;
    }
    if before.was_dead && !is_dead {
        dead_letters::close_of_job(transaction, record.id, ClosedAs::by_leaving_for(&record.job.state), record.at)?;
    }
    if let Some(dead_letter) = &record.dead_letter {
        dead_letters::insert_of_job(transaction, record.id, dead_letter, record.at)?;
    }
    let (outcomes, terminal) = insert_outcomes(transaction, record, before.outcome)?;
    let attempts = before.attempts + count(record.attempts.iter().filter(|attempt| attempt.service.moves_money()));
    update_job(transaction, record, engine, &before, attempts, terminal)?;
    if let Some(entry) = &record.audit {
        audit::append(transaction, entry)?;
    }
    Ok(Recorded { version: before.version + 1, attempts, outcomes })
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

/// Reads what stands on disk, where it is what the caller knows (M10).
fn fence(transaction: &Connection, id: JobId, expected: i64) -> Result<Before, Rejected> {
    let before = transaction
        .prepare_cached(
            "SELECT version, state = 'dead', attempts, requests, entries, outcome_id FROM jobs WHERE id = ?1",
        )?
        .query_row([id.0], |row| {
            Ok(Before {
                version: row.get(0)?,
                was_dead: row.get(1)?,
                attempts: row.get(2)?,
                requests: row.get(3)?,
                entries: row.get(4)?,
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

fn insert_attempts(transaction: &Connection, record: &Record, before: u32) -> Result<(), Rejected> {
    for (attempt, no) in record.attempts.iter().zip(before + 1..) {
        let end = attempt.end.as_ref();
        transaction
            .prepare_cached(
                "INSERT INTO attempts (job_id, no, service, external_id, started_at, body_sha256, ended_at, http_status,
                   response_code, class, detail)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                record.id.0,
                no,
                attempt.service.code(),
                attempt.external_id.as_str(),
                attempt.started_at.as_millis(),
                attempt.body_sha256,
                end.map(|end| end.ended_at.as_millis()),
                end.and_then(|end| end.http_status),
                end.and_then(|end| end.response_code.as_deref()),
                end.and_then(|end| end.class.as_deref()),
                end.and_then(|end| end.detail.as_deref()),
            ])?;
    }
    Ok(())
}

fn end_attempt(transaction: &Connection, id: JobId, end: &AttemptEnd) -> Result<(), Rejected> {
    let ended = transaction
        .prepare_cached(
            "UPDATE attempts SET ended_at = ?3, http_status = ?4, response_code = ?5, class = ?6, detail = ?7
             WHERE job_id = ?1 AND external_id = ?2",
        )?
        .execute(params![
            id.0,
            end.external_id.as_str(),
            end.ended_at.as_millis(),
            end.http_status,
            end.response_code,
            end.class,
            end.detail,
        ])?;
    if ended == 1 {
        return Ok(());
    }
    Err(StoreError::Refused(format!("job {id} has no attempt {}", end.external_id)).into())
}

/// Answers the outcomes' ids, and the one that is the job's terminal outcome now.
fn insert_outcomes(
    transaction: &Connection,
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

fn update_job(
    transaction: &Connection,
    record: &Record,
    engine: &str,
    before: &Before,
    attempts: u32,
    terminal: Option<i64>,
) -> Result<(), Rejected> {
    let answer = &record.answer;
    transaction
        .prepare_cached(
            "UPDATE jobs SET version = version + 1, state = ?2, engine = ?3, due_at = ?4, finished_at = ?5,
               reference_no = coalesce(?6, reference_no), response_code = coalesce(?7, response_code),
               response_message = coalesce(?8, response_message), fee_amount = coalesce(?9, fee_amount),
               attempts = ?10, requests = ?11, entries = ?12, outcome_id = ?13
             WHERE id = ?1",
        )?
        .execute(params![
            record.id.0,
            record.job.state.name(),
            engine,
            record.due_at.map(Timestamp::as_millis),
            record.job.state.is_final().then(|| record.at.as_millis()),
            answer.reference_no,
            answer.response_code,
            answer.response_message,
            answer.fee_amount.map(minor),
            attempts,
            before.requests + count(record.attempts.iter()),
            before.entries + count(record.history.iter()),
            terminal,
        ])?;
    Ok(())
}
