//! Questions that operators and metrics ask.

use rusqlite::{Connection, Row, params_from_iter};
use snap_core::{CustomerNumber, PartnerReferenceNo, Timestamp};

use crate::{
    Attempt, DeadLetter, HistoryEntry, JobId, Outcome, Page, Store, StoreError, StoredJob, Total, dead_letter_queries,
    error::Rejected,
    filter::{Where, one_more, sum, total},
    outcomes, rows,
};

/// Which jobs.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// In one of these states, by the contract's words; empty: any.
    pub states: Vec<String>,
    /// Of this provider.
    pub provider: Option<String>,
    /// Of this customer.
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
    /// The job.
    pub job: StoredJob,
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
    /// Any failure to read.
    pub async fn find(&self, key: &PartnerReferenceNo) -> Result<Option<StoredJob>, StoreError> {
        let key = key.clone();
        self.read(move |connection| find(connection, &key)).await
    }

    /// The job with this number.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn job(&self, id: JobId) -> Result<Option<StoredJob>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {} FROM jobs WHERE id = ?1", rows::JOB))?;
            let mut found = statement.query([id.0])?;
            found.next()?.map(rows::job).transpose()
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
    ) -> Result<Page<StoredJob, JobId>, StoreError> {
        self.read(move |connection| {
            let (order, behind) = if filter.oldest_first { ("ASC", "id > ?") } else { ("DESC", "id < ?") };
            let mut clause = filter.clause();
            clause.and_value(behind, after.map(|id| id.0));
            let sql =
                format!("SELECT {} FROM jobs{} ORDER BY id {order} LIMIT {}", rows::JOB, clause.sql(), one_more(limit));
            let mut statement = connection.prepare(&sql)?;
            let found = statement.query(params_from_iter(clause.into_values()))?;
            Ok(Page::cut(rows::collect(found, rows::job)?, limit, |job| job.id))
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
            Ok(Some(Timeline {
                history: history(connection, job.id)?,
                attempts: attempts(connection, job.id)?,
                outcomes: outcomes::of_job(connection, job.id)?,
                dead_letters: dead_letter_queries::of_job(connection, job.id)?,
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
            let mut statement = connection.prepare_cached(&open_totals_sql())?;
            let found = statement.query([])?;
            rows::collect(found, state_total)
        })
        .await
    }

    /// Totals of the jobs the filter names, final ones too. Reads every stored job.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn totals(&self, filter: JobFilter) -> Result<Vec<StateTotal>, StoreError> {
        self.read(move |connection| {
            let clause = filter.clause();
            let sql = format!(
                "SELECT provider, state, count(*), {}, min(accepted_at) FROM jobs{} GROUP BY provider, state ORDER BY 1, 2",
                sum("amount"),
                clause.sql()
            );
            let mut statement = connection.prepare(&sql)?;
            let found = statement.query(params_from_iter(clause.into_values()))?;
            rows::collect(found, state_total)
        })
        .await
    }
}

/// From the index alone.
pub(crate) fn open_totals_sql() -> String {
    format!(
        "SELECT provider, state, count(*), {}, min(accepted_at) FROM jobs INDEXED BY jobs_open
         WHERE finished_at IS NULL GROUP BY provider, state",
        sum("amount")
    )
}

fn find(connection: &Connection, key: &PartnerReferenceNo) -> Result<Option<StoredJob>, Rejected> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {} FROM jobs WHERE partner_reference_no = ?1", rows::JOB))?;
    let mut found = statement.query([key.as_str()])?;
    found.next()?.map(rows::job).transpose()
}

fn history(connection: &Connection, job: JobId) -> Result<Vec<HistoryEntry>, Rejected> {
    let mut statement =
        connection.prepare_cached("SELECT at, event, detail FROM history WHERE job_id = ?1 ORDER BY no")?;
    let found = statement.query([job.0])?;
    rows::collect(found, |row| {
        Ok(HistoryEntry {
            at: Timestamp::from_millis(row.get(0)?),
            event: row.get::<_, String>(1)?.into(),
            detail: rows::json(row, 2, "history")?,
        })
    })
}

fn attempts(connection: &Connection, job: JobId) -> Result<Vec<Attempt>, Rejected> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {} FROM attempts WHERE job_id = ?1 ORDER BY no", rows::ATTEMPT))?;
    let found = statement.query([job.0])?;
    rows::collect(found, rows::attempt)
}

fn state_total(row: &Row<'_>) -> Result<StateTotal, Rejected> {
    Ok(StateTotal {
        provider: row.get(0)?,
        state: row.get(1)?,
        count: rows::count(row, 2)?,
        amount: total(row, 3)?,
        oldest: Timestamp::from_millis(row.get(5)?),
    })
}
