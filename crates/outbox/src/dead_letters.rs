//! What stands before a person: refused messages and jobs that could not end.

use std::{fmt, time::Duration};

use engine::{DeadReason, MoneyState};
use rusqlite::{OptionalExtension as _, params};
use snap_core::{Amount, PartnerReferenceNo, Timestamp};

use crate::{
    DeadLetterId, JobId, NewAudit, NewOutcome, OutcomeId, Store, StoreError, audit, error::Rejected, outcomes, rows,
    task::Room, transaction::Transaction,
};

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
        f.debug_struct("Delivered").field("size", &self.size).finish_non_exhaustive()
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
    /// Another dead letter took its place: an edited message was refused again.
    Superseded,
}

impl ClosedAs {
    const ALL: [Self; 5] = [Self::Replayed, Self::Succeeded, Self::Rejected, Self::Discarded, Self::Superseded];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Succeeded => "succeeded",
            Self::Rejected => "rejected",
            Self::Discarded => "discarded",
            Self::Superseded => "superseded",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|closed_as| closed_as.as_str() == word)
    }

    /// How a job's dead letter is closed when the job goes from `dead` to `state`.
    pub(crate) const fn by_leaving_for(state: &engine::State) -> Self {
        match state {
            engine::State::Succeeded => Self::Succeeded,
            engine::State::Rejected { .. } => Self::Rejected,
            engine::State::Discarded { .. } => Self::Discarded,
            _ => Self::Replayed,
        }
    }
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
    /// The job's version when this was read: who acts on what was shown must name it.
    pub job_version: Option<i64>,
    /// Since when.
    pub dead_at: Timestamp,
    /// Since when it is closed, and how.
    pub closed: Option<(Timestamp, ClosedAs)>,
    /// The refused message; `None` for a job, and in lists.
    pub delivered: Option<Delivered>,
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
        self.write(Room::Ordinary, refusals, |transaction, refusals| {
            refusals.iter().try_for_each(|refusal| insert_refused(transaction, refusal))
        })
        .await?;
        Ok(())
    }

    /// Closes the dead letter of a refused message as discarded. A job's dead letter is closed by recording the job.
    ///
    /// # Errors
    /// [`StoreError::UnknownDeadLetter`], [`StoreError::DeadLetterState`], or any failure of the store.
    pub async fn discard_refused(&self, close: CloseDeadLetter) -> Result<Option<OutcomeId>, StoreError> {
        let (_, outcome) = self
            .write(Room::Reserved, close, |transaction, close| {
                close_refused(transaction, &close.id, ClosedAs::Discarded, close.at)?;
                audit::append(transaction, &close.audit)?;
                let insert = |outcome| outcomes::insert(transaction, None, outcome, close.at);
                close.outcome.as_ref().map(insert).transpose()
            })
            .await?;
        Ok(outcome)
    }

    /// Opens the dead letter of a refused message again, if it was closed as discarded.
    ///
    /// # Errors
    /// [`StoreError::UnknownDeadLetter`], [`StoreError::DeadLetterState`], or any failure of the store.
    pub async fn restore_refused(&self, id: &DeadLetterId, audit: NewAudit) -> Result<(), StoreError> {
        self.write(Room::Reserved, (id.clone(), audit), |transaction, (id, audit)| {
            let state = state(transaction, id)?;
            state.must_be_refused(id)?;
            if state.closed_as.as_deref() != Some(ClosedAs::Discarded.as_str()) {
                return Err(StoreError::DeadLetterState { id: id.clone(), why: "was not discarded" }.into());
            }
            transaction
                .execute("UPDATE dead_letters SET closed_at = NULL, closed_as = NULL WHERE id = ?1", [id.as_str()])?;
            audit::append(transaction, audit)?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Deletes dead letters that were closed before `before`, with their messages; answers how many.
    ///
    /// It goes in small steps, each a command of its own that rides in the writer's next group, with a pause between them:
    /// whoever records a job meanwhile hardly notices. The audit row is part of the first step; what a crash leaves is
    /// found by the next purge.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn purge_dead_letters(&self, before: Timestamp, audit: NewAudit) -> Result<u64, StoreError> {
        let mut audit = Some(audit);
        let mut purged = 0;
        loop {
            let (_, step) = self.write(Room::Reserved, (before, audit.take()), purge_some).await?;
            if step == 0 {
                return Ok(purged);
            }
            purged += step;
            tokio::time::sleep(PURGE_PAUSE).await;
        }
    }
}

/// Dead letters of one step of a purge, and the bytes of their messages after which it ends.
const PURGE_STEP: u64 = 64;
const PURGE_BYTES: i64 = 256 << 10;
/// Between two steps: the writer is free for most of the time.
const PURGE_PAUSE: Duration = Duration::from_millis(5);

fn purge_some(
    transaction: &Transaction<'_>,
    (before, audit): &mut (Timestamp, Option<NewAudit>),
) -> Result<u64, Rejected> {
    let mut closed = transaction.prepare_cached(
        "SELECT seq, coalesce(length(body), 0) FROM dead_letters INDEXED BY dead_letters_closed
         WHERE closed_at < ?1 ORDER BY closed_at LIMIT ?2",
    )?;
    let found = closed.query(params![before.as_millis(), PURGE_STEP.cast_signed()])?;
    let found: Vec<(i64, i64)> = rows::collect(found, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut delete = transaction.prepare_cached("DELETE FROM dead_letters WHERE seq = ?1")?;
    let (mut purged, mut bytes) = (0, 0);
    for (seq, length) in found {
        if bytes > PURGE_BYTES {
            break;
        }
        delete.execute([seq])?;
        bytes += length;
        purged += 1;
    }
    if let Some(entry) = audit {
        audit::append(transaction, entry)?;
    }
    Ok(purged)
}

/// Records a refused message and the event that says so.
pub(crate) fn insert_refused(transaction: &Transaction<'_>, refusal: &Refusal) -> Result<(), Rejected> {
    if let Some(closes) = &refusal.closes {
        close_refused(transaction, closes, ClosedAs::Superseded, refusal.at)?;
    }
    let delivered = &refusal.delivered;
    transaction
        .prepare_cached(
            "INSERT INTO dead_letters (id, claimed_reference, provider, reason, detail, money_state, dead_at, body, size,
               sha256, properties, headers)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            refusal.id.as_str(),
            refusal.claimed_reference,
            refusal.provider,
            refusal.reason.as_str(),
            refusal.detail,
            MoneyState::NeverSent.as_str(),
            refusal.at.as_millis(),
            delivered.body,
            i64::try_from(delivered.size).unwrap_or(i64::MAX),
            delivered.sha256,
            delivered.properties.to_string(),
            delivered.headers.to_string(),
        ])?;
    outcomes::insert(transaction, None, &refusal.outcome, refusal.at)?;
    if let Some(entry) = &refusal.audit {
        audit::append(transaction, entry)?;
    }
    Ok(())
}

/// Opens the dead letter of a job, or opens it again; another open one of the job gives way.
pub(crate) fn insert_of_job(
    transaction: &Transaction<'_>,
    job: JobId,
    dead_letter: &NewDeadLetter,
    at: Timestamp,
) -> Result<(), Rejected> {
    transaction
        .prepare_cached(
            "UPDATE dead_letters SET closed_at = ?3, closed_as = ?4
             WHERE job_id = ?1 AND id <> ?2 AND closed_at IS NULL",
        )?
        .execute(params![job.0, dead_letter.id.as_str(), at.as_millis(), ClosedAs::Superseded.as_str()])?;
    let opened = transaction
        .prepare_cached(
            "INSERT INTO dead_letters (id, job_id, provider, reason, detail, money_state, response_code, dead_at)
             VALUES (?1, ?2, (SELECT provider FROM job_states WHERE job_id = ?2), ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, detail = excluded.detail,
               money_state = excluded.money_state, response_code = excluded.response_code,
               closed_at = NULL, closed_as = NULL
             WHERE job_id = excluded.job_id",
        )?
        .execute(params![
            dead_letter.id.as_str(),
            job.0,
            dead_letter.reason.as_str(),
            dead_letter.detail,
            dead_letter.money_state.as_str(),
            dead_letter.response_code,
            at.as_millis(),
        ])?;
    if opened == 1 {
        return Ok(());
    }
    Err(StoreError::DeadLetterState { id: dead_letter.id.clone(), why: "belongs to something else" }.into())
}

/// Closes what is open of a job.
pub(crate) fn close_of_job(
    transaction: &Transaction<'_>,
    job: JobId,
    closed_as: ClosedAs,
    at: Timestamp,
) -> Result<(), Rejected> {
    transaction
        .prepare_cached(
            "UPDATE dead_letters SET closed_at = ?2, closed_as = ?3 WHERE job_id = ?1 AND closed_at IS NULL",
        )?
        .execute(params![job.0, at.as_millis(), closed_as.as_str()])?;
    Ok(())
}

/// Closes the open dead letter of a refused message.
pub(crate) fn close_refused(
    transaction: &Transaction<'_>,
    id: &DeadLetterId,
    closed_as: ClosedAs,
    at: Timestamp,
) -> Result<(), Rejected> {
    let state = state(transaction, id)?;
    state.must_be_refused(id)?;
    if state.closed_as.is_some() {
        return Err(StoreError::DeadLetterState { id: id.clone(), why: "is closed already" }.into());
    }
    transaction
        .prepare_cached("UPDATE dead_letters SET closed_at = ?2, closed_as = ?3 WHERE id = ?1")?
        .execute(params![id.as_str(), at.as_millis(), closed_as.as_str()])?;
    Ok(())
}

/// What decides whether a dead letter may be closed or opened.
struct LetterState {
    has_job: bool,
    closed_as: Option<String>,
}

impl LetterState {
    fn must_be_refused(&self, id: &DeadLetterId) -> Result<(), StoreError> {
        if self.has_job {
            return Err(StoreError::DeadLetterState { id: id.clone(), why: "belongs to a job" });
        }
        Ok(())
    }
}

fn state(transaction: &Transaction<'_>, id: &DeadLetterId) -> Result<LetterState, Rejected> {
    let state = transaction
        .prepare_cached("SELECT job_id IS NOT NULL, closed_as FROM dead_letters WHERE id = ?1")?
        .query_row([id.as_str()], |row| Ok(LetterState { has_job: row.get(0)?, closed_as: row.get(1)? }))
        .optional()?;
    state.ok_or_else(|| StoreError::UnknownDeadLetter(id.clone()).into())
}
