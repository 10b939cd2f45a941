//! The outbox proper: events that wait for their confirm.

use std::{fmt, ops::RangeInclusive};

use rusqlite::{Connection, params};
use snap_core::Timestamp;

use crate::{JobId, OutcomeId, Store, StoreError, error::Rejected, rows, task::Room, transaction::Transaction};

/// What is due in the outbox within a time, the bounds included.
pub(crate) const UNPUBLISHED: &str = "SELECT outcome_id, event_id, event_type, body, headers, postponed
     FROM outbox INDEXED BY outbox_unpublished CROSS JOIN outcomes ON id = outcome_id
     WHERE published_at IS NULL AND next_at BETWEEN ?1 AND ?2
     ORDER BY next_at, queued_at, outcome_id LIMIT ?3";
/// How much waits, from the index alone.
pub(crate) const BACKLOG: &str =
    "SELECT count(*), min(queued_at) FROM outbox INDEXED BY outbox_unpublished WHERE published_at IS NULL";
/// Marks a run of events.
pub(crate) const MARK: &str = "UPDATE outbox SET published_at = ?3 WHERE outcome_id BETWEEN ?1 AND ?2";

/// An event to publish.
#[derive(Clone, PartialEq, Eq)]
pub struct NewOutcome {
    /// Its id, the same for every publish.
    pub event_id: String,
    /// Its type, and routing key.
    pub event_type: String,
    /// The body, published byte for byte.
    pub body: Vec<u8>,
    /// AMQP properties and headers as the text of a JSON object, in the caller's terms.
    pub headers: String,
    /// Whether it tells how the job ended; it is what a repeated message is answered with.
    pub terminal: bool,
}

/// An event that waits to be published.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number.
    pub id: OutcomeId,
    /// Its id.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// AMQP properties and headers, as they were given.
    pub headers: String,
    /// How often it was postponed since it was last put into the outbox.
    pub postponed: u32,
}

/// An event in a job's timeline.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its number.
    pub id: OutcomeId,
    /// The job; `None` for a refused message.
    pub job: Option<JobId>,
    /// Its id.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When the broker confirmed it; `None` while it waits, for the first or for another time.
    pub published_at: Option<Timestamp>,
}

/// What waits in the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxBacklog {
    /// How many.
    pub pending: u64,
    /// Since when the oldest waits.
    pub oldest: Option<Timestamp>,
}

macro_rules! debug_without_body {
    ($row:ty) => {
        impl fmt::Debug for $row {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($row))
                    .field("event_id", &self.event_id)
                    .field("event_type", &self.event_type)
                    .finish_non_exhaustive()
            }
        }
    };
}

debug_without_body!(NewOutcome);
debug_without_body!(OutboxRow);
debug_without_body!(Outcome);

impl Store {
    /// Events to publish by `now`, the longest due first.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn unpublished(&self, now: Timestamp, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.waiting(i64::MIN..=now.as_millis(), limit).await
    }

    /// Events that are due later than `at` only. Nothing is put off for long: what seems to be was noted under a clock that
    /// ran ahead of this one.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn due_later_than(&self, at: Timestamp, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.waiting(at.as_millis().saturating_add(1)..=i64::MAX, limit).await
    }

    async fn waiting(&self, due: RangeInclusive<i64>, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let waiting = self.read(move |connection| {
            let mut statement = connection.prepare_cached(UNPUBLISHED)?;
            let rows = statement.query(params![due.start(), due.end(), limit])?;
            rows::collect(rows, |row| {
                Ok(OutboxRow {
                    id: OutcomeId(row.get(0)?),
                    event_id: row.get(1)?,
                    event_type: row.get(2)?,
                    body: row.get(3)?,
                    headers: row.get(4)?,
                    postponed: row.get(5)?,
                })
            })
        });
        let waiting = waiting.await?;
        // What is told has to be in the store.
        self.readers().still_named()?;
        Ok(waiting)
    }

    /// Marks events as confirmed by the broker.
    ///
    /// # Errors
    /// Any failure of the store; the events are then published again, with the same ids.
    pub async fn mark_published(&self, ids: Vec<OutcomeId>, now: Timestamp) -> Result<(), StoreError> {
        self.write(Room::Reserved, (ids, now), |transaction, (ids, now)| {
            ids.sort_unstable();
            let mut mark = transaction.kept(MARK)?;
            // Mostly one run, for events are published in the order of their numbers.
            for run in ids.chunk_by(|one, next| next.0 - one.0 <= 1) {
                mark.execute(params![run[0].0, run[run.len() - 1].0, now.as_millis()])?;
            }
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Puts off events that nobody takes, each to its time.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn postpone(&self, until: Vec<(OutcomeId, Timestamp)>) -> Result<(), StoreError> {
        self.write(Room::Reserved, until, |transaction, until| {
            let mut put_off = transaction.kept(
                "UPDATE outbox SET next_at = ?2, postponed = postponed + 1 WHERE outcome_id = ?1 AND published_at IS NULL",
            )?;
            for (id, at) in until.iter() {
                put_off.execute(params![id.0, at.as_millis()])?;
            }
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// How much waits.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn outbox_backlog(&self) -> Result<OutboxBacklog, StoreError> {
        self.read(|connection| {
            let backlog = connection.prepare_cached(BACKLOG)?.query_row([], |row| {
                Ok(OutboxBacklog { pending: rows::count(row, 0)?, oldest: rows::time(row, 1)? })
            })?;
            Ok(backlog)
        })
        .await
    }
}

/// Adds an event to the outbox.
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    job: Option<JobId>,
    outcome: &NewOutcome,
    at: Timestamp,
) -> Result<OutcomeId, Rejected> {
    transaction
        .kept(
            "INSERT INTO outcomes (job_id, event_id, event_type, terminal, body, headers, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            job.map(|job| job.0),
            outcome.event_id,
            outcome.event_type,
            outcome.terminal,
            outcome.body,
            outcome.headers,
            at.as_millis(),
        ])?;
    let id = transaction.last_insert_rowid();
    transaction
        .kept("INSERT INTO outbox (outcome_id, queued_at, next_at) VALUES (?1, ?2, ?2)")?
        .execute(params![id, at.as_millis()])?;
    Ok(OutcomeId(id))
}

/// Puts a published event into the outbox again, as it is; one that still waits stays where it is.
pub(crate) fn publish_again(transaction: &Transaction<'_>, id: OutcomeId, at: Timestamp) -> Result<(), Rejected> {
    transaction
        .kept(
            "UPDATE outbox SET published_at = NULL, queued_at = ?2, next_at = ?2, postponed = 0
             WHERE outcome_id = ?1 AND published_at IS NOT NULL",
        )?
        .execute(params![id.0, at.as_millis()])?;
    Ok(())
}

/// A later terminal outcome takes this one's place.
pub(crate) fn supersede(transaction: &Transaction<'_>, id: OutcomeId) -> Result<(), Rejected> {
    transaction.kept("UPDATE outcomes SET terminal = 0 WHERE id = ?1")?.execute([id.0])?;
    Ok(())
}

/// All events of a job, the oldest first.
pub(crate) fn of_job(connection: &Connection, job: JobId) -> Result<Vec<Outcome>, Rejected> {
    let mut statement = connection.prepare_cached(
        "SELECT id, job_id, event_id, event_type, body, created_at, published_at FROM outcomes JOIN outbox ON outcome_id = id
         WHERE id = (SELECT outcome_id FROM job_states WHERE job_id = ?1)
         UNION ALL
         SELECT id, job_id, event_id, event_type, body, created_at, published_at FROM outcomes JOIN outbox ON outcome_id = id
         WHERE job_id = ?1 AND terminal = 0
         ORDER BY 1",
    )?;
    let rows = statement.query([job.0])?;
    rows::collect(rows, |row| {
        Ok(Outcome {
            id: OutcomeId(row.get(0)?),
            job: row.get::<_, Option<i64>>(1)?.map(JobId),
            event_id: row.get(2)?,
            event_type: row.get(3)?,
            body: row.get(4)?,
            created_at: Timestamp::from_millis(row.get(5)?),
            published_at: rows::time(row, 6)?,
        })
    })
}
