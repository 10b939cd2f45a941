//! What is left of a job long after its end: what a repeated message, or a later question, still needs.

use rusqlite::Row;
use sha2::{Digest as _, Sha256};
use snap_core::{Amount, PartnerReferenceNo, Timestamp};

use crate::{
    JobId, StoreError, StoredJob,
    error::Rejected,
    rows::{self, unreadable},
};

/// A job whose details are past retention: what was asked beside key, provider and amount is gone, and so is what
/// happened until it ended. Its terminal outcome is kept as it was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Its number.
    pub id: JobId,
    /// The idempotency key.
    pub partner_reference_no: PartnerReferenceNo,
    /// The provider's name in the configuration.
    pub provider: String,
    /// What was credited, or was not.
    pub amount: Amount,
    /// The wallet, where the provider serves several.
    pub beneficiary_provider: Option<String>,
    /// `succeeded`, `rejected` or `discarded`.
    pub state: String,
    /// Why, where it did not succeed.
    pub reason: Option<String>,
    /// What is known about the money, in the contract's word.
    pub money_state: String,
    /// When it was recorded.
    pub accepted_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Since when its details are gone.
    pub shrunk_at: Timestamp,
    /// The provider's number of it.
    pub reference_no: Option<String>,
    /// The last response code that told something.
    pub response_code: Option<String>,
    /// The message beside it.
    pub response_message: Option<String>,
    /// The provider's fee.
    pub fee_amount: Option<Amount>,
    /// Top-up attempts.
    pub attempts: u32,
    /// Signed requests, of every service.
    pub requests: u32,
}

/// A job, as far as the store still knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownJob {
    /// Everything.
    Whole(Box<StoredJob>),
    /// What is left of it.
    Tombstone(Box<Tombstone>),
}

impl KnownJob {
    /// Its number.
    pub const fn id(&self) -> JobId {
        match self {
            Self::Whole(job) => job.id,
            Self::Tombstone(left) => left.id,
        }
    }

    /// The idempotency key.
    pub const fn partner_reference_no(&self) -> &PartnerReferenceNo {
        match self {
            Self::Whole(job) => &job.request.partner_reference_no,
            Self::Tombstone(left) => &left.partner_reference_no,
        }
    }

    /// When it was recorded.
    pub const fn accepted_at(&self) -> Timestamp {
        match self {
            Self::Whole(job) => job.accepted_at,
            Self::Tombstone(left) => left.accepted_at,
        }
    }

    /// Its state, by the contract's word.
    pub fn state(&self) -> &str {
        match self {
            Self::Whole(job) => job.job.state.name(),
            Self::Tombstone(left) => &left.state,
        }
    }

    /// The job, where everything is known of it.
    pub fn whole(self) -> Option<StoredJob> {
        match self {
            Self::Whole(job) => Some(*job),
            Self::Tombstone(_) => None,
        }
    }

    /// The job, for who needs everything of it.
    pub(crate) fn must_be_whole(self) -> Result<StoredJob, Rejected> {
        match self {
            Self::Whole(job) => Ok(*job),
            Self::Tombstone(left) => Err(StoreError::PastRetention(left.partner_reference_no).into()),
        }
    }
}

/// What a tombstone keeps of the customer's number: enough to say "the same" of a repeated message.
///
/// The key is part of it, so that no two jobs of one customer look alike. Whoever has the file and tries all numbers can
/// still find it: it is a pseudonym, not nothing.
pub(crate) fn customer_digest(key: &str, customer_number: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    // Keys and numbers have no line feed.
    for part in ["topup tombstone 1", "\n", key, "\n", customer_number] {
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    *digest.first_chunk().expect("32 bytes begin with 16")
}

/// The columns [`known`] reads of the view `jobs`, in its order: those of [`rows::JOB`], and a tombstone's.
pub(crate) fn columns() -> String {
    format!("{}, shrunk_at, reason, money_state", rows::JOB)
}

/// A row of [`columns`].
pub(crate) fn known(row: &Row<'_>) -> Result<KnownJob, Rejected> {
    let Some(shrunk_at) = rows::time(row, 27)? else { return rows::job(row).map(|job| KnownJob::Whole(Box::new(job))) };
    let id: i64 = row.get(0)?;
    let bad = |what| unreadable(format!("tombstones {id}"), what);
    Ok(KnownJob::Tombstone(Box::new(Tombstone {
        id: JobId(id),
        partner_reference_no: PartnerReferenceNo::try_from(row.get::<_, String>(2)?)
            .map_err(|_form| bad("partner_reference_no"))?,
        provider: row.get(3)?,
        amount: rows::amount(row.get(5)?).ok_or_else(|| bad("amount"))?,
        beneficiary_provider: row.get(8)?,
        accepted_at: Timestamp::from_millis(row.get(17)?),
        finished_at: rows::time(row, 19)?.ok_or_else(|| bad("finished_at"))?,
        reference_no: row.get(20)?,
        response_code: row.get(21)?,
        response_message: row.get(22)?,
        fee_amount: row.get::<_, Option<i64>>(23)?.and_then(rows::amount),
        attempts: row.get(24)?,
        requests: row.get(25)?,
        state: row.get(26)?,
        shrunk_at,
        reason: row.get(28)?,
        money_state: row.get(29)?,
    })))
}
