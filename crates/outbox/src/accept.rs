//! Taking jobs in: the idempotent insert.

use rusqlite::{OptionalExtension as _, params};
use snap_core::{Private, Timestamp};

use crate::{
    Carried, ClosedAs, DeadLetterId, JobId, JobRequest, NewAudit, OutcomeId, Refusal, Store, StoreError, StoredJob,
    audit, dead_letters,
    error::Rejected,
    outcomes,
    rows::{self, minor},
    task::Room,
    tombstones::customer_digest,
    transaction::Transaction,
};

/// Builds the dead letter of a message whose key is taken by a job with other content. It is given the names of the
/// fields that differ, in the contract's words: `customerNumber`, `amount`, `provider`, `beneficiaryProvider`.
///
/// It is called on the writer thread, may be called twice for one message, and must not block.
pub type OnConflict = Box<dyn Fn(&[&'static str]) -> Refusal + Send + Sync>;

/// A job to take in.
pub struct NewJob {
    /// What is asked.
    pub request: JobRequest,
    /// What its outcomes carry on.
    pub carried: Carried,
    /// Its first state.
    pub job: engine::Job,
    /// Now.
    pub at: Timestamp,
    /// When it is due; `None`: the caller drives it at once.
    pub due_at: Option<Timestamp>,
    /// What to record instead where the key is taken by other content.
    pub on_conflict: OnConflict,
    /// The dead letter of a refused message that an operator gives another chance; closed in the same transaction.
    pub closes: Option<DeadLetterId>,
    /// What the audit trail says about it, where an operator acts.
    pub audit: Option<NewAudit>,
}

/// What became of a [`NewJob`].
#[derive(Debug)]
pub enum Accepted {
    /// It is recorded; where `due_at` was `None` it is the caller's to drive.
    New(Box<StoredJob>),
    /// The key was known, with the same content.
    Duplicate(Duplicate),
    /// The key was known, with other content: a dead letter was recorded.
    Conflict {
        /// The dead letter.
        dead_letter: DeadLetterId,
        /// The fields that differ.
        fields: Vec<&'static str>,
    },
}

/// How the first job with the key stands; a job of which only a tombstone is left is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicate {
    /// It ended; its outcome stands in the outbox again, with the id and body it had.
    Finished {
        /// The outcome; `None` where the job ended without one.
        outcome: Option<OutcomeId>,
    },
    /// It is under way: nothing happens.
    Unfinished,
    /// It stands before a person: nothing happens.
    Dead,
}

impl Store {
    /// Records jobs, all or none, and answers in their order. `Ok` means that the messages may be acknowledged.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::DeadLetterState`] where `closes` names nothing open, or any failure of the store.
    pub async fn accept(&self, jobs: Vec<NewJob>) -> Result<Vec<Accepted>, StoreError> {
        let prepared: Vec<Prepared> = jobs.into_iter().map(Prepared::new).collect();
        let (prepared, taken): (Vec<Prepared>, _) = self
            .write(Room::Ordinary, prepared, |transaction, jobs| {
                jobs.iter().map(|job| take(transaction, job)).collect()
            })
            .await?;
        Ok(prepared.into_iter().zip::<Vec<Taken>>(taken).map(|(prepared, taken)| taken.told(prepared.job)).collect())
    }
}

/// A job with what can be rendered off the writer thread.
pub(crate) struct Prepared {
    job: NewJob,
    engine: String,
}

impl Prepared {
    pub(crate) fn new(job: NewJob) -> Self {
        Self { engine: engine_text(&job.job), job }
    }

    pub(crate) const fn request(&self) -> &JobRequest {
        &self.job.request
    }
}

/// What the state machine knows, as it is stored.
pub(crate) fn engine_text(job: &engine::Job) -> String {
    rows::written(job)
}

/// What became of a [`Prepared`].
pub(crate) enum Taken {
    New(JobId),
    Duplicate(Duplicate),
    Conflict(DeadLetterId, Vec<&'static str>),
}

impl Taken {
    fn told(self, new: NewJob) -> Accepted {
        match self {
            Self::New(id) => Accepted::New(Box::new(StoredJob {
                id,
                version: 1,
                request: new.request,
                carried: new.carried,
                job: new.job,
                accepted_at: new.at,
                due_at: new.due_at,
                finished_at: None,
                reference_no: None,
                response_code: None,
                response_message: None,
                fee_amount: None,
                attempts: 0,
                requests: 0,
            })),
            Self::Duplicate(duplicate) => Accepted::Duplicate(duplicate),
            Self::Conflict(dead_letter, fields) => Accepted::Conflict { dead_letter, fields },
        }
    }
}

/// Takes one in; refusals may come after a change, so what `closes` names has to be open.
pub(crate) fn take(transaction: &Transaction<'_>, Prepared { job: new, engine }: &Prepared) -> Result<Taken, Rejected> {
    let taken = match insert(transaction, new, engine)? {
        Some(id) => Taken::New(id),
        None => compare(transaction, new)?,
    };
    if let Some(id) = &new.closes {
        let closed_as = if matches!(taken, Taken::Conflict(..)) { ClosedAs::Superseded } else { ClosedAs::Replayed };
        dead_letters::close_refused(transaction, id, closed_as, new.at)?;
    }
    if let Some(entry) = &new.audit {
        audit::append(transaction, entry)?;
    }
    Ok(taken)
}

/// `None`: the key is taken.
fn insert(transaction: &Transaction<'_>, new: &NewJob, engine: &str) -> Result<Option<JobId>, Rejected> {
    let NewJob { request, carried, job, at, due_at, .. } = new;
    let inserted = transaction
        .kept(
            "INSERT INTO job_states (partner_reference_no, provider, amount, accepted_at, state, version, due_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)
             ON CONFLICT (partner_reference_no) DO NOTHING",
        )?
        .execute(params![
            request.partner_reference_no.as_str(),
            request.provider,
            minor(request.amount),
            at.as_millis(),
            job.state.name(),
            due_at.map(Timestamp::as_millis),
        ])?;
    if inserted == 0 {
        return Ok(None);
    }
    let id = transaction.last_insert_rowid();
    transaction
        .kept(
            "INSERT INTO job_requests (id, customer_number, customer_name, notes, beneficiary_provider, beneficiary_email,
               not_after, metadata, correlation_id, message_id, traceparent, tracestate, first_engine)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            id,
            request.customer_number.expose(),
            request.customer_name.as_ref().map(Private::expose),
            request.notes.as_ref().map(Private::expose),
            request.beneficiary_provider,
            request.beneficiary_email.as_ref().map(Private::expose),
            request.not_after.map(Timestamp::as_millis),
            request.metadata.expose(),
            carried.correlation_id,
            carried.message_id,
            carried.traceparent,
            carried.tracestate,
            engine,
        ])?;
    Ok(Some(JobId(id)))
}

/// What is compared of the job that has the key.
struct First {
    /// `None` where only a tombstone is left.
    customer_number: Option<String>,
    /// Of a tombstone.
    customer_digest: Option<[u8; 16]>,
    amount: i64,
    provider: String,
    beneficiary_provider: Option<String>,
    state: String,
    outcome: Option<i64>,
}

/// The key is taken: by the same content, or by other.
fn compare(transaction: &Transaction<'_>, new: &NewJob) -> Result<Taken, Rejected> {
    let request = &new.request;
    let first = transaction
        .kept(
            "SELECT customer_number, amount, provider, beneficiary_provider, state, outcome_id, customer_digest FROM jobs
             WHERE partner_reference_no = ?1",
        )?
        .query_row([request.partner_reference_no.as_str()], |row| {
            Ok(First {
                customer_number: row.get(0)?,
                amount: row.get(1)?,
                provider: row.get(2)?,
                beneficiary_provider: row.get(3)?,
                state: row.get(4)?,
                outcome: row.get(5)?,
                customer_digest: row.get(6)?,
            })
        })
        .optional()?
        .ok_or_else(|| StoreError::Failed("a key is taken and not there".to_owned()))?;
    let same_customer = match (&first.customer_number, first.customer_digest) {
        (Some(number), _) => number == request.customer_number.expose(),
        (None, Some(digest)) => {
            digest == customer_digest(request.partner_reference_no.as_str(), request.customer_number.expose())
        }
        (None, None) => {
            return Err(StoreError::Failed("a key is taken, and its request is not there".to_owned()).into());
        }
    };
    let fields: Vec<&'static str> = [
        ("customerNumber", same_customer),
        ("amount", first.amount == minor(request.amount)),
        ("provider", first.provider == request.provider),
        ("beneficiaryProvider", first.beneficiary_provider == request.beneficiary_provider),
    ]
    .into_iter()
    .filter_map(|(field, same)| (!same).then_some(field))
    .collect();
    if !fields.is_empty() {
        let refusal = (new.on_conflict)(&fields);
        dead_letters::insert_refused(transaction, &refusal)?;
        return Ok(Taken::Conflict(refusal.id, fields));
    }
    Ok(Taken::Duplicate(match first.state.as_str() {
        "dead" => Duplicate::Dead,
        "succeeded" | "rejected" | "discarded" => {
            let outcome = first.outcome.map(OutcomeId);
            if let Some(outcome) = outcome {
                outcomes::publish_again(transaction, outcome, new.at)?;
            }
            Duplicate::Finished { outcome }
        }
        _ => Duplicate::Unfinished,
    }))
}
