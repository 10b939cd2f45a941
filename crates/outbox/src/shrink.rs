//! Forgetting, in small steps: jobs that ended long ago shrink to a tombstone, and tombstones may go after that.
//!
//! A step looks for candidates on a reader, and asks again in the writer's transaction whether each may go. Nothing goes
//! while the store may have forgotten something itself (M12), and never a job that is open or dead, or whose outcome waits.

use engine::State;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};
use snap_core::Timestamp;

use crate::{
    ClosedAs, Health, JobId, Store, StoreError, error::Rejected, reconcile, rows, task::Room,
    tombstones::customer_digest, transaction::Transaction,
};

/// Jobs of one step, and the bytes of their rows after which it ends.
pub(crate) const STEP: usize = 64;
const STEP_BYTES: i64 = 256 << 10;
/// Rows that one step looks through for them.
const LOOK: usize = 1024;

/// Jobs that still have their details, by arrival. Those that have none are not in the table: nothing is read twice but
/// what has to stay.
pub(crate) const WITH_DETAILS: &str = "SELECT r.id, accepted_at, finished_at
     FROM job_requests r CROSS JOIN job_states ON job_id = r.id
     WHERE r.id > ?1 ORDER BY r.id LIMIT ?2";
/// Tombstones, by arrival.
pub(crate) const WITHOUT_DETAILS: &str = "SELECT t.job_id, accepted_at, finished_at
     FROM tombstones t CROSS JOIN job_states s ON s.job_id = t.job_id
     WHERE t.job_id > ?1 ORDER BY t.job_id LIMIT ?2";

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Jobs that shrank, or were forgotten.
    pub done: u64,
    /// Where the next step goes on; `None`: nothing behind is old enough.
    pub next: Option<JobId>,
}

impl Store {
    /// One small step: jobs behind `after` that ended before `before` shrink to tombstones, if their outcome was
    /// confirmed. It rides in the writer's next group; whoever takes several steps pauses between them.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn shrink_some(
        &self,
        before: Timestamp,
        now: Timestamp,
        after: Option<JobId>,
    ) -> Result<Swept, StoreError> {
        self.sweep(WITH_DETAILS, after, before, now, shrink_step).await
    }

    /// One small step: the keys of tombstones behind `after` that ended, and were last told about, before `before` are
    /// forgotten. A message with such a key is a new job. A key stays while a dead letter belongs to it, and while a
    /// refused message that may claim it can still be let in.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn forget_some(&self, before: Timestamp, after: Option<JobId>) -> Result<Swept, StoreError> {
        self.sweep(WITHOUT_DETAILS, after, before, before, forget_step).await
    }

    async fn sweep(
        &self,
        sql: &'static str,
        after: Option<JobId>,
        before: Timestamp,
        now: Timestamp,
        work: fn(&Transaction<'_>, &mut Sweep) -> Result<Done, Rejected>,
    ) -> Result<Swept, StoreError> {
        let (found, mut next) = self.read(move |connection| candidates(connection, sql, after, before)).await?;
        if found.is_empty() {
            return Ok(Swept { done: 0, next });
        }
        if self.health() == Health::Full {
            // So that what this step writes finds its place in the WAL that is there, and takes none of what results need.
            self.fold().await?;
        }
        let (_, done) = self.write(Room::Reserved, Sweep { jobs: found, before, now }, work).await?;
        if let Some(cut) = done.cut {
            next = Some(cut);
        }
        Ok(Swept { done: done.count, next: if done.forbidden { None } else { next } })
    }
}

/// A step on its way to the writer.
struct Sweep {
    jobs: Vec<i64>,
    before: Timestamp,
    now: Timestamp,
}

#[derive(Default)]
struct Done {
    count: u64,
    /// The last job it came to, where it ended early.
    cut: Option<JobId>,
    /// Nothing may go now.
    forbidden: bool,
}

/// Jobs that ended before `before`, and where to go on. Jobs are numbered by arrival and end later: behind the first that
/// arrived since there is nothing to find.
fn candidates(
    connection: &Connection,
    sql: &str,
    after: Option<JobId>,
    before: Timestamp,
) -> Result<(Vec<i64>, Option<JobId>), Rejected> {
    let before = before.as_millis();
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![after.map_or(0, |id| id.0), i64::try_from(LOOK).unwrap_or(i64::MAX)])?;
    let (mut found, mut seen) = (Vec::with_capacity(STEP), 0);
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if row.get::<_, i64>(1)? >= before {
            return Ok((found, None));
        }
        if row.get::<_, Option<i64>>(2)?.is_some_and(|finished| finished < before) {
            found.push(id);
        }
        seen += 1;
        if found.len() == STEP || seen == LOOK {
            return Ok((found, Some(JobId(id))));
        }
    }
    Ok((found, None))
}

fn shrink_step(transaction: &Transaction<'_>, sweep: &mut Sweep) -> Result<Done, Rejected> {
    let mut done = Done { forbidden: reconcile::read(transaction)?.is_some(), ..Done::default() };
    if done.forbidden {
        return Ok(done);
    }
    let mut statements = Statements::prepare(transaction)?;
    let (mut shrunk, mut bytes) = (Vec::with_capacity(sweep.jobs.len()), 0);
    for &id in &sweep.jobs {
        if bytes > STEP_BYTES {
            done.cut = Some(JobId(id - 1));
            break;
        }
        if let Some(size) = statements.shrink(transaction, id, sweep)? {
            bytes += size;
            shrunk.push(id);
        }
    }
    done.count = shrunk.len() as u64;
    let mut forget = transaction.prepare_cached("DELETE FROM job_requests WHERE id BETWEEN ?1 AND ?2")?;
    let mut unamend = transaction.prepare_cached("DELETE FROM amendments WHERE job_id BETWEEN ?1 AND ?2")?;
    // Whoever has read a job meanwhile is fenced off: there is nothing left to act upon.
    let mut fence = transaction.prepare_cached(
        "UPDATE job_states SET version = version + 1, record_id = NULL WHERE job_id BETWEEN ?1 AND ?2",
    )?;
    // Mostly one run: jobs end in about the order in which they came.
    for run in shrunk.chunk_by(|one, next| next - one == 1) {
        let ends = [run[0], run[run.len() - 1]];
        forget.execute(ends)?;
        unamend.execute(ends)?;
        fence.execute(ends)?;
    }
    Ok(done)
}

/// What shrinks a job, prepared once for a step.
struct Statements<'c> {
    read: CachedStatement<'c>,
    other_events: CachedStatement<'c>,
    tombstone: CachedStatement<'c>,
    record: CachedStatement<'c>,
    drop_record: CachedStatement<'c>,
}

/// What a job is when it is about to shrink.
struct Ended {
    key: String,
    state: String,
    record: Option<i64>,
    customer_number: String,
    beneficiary_provider: Option<String>,
    engine: Option<String>,
    bytes: i64,
}

impl<'c> Statements<'c> {
    fn prepare(transaction: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            // Its end was confirmed by the broker, and no dead letter of it is open.
            read: transaction.prepare_cached(
                "SELECT partner_reference_no, s.state, s.record_id, customer_number, beneficiary_provider,
                   CASE WHEN s.record_id IS NULL THEN first_engine ELSE engine END,
                   length(metadata) + length(first_engine)
                 FROM job_states s JOIN job_requests r ON r.id = s.job_id JOIN outbox o ON o.outcome_id = s.outcome_id
                   LEFT JOIN job_records ON record_no = s.record_id
                 WHERE s.job_id = ?1 AND finished_at < ?2 AND published_at IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM dead_letters d WHERE d.job_id = s.job_id AND closed_at IS NULL)",
            )?,
            other_events: transaction.prepare_cached(
                "SELECT id, published_at IS NULL FROM outcomes INDEXED BY outcomes_by_job JOIN outbox ON outcome_id = id
                 WHERE job_id = ?1 AND terminal = 0",
            )?,
            tombstone: transaction.prepare_cached(
                "INSERT INTO tombstones (job_id, shrunk_at, customer_digest, beneficiary_provider, reason, money_state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            record: transaction.prepare_cached(
                "SELECT previous, length(engine) + length(happened) FROM job_records WHERE record_no = ?1",
            )?,
            drop_record: transaction.prepare_cached("DELETE FROM job_records WHERE record_no = ?1")?,
        })
    }

    /// Everything but the row of the request, and of the state. Answers the bytes of what goes; `None`: it has to stay.
    fn shrink(&mut self, transaction: &Transaction<'_>, id: i64, sweep: &Sweep) -> Result<Option<i64>, Rejected> {
        let ended = self.read.query_row(params![id, sweep.before.as_millis()], |row| {
            Ok(Ended {
                key: row.get(0)?,
                state: row.get(1)?,
                record: row.get(2)?,
                customer_number: row.get(3)?,
                beneficiary_provider: row.get(4)?,
                engine: row.get(5)?,
                bytes: row.get(6)?,
            })
        });
        let Some(ended) = ended.optional()? else { return Ok(None) };
        let events: Vec<(i64, bool)> =
            rows::collect(self.other_events.query([id])?, |row| Ok((row.get(0)?, row.get(1)?)))?;
        if events.iter().any(|(_, waits)| *waits) {
            return Ok(None);
        }
        let Some((reason, money)) = end_of(&ended) else {
            // Kept as it is, for who looks into it.
            tracing::error!(job = id, "the last record of a job that ended cannot be read");
            return Ok(None);
        };
        self.tombstone.execute(params![
            id,
            sweep.now.as_millis(),
            customer_digest(&ended.key, &ended.customer_number),
            ended.beneficiary_provider,
            reason,
            money,
        ])?;
        let mut bytes = ended.bytes;
        let mut next = ended.record;
        while let Some(no) = next {
            let found = self.record.query_row([no], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).optional()?;
            let Some((previous, size)) = found else { break };
            self.drop_record.execute([no])?;
            bytes += size;
            next = previous;
        }
        events.into_iter().try_for_each(|(event, _)| drop_outcome(transaction, event))?;
        Ok(Some(bytes))
    }
}

/// Why it ended so, and what is known of the money; `None`: its last record does not say it.
fn end_of(ended: &Ended) -> Option<(Option<&'static str>, &'static str)> {
    let job: engine::Job = serde_json::from_str(ended.engine.as_deref()?).ok()?;
    if job.state.name() != ended.state {
        return None;
    }
    let reason = match job.state {
        State::Succeeded => None,
        State::Rejected { reason } => Some(reason.as_str()),
        State::Discarded { reason } => Some(reason.as_str()),
        _ => return None,
    };
    Some((reason, job.evidence.money.as_str()))
}

fn drop_outcome(transaction: &Transaction<'_>, outcome: i64) -> Result<(), Rejected> {
    transaction.prepare_cached("DELETE FROM outbox WHERE outcome_id = ?1")?.execute([outcome])?;
    transaction.prepare_cached("DELETE FROM outcomes WHERE id = ?1")?.execute([outcome])?;
    Ok(())
}

fn forget_step(transaction: &Transaction<'_>, sweep: &mut Sweep) -> Result<Done, Rejected> {
    // A message whose key nobody could read may claim any.
    let forbidden = reconcile::read(transaction)?.is_some() || is_claimed(transaction, None)?;
    let mut done = Done { forbidden, ..Done::default() };
    for &id in sweep.jobs.iter().filter(|_| !forbidden) {
        if forget(transaction, id, sweep.before)? {
            done.count += 1;
        }
    }
    Ok(done)
}

fn forget(transaction: &Transaction<'_>, id: i64, before: Timestamp) -> Result<bool, Rejected> {
    let before = before.as_millis();
    let ended: Option<(String, i64)> = transaction
        .prepare_cached(
            "SELECT partner_reference_no, o.outcome_id
             FROM job_states s JOIN tombstones t ON t.job_id = s.job_id JOIN outbox o ON o.outcome_id = s.outcome_id
             WHERE s.job_id = ?1 AND finished_at < ?2 AND published_at < ?2",
        )?
        .query_row([id, before], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((key, outcome)) = ended else { return Ok(false) };
    let has_letter = || -> Result<bool, Rejected> {
        Ok(transaction.prepare_cached("SELECT 1 FROM dead_letters WHERE job_id = ?1")?.exists([id])?)
    };
    // The newest stays, so that no number is given twice.
    let is_newest = || -> Result<bool, Rejected> {
        Ok(transaction.prepare_cached("SELECT max(job_id) = ?1 FROM job_states")?.query_row([id], |row| row.get(0))?)
    };
    if has_letter()? || is_claimed(transaction, Some(&key))? || is_newest()? {
        return Ok(false);
    }
    drop_outcome(transaction, outcome)?;
    transaction.prepare_cached("DELETE FROM tombstones WHERE job_id = ?1")?.execute([id])?;
    transaction.prepare_cached("DELETE FROM job_states WHERE job_id = ?1")?.execute([id])?;
    Ok(true)
}

/// Whether a refused message that can still be let in claims this key; `None`: one whose key could not be read.
fn is_claimed(transaction: &Transaction<'_>, key: Option<&str>) -> Result<bool, Rejected> {
    let claimed = transaction
        .prepare_cached(
            "SELECT 1 FROM dead_letters INDEXED BY dead_letters_by_claim
             WHERE job_id IS NULL AND claimed_reference IS ?1 AND (closed_as IS NULL OR closed_as = ?2)",
        )?
        .exists(params![key, ClosedAs::Discarded.as_str()])?;
    Ok(claimed)
}
