//! Handing jobs to who drives them: what is due, and what a restart finds.

use std::fmt::Write as _;

use rusqlite::{Connection, OptionalExtension as _, params};
use snap_core::Timestamp;

use crate::{
    JobId, Record, Store, StoreError, StoredJob,
    error::Rejected,
    record::{self, Prepared},
    rows,
    task::Room,
    transaction::Transaction,
};

/// Jobs of one step of [`Store::recover`].
const STEP: usize = 256;

/// The due jobs of a lane, the longest due first; one whose request or record is missing too, so that it can be told.
pub(crate) const DUE: &str = "FROM job_states s INDEXED BY jobs_open LEFT JOIN job_requests ON id = s.job_id
       LEFT JOIN job_records ON record_no = s.record_id
     WHERE finished_at IS NULL AND provider = ?1 AND due_at <= ?2
     ORDER BY due_at LIMIT ?3";
/// When the next job of a lane is due.
pub(crate) const NEXT_DUE: &str = "SELECT due_at FROM job_states INDEXED BY jobs_open
     WHERE finished_at IS NULL AND provider = ?1 AND due_at IS NOT NULL
     ORDER BY due_at LIMIT 1";
/// The unfinished jobs, from the index alone; with `?1` those that wait too.
pub(crate) const UNFINISHED: &str = "SELECT job_id FROM job_states INDEXED BY jobs_open
     WHERE finished_at IS NULL AND state <> 'dead'
       AND (?1 OR due_at IS NULL OR state = 'sending')";

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
    /// Those that cannot be read back; they stay as they are.
    pub unreadable: u64,
}

impl Store {
    /// Takes up to `limit` jobs of a lane that are due, the longest due first. They are the caller's to drive: their
    /// version has grown, and nobody else is given them before a record or release makes them due again.
    ///
    /// # Errors
    /// [`StoreError::Full`] while there is no room for intents, or any failure of the store.
    pub async fn claim_due(&self, provider: &str, now: Timestamp, limit: usize) -> Result<Vec<StoredJob>, StoreError> {
        let input = (provider.to_owned(), now, i64::try_from(limit).unwrap_or(i64::MAX));
        let (_, jobs) = self.write(Room::Ordinary, input, |transaction, input| claim(transaction, input)).await?;
        Ok(jobs)
    }

    /// When the next job of a lane is due; cheap, and it does not disturb the writer.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn next_due(&self, provider: &str) -> Result<Option<Timestamp>, StoreError> {
        let provider = provider.to_owned();
        self.read(move |connection| {
            let due = connection.prepare_cached(NEXT_DUE)?.query_row([provider], |row| row.get(0)).optional()?;
            Ok(due.map(Timestamp::from_millis))
        })
        .await
    }

    /// Gives a job back as it is, due at `due_at`; answers its new version.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::UnknownJob`], or any failure of the store.
    pub async fn release(&self, id: JobId, version: i64, due_at: Timestamp) -> Result<i64, StoreError> {
        let input = (id, version, due_at);
        let (_, version) = self.write(Room::Reserved, input, |transaction, input| release(transaction, *input)).await?;
        Ok(version)
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
        mut plan: P,
    ) -> Result<RecoveryReport, StoreError>
    where
        P: FnMut(&StoredJob) -> Option<Record> + Send,
    {
        let mut ids = self.read(move |connection| unfinished(connection, scope)).await?;
        // In the order of their arrival.
        ids.sort_unstable();
        let mut report = RecoveryReport { found: ids.len() as u64, ..RecoveryReport::default() };
        for step in ids.chunks(STEP) {
            let step = step.to_vec();
            let jobs = self.read(move |connection| read_jobs(connection, &step)).await?;
            let mut changes = Vec::with_capacity(jobs.len());
            for job in jobs {
                let Some(job) = job else {
                    report.unreadable += 1;
                    continue;
                };
                if let Some(record) = plan(&job) {
                    changes.push(Change::Record(Box::new(Prepared::new(record))));
                } else if job.due_at.is_none() {
                    changes.push(Change::Release(job.id, job.version, now));
                }
            }
            let (_, done) = self.write(Room::Reserved, changes, apply).await?;
            report.recorded += done.recorded;
            report.released += done.released;
            report.fenced += done.fenced;
        }
        Ok(report)
    }
}

/// What [`Store::recover`] does to one job.
enum Change {
    Record(Box<Prepared>),
    Release(JobId, i64, Timestamp),
}

fn apply(transaction: &Transaction<'_>, changes: &mut Vec<Change>) -> Result<RecoveryReport, Rejected> {
    let mut done = RecoveryReport::default();
    for change in changes {
        let result = match change {
            Change::Record(prepared) => record::write(transaction, prepared).map(|_| done.recorded += 1),
            Change::Release(id, version, now) => {
                release(transaction, (*id, *version, *now)).map(|_| done.released += 1)
            }
        };
        match result {
            // An operator was there first; the fence comes before any change.
            Err(Rejected::Caller(StoreError::Fenced { .. })) => done.fenced += 1,
            other => other?,
        }
    }
    Ok(done)
}

/// [`DUE`] with the columns of [`rows::JOB`].
pub(crate) fn due() -> String {
    format!("SELECT s.job_{} {DUE}", rows::JOB)
}

fn claim(transaction: &Transaction<'_>, input: &(String, Timestamp, i64)) -> Result<Vec<StoredJob>, Rejected> {
    let (provider, now, limit) = input;
    let mut jobs = Vec::new();
    let mut lost = Vec::new();
    let sql = due();
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut due = statement.query(params![provider, now.as_millis(), limit])?;
    while let Some(row) = due.next()? {
        match rows::job(row) {
            Ok(job) => jobs.push(StoredJob { version: job.version + 1, due_at: None, ..job }),
            Err(Rejected::Caller(error)) => {
                // Handed out by nobody until the next start, so that it does not stand before the others for ever.
                tracing::error!(%error, "a due job cannot be read");
                lost.push(row.get(0)?);
            }
            Err(error) => return Err(error),
        }
    }
    drop(due);
    let mut take =
        transaction.prepare_cached("UPDATE job_states SET due_at = NULL, version = version + 1 WHERE job_id = ?1")?;
    for id in jobs.iter().map(|job| job.id.0).chain(lost) {
        take.execute([id])?;
    }
    Ok(jobs)
}

fn release(transaction: &Transaction<'_>, (id, version, due_at): (JobId, i64, Timestamp)) -> Result<i64, Rejected> {
    let released = transaction
        .prepare_cached("UPDATE job_states SET due_at = ?3, version = version + 1 WHERE job_id = ?1 AND version = ?2")?
        .execute(params![id.0, version, due_at.as_millis()])?;
    if released == 1 {
        return Ok(version + 1);
    }
    let found: Option<i64> = transaction
        .prepare_cached("SELECT version FROM job_states WHERE job_id = ?1")?
        .query_row([id.0], |row| row.get(0))
        .optional()?;
    Err(match found {
        Some(found) => StoreError::Fenced { id, expected: version, found },
        None => StoreError::UnknownJob(id),
    }
    .into())
}

fn unfinished(connection: &Connection, scope: RecoverScope) -> Result<Vec<i64>, Rejected> {
    let mut statement = connection.prepare_cached(UNFINISHED)?;
    let rows = statement.query([scope == RecoverScope::Unfinished])?;
    rows::collect(rows, |row| Ok(row.get(0)?))
}

/// Reads jobs; `None` for one that cannot be read.
fn read_jobs(connection: &Connection, ids: &[i64]) -> Result<Vec<Option<StoredJob>>, Rejected> {
    let mut sql = format!("SELECT {} FROM jobs WHERE id IN (", rows::JOB);
    for (n, id) in ids.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        write!(sql, "{comma}{id}").expect("a String takes everything");
    }
    sql.push(')');
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query([])?;
    rows::collect(rows, |row| match rows::job(row) {
        Ok(job) => Ok(Some(job)),
        Err(Rejected::Caller(error)) => {
            tracing::error!(%error, "an unfinished job cannot be read");
            Ok(None)
        }
        Err(error) => Err(error),
    })
}
