//! What a record says of a job's past: history entries, requests and their ends, one JSON text a record.
//!
//! The text outlives this code: members are only ever added, and one that is missing reads as nothing.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use snap_core::{ExternalId, Service, Timestamp};

use crate::{
    Attempt, AttemptEnd, HistoryEntry, JobId, NewAttempt, Record,
    error::Rejected,
    rows::{self, unreadable},
    transaction::Transaction,
};

/// The notes of one record.
#[derive(Default, Serialize, Deserialize)]
struct Notes<'a> {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    history: Vec<Entry<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    requests: Vec<Request<'a>>,
    /// Of requests that an earlier record noted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ends: Vec<EndOf<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    at: i64,
    event: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_null")]
    detail: Cow<'a, serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct Request<'a> {
    id: Cow<'a, str>,
    service: u8,
    at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<End<'a>>,
}

#[derive(Serialize, Deserialize)]
struct EndOf<'a> {
    id: Cow<'a, str>,
    #[serde(flatten)]
    end: End<'a>,
}

#[derive(Serialize, Deserialize)]
struct End<'a> {
    at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
}

fn is_null(detail: &serde_json::Value) -> bool {
    detail.is_null()
}

/// The notes of a record, as they are stored.
pub(crate) fn text(record: &Record) -> String {
    let notes = Notes {
        history: record.history.iter().map(Entry::of).collect(),
        requests: record.attempts.iter().map(Request::of).collect(),
        ends: record.ends.iter().map(|end| EndOf { id: end.external_id.as_str().into(), end: End::of(end) }).collect(),
    };
    rows::written(&notes)
}

/// The newest time that the last record notes: nothing was recorded later.
pub(crate) fn newest(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let last = "SELECT happened FROM job_records WHERE record_no = (SELECT max(record_no) FROM job_records)";
    let text: Option<String> = connection.query_row(last, [], |row| row.get(0)).optional()?;
    // What cannot be read says nothing; who reads the job itself is told.
    let Some(notes) = text.as_deref().and_then(|text| serde_json::from_str::<Notes<'_>>(text).ok()) else {
        return Ok(None);
    };
    let events = notes.history.iter().map(|entry| entry.at);
    let requests = notes.requests.iter().flat_map(|request| [Some(request.at), request.end.as_ref().map(|end| end.at)]);
    let ends = notes.ends.iter().map(|end| end.end.at);
    Ok(events.chain(requests.flatten()).chain(ends).max().map(Timestamp::from_millis))
}

impl<'a> Entry<'a> {
    fn of(entry: &'a HistoryEntry) -> Self {
        Self { at: entry.at.as_millis(), event: entry.event.as_ref().into(), detail: Cow::Borrowed(&entry.detail) }
    }
}

impl<'a> Request<'a> {
    fn of(attempt: &'a NewAttempt) -> Self {
        Self {
            id: attempt.external_id.as_str().into(),
            service: attempt.service.code(),
            at: attempt.started_at.as_millis(),
            sha256: attempt.body_sha256.as_deref().map(Cow::Borrowed),
            end: attempt.end.as_ref().map(End::of),
        }
    }
}

impl<'a> End<'a> {
    fn of(end: &'a AttemptEnd) -> Self {
        Self {
            at: end.ended_at.as_millis(),
            http: end.http_status,
            code: end.response_code.as_deref().map(Cow::Borrowed),
            class: end.class.as_deref().map(Cow::Borrowed),
            detail: end.detail.as_deref().map(Cow::Borrowed),
        }
    }

    fn told(self, external_id: ExternalId) -> AttemptEnd {
        AttemptEnd {
            external_id,
            ended_at: Timestamp::from_millis(self.at),
            http_status: self.http,
            response_code: self.code.map(Cow::into_owned),
            class: self.class.map(|class| Cow::Owned(class.into_owned())),
            detail: self.detail.map(Cow::into_owned),
        }
    }
}

/// Appends what a record says; answers its number.
pub(crate) fn append(
    transaction: &Transaction<'_>,
    job: JobId,
    previous: Option<i64>,
    engine: &str,
    happened: &str,
) -> Result<i64, Rejected> {
    transaction
        .kept("INSERT INTO job_records (job_id, previous, engine, happened) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![job.0, previous, engine, happened])?;
    Ok(transaction.last_insert_rowid())
}

/// Whether a record of the job, from its last one backwards, noted this request.
pub(crate) fn has_request(transaction: &Transaction<'_>, last: Option<i64>, id: &ExternalId) -> Result<bool, Rejected> {
    let mut statement = transaction.kept("SELECT happened, previous FROM job_records WHERE record_no = ?1")?;
    // An external id is digits only: this is how its request is written.
    let written = ["\"id\":\"", id.as_str(), "\""].concat();
    let mut next = last;
    while let Some(no) = next {
        let (found, previous) = statement.query_row([no], |row| {
            let happened = String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?);
            Ok((happened.contains(&written), row.get(1)?))
        })?;
        if found {
            return Ok(true);
        }
        next = previous;
    }
    Ok(false)
}

fn account(engine: &str) -> Option<engine::Account> {
    serde_json::from_str::<engine::Job>(engine).ok().and_then(|job| job.evidence.account)
}

/// What a job's records say together.
#[derive(Default)]
pub(crate) struct Past {
    /// The oldest first.
    pub(crate) history: Vec<HistoryEntry>,
    /// The oldest first, each with its end where there is one.
    pub(crate) attempts: Vec<Attempt>,
}

/// Reads what happened to a job.
pub(crate) fn read(connection: &Connection, job: JobId) -> Result<Past, Rejected> {
    let mut next: Option<i64> = connection
        .prepare_cached("SELECT record_id FROM job_states WHERE job_id = ?1")?
        .query_row([job.0], |row| row.get(0))
        .optional()?
        .flatten();
    let mut texts = Vec::new();
    let mut statement =
        connection.prepare_cached("SELECT happened, previous, engine FROM job_records WHERE record_no = ?1")?;
    while let Some(no) = next {
        let (text, previous, engine): (String, _, String) =
            statement.query_row([no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        texts.push((text, engine));
        next = previous;
    }
    let bad = |what| unreadable(format!("job_records of job {job}"), what);
    let mut past = Past::default();
    for (text, engine) in texts.iter().rev() {
        let notes: Notes<'_> = serde_json::from_str(text).map_err(|_syntax| bad("its notes"))?;
        past.history.extend(notes.history.into_iter().map(|entry| HistoryEntry {
            at: Timestamp::from_millis(entry.at),
            event: Cow::Owned(entry.event.into_owned()),
            detail: entry.detail.into_owned(),
        }));
        for request in notes.requests {
            let id = ExternalId::try_from(request.id.into_owned()).map_err(|_form| bad("a request's id"))?;
            let service = Service::from_code(request.service).ok_or_else(|| bad("a request's service"))?;
            // An intent is recorded with what the state machine knew then: to whom it is sent stands there.
            let account = if service.moves_money() { account(engine) } else { None };
            past.attempts.push(Attempt {
                no: u32::try_from(past.attempts.len() + 1).unwrap_or(u32::MAX),
                service,
                account,
                started_at: Timestamp::from_millis(request.at),
                body_sha256: request.sha256.map(Cow::into_owned),
                end: request.end.map(|end| end.told(id.clone())),
                external_id: id,
            });
        }
        for EndOf { id, end } in notes.ends {
            let attempt = past.attempts.iter_mut().find(|attempt| attempt.external_id.as_str() == id);
            let attempt = attempt.ok_or_else(|| bad("the end of a request that is not there"))?;
            attempt.end = Some(end.told(attempt.external_id.clone()));
        }
    }
    Ok(past)
}
