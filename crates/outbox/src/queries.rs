//! Questions that operators and metrics ask.

use rusqlite::{Connection, Row, params_from_iter};
use snap_core::{CustomerNumber, PartnerReferenceNo, Timestamp};

use crate::{
    Attempt, DeadLetter, HistoryEntry, JobId, KnownJob, Outcome, Page, Store, StoreError, StoredJob, Total,
    dead_letter_queries,
    error::Rejected,
    filter::{Where, one_more},
    outcomes, past,
    rows::{self, unreadable},
    tombstones,
};

/// Which jobs.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// In one of these states, by the contract's words; empty: any.
    pub states: Vec<String>,
    /// Of this provider.
    pub provider: Option<String>,
    /// Of this customer; never one of which only a tombstone is left.
    pub customer: Option<CustomerNumber>,
    /// Accepted at or after.
    pub since: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
    /// This text in the key, the provider's number, the response code or message.
    pub matching: Option<String>,
    /// The oldest first instead of the newest.
    pub oldest_first: bool,
}

/// Jobs of one provider in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateTotal {
    /// The provider.
    pub provider: String,
    /// The state, by the contract's word.
    pub state: String,
    /// How many.
    pub count: u64,
    /// Their amounts.
    pub amount: Total,
    /// When the oldest was accepted.
    pub oldest: Timestamp,
}

/// Everything about one job.
#[derive(Clone)]
pub struct Timeline {
    /// The job; of a tombstone the history and the requests are gone, and of its events only the terminal one is left.
    pub job: KnownJob,
    /// Its history, the oldest first.
    pub history: Vec<HistoryEntry>,
    /// Its requests, the oldest first.
    pub attempts: Vec<Attempt>,
    /// Its events, the oldest first.
    pub outcomes: Vec<Outcome>,
    /// Its dead letters, the oldest first.
    pub dead_letters: Vec<DeadLetter>,
}

impl JobFilter {
    fn clause(self) -> Where {
        let mut clause = Where::new("1");
        clause.and_one_of("state", self.states);
        clause.and_value("provider = ?", self.provider);
        clause.and_value("customer_number = ?", self.customer.map(|customer| customer.expose().to_owned()));
        clause.and_value("accepted_at >= ?", self.since.map(Timestamp::as_millis));
        clause.and_value("accepted_at < ?", self.until.map(Timestamp::as_millis));
        clause.and_value(
            "(instr(lower(partner_reference_no), ?) OR instr(lower(reference_no), ?) OR instr(response_code, ?)
              OR instr(lower(response_message), ?))",
            self.matching.map(|text| text.to_lowercase()),
        );
        clause
    }
}

impl Store {
    /// The job with this key.
    ///
    /// # Errors
    /// [`StoreError::PastRetention`] where only a tombstone is left, or any failure to read.
    pub async fn find(&self, key: &PartnerReferenceNo) -> Result<Option<StoredJob>, StoreError> {
        let key = key.clone();
        self.read(move |connection| find(connection, &key)?.map(KnownJob::must_be_whole).transpose()).await
    }

    /// The job with this number.
    ///
    /// # Errors
    /// [`StoreError::PastRetention`] where only a tombstone is left, or any failure to read.
    pub async fn job(&self, id: JobId) -> Result<Option<StoredJob>, StoreError> {
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {} FROM jobs WHERE id = ?1", tombstones::columns()))?;
            let mut found = statement.query([id.0])?;
            found.next()?.map(|row| tombstones::known(row)?.must_be_whole()).transpose()
        })
        .await
    }

    /// A page of jobs behind `after`, by arrival.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn jobs(
        &self,
        filter: JobFilter,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Page<KnownJob, JobId>, StoreError> {
        self.read(move |connection| {
            let (order, behind) = if filter.oldest_first { ("ASC", "id > ?") } else { ("DESC", "id < ?") };
            let mut clause = filter.clause();
            clause.and_value(behind, after.map(|id| id.0));
            let (columns, limited) = (tombstones::columns(), one_more(limit));
            let sql = format!("SELECT {columns} FROM jobs{} ORDER BY id {order} LIMIT {limited}", clause.sql());
            let mut statement = connection.prepare(&sql)?;
            let found = statement.query(params_from_iter(clause.into_values()))?;
            Ok(Page::cut(rows::collect(found, tombstones::known)?, limit, KnownJob::id))
        })
        .await
    }

    /// Everything about one job.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn timeline(&self, key: &PartnerReferenceNo) -> Result<Option<Timeline>, StoreError> {
        let key = key.clone();
        self.read(move |connection| {
            let Some(job) = find(connection, &key)? else { return Ok(None) };
            let past = past::read(connection, job.id())?;
            Ok(Some(Timeline {
                history: past.history,
                attempts: past.attempts,
                outcomes: outcomes::of_job(connection, job.id())?,
                dead_letters: dead_letter_queries::of_job(connection, job.id())?,
                job,
            }))
        })
        .await
    }

    /// Totals of jobs that are not final, for metrics. Its cost grows with those, not with stored jobs.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn open_totals(&self) -> Result<Vec<StateTotal>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(OPEN_TOTALS)?;
            let found = statement.query([])?;
            add_up(found)
        })
        .await
    }

    /// Totals of the jobs the filter names, final ones too. Reads every stored job.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn totals(&self, filter: JobFilter) -> Result<Vec<StateTotal>, StoreError> {
        self.read(move |connection| {
            // What was asked is read only where the filter asks for it.
            let from = if filter.customer.is_some() { "jobs" } else { "job_states" };
            let clause = filter.clause();
            let mut statement = connection
                .prepare(&format!("SELECT provider, state, amount, accepted_at FROM {from}{}", clause.sql()))?;
            let found = statement.query(params_from_iter(clause.into_values()))?;
            add_up(found)
        })
        .await
    }
}

/// From the index alone.
pub(crate) const OPEN_TOTALS: &str =
    "SELECT provider, state, amount, accepted_at FROM job_states INDEXED BY jobs_open WHERE finished_at IS NULL";

/// Totals by provider and state, in their order. SQLite would sort all rows for it, in memory.
fn add_up(mut rows: rusqlite::Rows<'_>) -> Result<Vec<StateTotal>, Rejected> {
    let mut totals: Vec<StateTotal> = Vec::new();
    while let Some(row) = rows.next()? {
        let (provider, state) = (text(row, 0)?, text(row, 1)?);
        let amount = Total::from_minor(row.get::<_, i64>(2)?.unsigned_abs().into());
        let accepted_at = Timestamp::from_millis(row.get(3)?);
        match totals.iter_mut().find(|total| total.state == state && total.provider == provider) {
            Some(total) => {
                total.count += 1;
                total.amount = total.amount.plus(amount);
                total.oldest = total.oldest.min(accepted_at);
            }
            None => totals.push(StateTotal {
                provider: provider.to_owned(),
                state: state.to_owned(),
                count: 1,
                amount,
                oldest: accepted_at,
            }),
        }
    }
    totals.sort_by(|one, other| (&one.provider, &one.state).cmp(&(&other.provider, &other.state)));
    Ok(totals)
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, Rejected> {
    row.get_ref(column)?.as_str().map_err(|_not_text| unreadable("job_states", "its provider or state"))
}

fn find(connection: &Connection, key: &PartnerReferenceNo) -> Result<Option<KnownJob>, Rejected> {
    let columns = tombstones::columns();
    let mut statement =
        connection.prepare_cached(&format!("SELECT {columns} FROM jobs WHERE partner_reference_no = ?1"))?;
    let mut found = statement.query([key.as_str()])?;
    found.next()?.map(tombstones::known).transpose()
}
