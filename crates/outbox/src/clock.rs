//! By which clock the store's times were noted, and putting them right where that clock was wrong (M17).

use engine::{Correction, State};
use rusqlite::{OptionalExtension as _, params};
use snap_core::Timestamp;

use crate::{
    HistoryEntry, JobId, NewAudit, Record, Store, StoreError, StoredJob,
    error::Rejected,
    record::{self, Prepared},
    rows,
    task::Room,
    transaction::Transaction,
};

/// The clock that decides, within one boot of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredClock {
    /// The boot's id.
    pub boot: String,
    /// So many milliseconds it is ahead of the time since boot.
    pub offset_ms: i64,
    /// Since when, by itself, ages are vouched for.
    pub known_since: Timestamp,
}

/// Jobs that wait, dead ones too.
const WAITING: &str = "SELECT job_id FROM job_states INDEXED BY jobs_open WHERE finished_at IS NULL";
/// Jobs that an operator closed and may still take back.
const DISCARDED: &str = "SELECT job_id FROM dead_letters INDEXED BY dead_letters_closed
     WHERE closed_at > 0 AND job_id IS NOT NULL AND closed_as = 'discarded'";

impl Store {
    /// The clock that the store's times were last noted by; `None`: of a store that is older than this note.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn clock(&self) -> Result<Option<StoredClock>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT clock_boot, clock_offset_ms, clock_known_since FROM meta WHERE id = 1";
            Ok(connection.query_row(sql, [], |row| {
                let (boot, offset_ms): (Option<String>, Option<i64>) = (row.get(0)?, row.get(1)?);
                let known_since = Timestamp::from_millis(row.get::<_, Option<i64>>(2)?.unwrap_or_default());
                Ok(boot.zip(offset_ms).map(|(boot, offset_ms)| StoredClock { boot, offset_ms, known_since }))
            })?)
        })
        .await
    }

    /// Notes by which clock times are noted from now on, and puts right what an earlier one left behind, all of it in one
    /// transaction; answers how many jobs were changed. For who holds the store alone.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn set_clock(
        &self,
        clock: Option<StoredClock>,
        correction: Option<Correction>,
        audit: Option<NewAudit>,
    ) -> Result<u64, StoreError> {
        let input = Settings { clock, correction, audit };
        let (_, changed) = self.write(Room::Reserved, input, set).await?;
        Ok(changed)
    }

    /// How many jobs [`Self::set_clock`] would put right.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn wrong_times(&self, correction: Correction) -> Result<u64, StoreError> {
        self.read(move |connection| {
            let mut wrong = 0;
            for id in waiting(connection)? {
                wrong += u64::from(job(connection, id)?.is_some_and(|job| job.job.corrected(&correction).is_some()));
            }
            Ok(wrong)
        })
        .await
    }
}

struct Settings {
    clock: Option<StoredClock>,
    correction: Option<Correction>,
    audit: Option<NewAudit>,
}

fn set(transaction: &Transaction<'_>, input: &mut Settings) -> Result<u64, Rejected> {
    if let Some(StoredClock { boot, offset_ms, known_since }) = &input.clock {
        transaction.execute(
            "UPDATE meta SET clock_boot = ?1, clock_offset_ms = ?2, clock_known_since = ?3 WHERE id = 1",
            params![boot, offset_ms, known_since.as_millis()],
        )?;
    }
    let mut changed = 0;
    if let Some(correction) = &input.correction {
        for id in waiting(transaction)? {
            if let Some(job) = job(transaction, id)? {
                changed += u64::from(correct(transaction, &job, correction)?);
            }
        }
        the_rest(transaction, correction)?;
    }
    if let Some(entry) = &input.audit {
        crate::audit::append(transaction, entry)?;
    }
    Ok(changed)
}

fn waiting(connection: &rusqlite::Connection) -> Result<Vec<i64>, Rejected> {
    let mut ids = Vec::new();
    for sql in [WAITING, DISCARDED] {
        let mut statement = connection.prepare(sql)?;
        let found: Vec<i64> = rows::collect(statement.query([])?, |row| Ok(row.get(0)?))?;
        ids.extend(found);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// A job; none that cannot be read, or that has shrunk.
fn job(connection: &rusqlite::Connection, id: i64) -> Result<Option<StoredJob>, Rejected> {
    let mut statement = connection.prepare_cached(&format!("SELECT {} FROM jobs WHERE id = ?1", rows::JOB))?;
    let mut found = statement.query([id])?;
    let Some(row) = found.next()? else { return Ok(None) };
    match rows::job(row) {
        Ok(job) => Ok(Some(job)),
        Err(Rejected::Caller(error)) => {
            tracing::error!(%error, "a job cannot be read: its times stay as they are");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn correct(transaction: &Transaction<'_>, job: &StoredJob, correction: &Correction) -> Result<bool, Rejected> {
    let Some(right) = job.job.corrected(correction) else {
        // A job that was given back for a pause of its lane's waits by this column alone.
        if let Some(due) = job.due_at.filter(|due| correction.due(*due) != *due) {
            set_due(transaction, job.id, correction.due(due))?;
        }
        return Ok(false);
    };
    let mut record = Record::new(job.id, job.version, right, correction.now);
    record.due_at = job.due_at.map(|due| correction.due(due));
    if matches!(record.job.state, State::Sending { .. }) {
        record.due_at = None;
    }
    let detail = serde_json::json!({ "detail": "the clock was put right" });
    record.history.push(HistoryEntry { at: correction.now, event: "clock_corrected".into(), detail });
    record::write(transaction, &Prepared::new(record))?;
    if let State::Discarded { .. } = job.job.state {
        let finished = job.finished_at.map(Timestamp::as_millis);
        transaction.execute("UPDATE job_states SET finished_at = ?2 WHERE job_id = ?1", params![job.id.0, finished])?;
    }
    Ok(true)
}

fn set_due(transaction: &Transaction<'_>, id: JobId, due: Timestamp) -> Result<(), Rejected> {
    transaction
        .prepare_cached("UPDATE job_states SET due_at = ?2, version = version + 1 WHERE job_id = ?1")?
        .execute(params![id.0, due.as_millis()])?;
    Ok(())
}

/// Whatever else waits for a time, or was noted after now.
fn the_rest(transaction: &Transaction<'_>, correction: &Correction) -> Result<(), Rejected> {
    let now = correction.now.as_millis();
    transaction.execute("UPDATE outbox SET next_at = ?1 WHERE published_at IS NULL AND next_at > ?1", [now])?;
    transaction.execute(
        "UPDATE plans INDEXED BY plans_open SET next_at_us = ?1
           WHERE (finished_at IS NULL OR (state = 'cancelled' AND replayed > 0)) AND next_at_us > ?1",
        [now.saturating_mul(1000)],
    )?;
    // M12: what was asked about by now was asked about before the mark, and is asked about once more.
    let after = now.saturating_add(1);
    transaction.execute("UPDATE meta SET reconcile_since = ?1 WHERE id = 1 AND reconcile_since > ?1", [after])?;
    transaction.execute("UPDATE meta SET restored_at = ?1 WHERE id = 1 AND restored_at > ?1", [after])?;
    let known: Option<i64> = transaction
        .query_row("SELECT reconcile_known_until FROM meta WHERE id = 1", [], |row| row.get(0))
        .optional()?
        .flatten();
    // Up to when a copy knows every key cannot be told by a clock that was wrong then.
    let is_wrong = |known: i64| match correction.ahead {
        Some((since, _)) => known >= since.as_millis(),
        None => known > now || correction.unknown_since.is_some_and(|since| known >= since.as_millis()),
    };
    if let Some(known) = known.filter(|known| is_wrong(*known)) {
        let right = correction.ahead.map(|(_, by)| Timestamp::from_millis(known).minus(by).as_millis());
        transaction.execute("UPDATE meta SET reconcile_known_until = ?1 WHERE id = 1", [right])?;
    }
    Ok(())
}
