//! Questions about dead letters.

use engine::{DeadReason, MoneyState};
use rusqlite::{Connection, Row, params_from_iter};
use snap_core::{PartnerReferenceNo, Timestamp};

use crate::{
    ClosedAs, DeadLetter, DeadLetterId, Delivered, JobId, Page, Store, StoreError, Total,
    error::Rejected,
    filter::{Where, one_more, sum, total},
    rows::{self, unreadable},
};

/// Which dead letters.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterFilter {
    /// These only; empty: any.
    pub ids: Vec<DeadLetterId>,
    /// With this reason.
    pub reason: Option<DeadReason>,
    /// With this response code.
    pub response_code: Option<String>,
    /// Of this provider.
    pub provider: Option<String>,
    /// With this money state.
    pub money_state: Option<MoneyState>,
    /// Dead at or after.
    pub since: Option<Timestamp>,
    /// Dead before.
    pub until: Option<Timestamp>,
    /// This text in the detail, the key or the claimed key.
    pub matching: Option<String>,
    /// With this face.
    pub face: Option<DeadLetterFace>,
    /// Closed ones too.
    pub closed_too: bool,
}

/// What dead letters of one kind have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadLetterFace {
    /// The provider; `None`: not known.
    pub provider: Option<String>,
    /// Why.
    pub reason: DeadReason,
    /// The response code that led here; `None`: none did.
    pub response_code: Option<String>,
}

/// Dead letters with the same face, of which the same is known about the money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterGroup {
    /// What they have in common.
    pub face: DeadLetterFace,
    /// What is known about the money.
    pub money_state: MoneyState,
    /// How many.
    pub count: u64,
    /// The jobs' amounts.
    pub amount: Total,
    /// The first.
    pub oldest: Timestamp,
    /// The last.
    pub newest: Timestamp,
}

impl DeadLetterFilter {
    fn clause(self) -> Where {
        let mut clause = Where::new(if self.closed_too { "1" } else { "d.closed_at IS NULL" });
        clause.and_one_of("d.id", self.ids.iter().map(|id| id.as_str().to_owned()));
        clause.and_value("d.reason = ?", self.reason.map(|reason| reason.as_str().to_owned()));
        clause.and_value("d.response_code = ?", self.response_code);
        clause.and_value("d.provider = ?", self.provider);
        if let Some(face) = self.face {
            clause.and_value("d.provider IS ?", Some(face.provider));
            clause.and_value("d.reason = ?", Some(face.reason.as_str().to_owned()));
            clause.and_value("d.response_code IS ?", Some(face.response_code));
        }
        clause.and_value("d.money_state = ?", self.money_state.map(|state| state.as_str().to_owned()));
        clause.and_value("d.dead_at >= ?", self.since.map(Timestamp::as_millis));
        clause.and_value("d.dead_at < ?", self.until.map(Timestamp::as_millis));
        clause.and_value(
            "(instr(lower(d.detail), ?) OR instr(lower(s.partner_reference_no), ?) OR instr(lower(d.claimed_reference), ?))",
            self.matching.map(|text| text.to_lowercase()),
        );
        clause
    }
}

/// The columns [`dead_letter`] reads, in its order; the message's come behind them.
const DEAD_LETTER: &str = "d.id, d.job_id, s.partner_reference_no, d.claimed_reference, d.provider, d.reason, d.detail, \
     d.money_state, d.response_code, s.amount, s.attempts, d.dead_at, d.closed_at, d.closed_as, s.version";
const MESSAGE: &str = "d.body, d.size, d.sha256, d.properties, d.headers";
/// Not the view `jobs`: beside a LEFT JOIN SQLite would make a table of all of it.
const FROM: &str = "FROM dead_letters d LEFT JOIN job_states s ON s.job_id = d.job_id";
/// Open ones by reason, from the index alone.
pub(crate) const COUNTS: &str =
    "SELECT reason, count(*) FROM dead_letters INDEXED BY dead_letters_open WHERE closed_at IS NULL GROUP BY reason";

impl Store {
    /// A page of dead letters, the oldest first, behind `after` where given.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn dead_letters(
        &self,
        filter: DeadLetterFilter,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Page<DeadLetter, DeadLetterId>, StoreError> {
        self.read(move |connection| {
            let mut clause = filter.clause();
            clause.and_value("d.id > ?", after.map(|id| id.as_str().to_owned()));
            let sql = format!("SELECT {DEAD_LETTER} {FROM}{} ORDER BY d.id LIMIT {}", clause.sql(), one_more(limit));
            let mut statement = connection.prepare(&sql)?;
            let found = statement.query(params_from_iter(clause.into_values()))?;
            let letters = rows::collect(found, |row| dead_letter(row, false))?;
            Ok(Page::cut(letters, limit, |letter| letter.id.clone()))
        })
        .await
    }

    /// One dead letter with its message.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn dead_letter(&self, id: &DeadLetterId) -> Result<Option<DeadLetter>, StoreError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {DEAD_LETTER}, {MESSAGE} {FROM} WHERE d.id = ?1"))?;
            let mut found = statement.query([id.as_str()])?;
            found.next()?.map(|row| dead_letter(row, true)).transpose()
        })
        .await
    }

    /// Open dead letters by face, the most first; with [`DeadLetterFilter::closed_too`] closed ones as well.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn dead_letter_groups(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetterGroup>, StoreError> {
        self.read(move |connection| {
            let clause = filter.clause();
            let sql = format!(
                "SELECT d.provider, d.reason, d.response_code, d.money_state, count(*), {}, min(d.dead_at), max(d.dead_at)
                 {FROM}{} GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4",
                sum("s.amount"),
                clause.sql(),
            );
            let mut statement = connection.prepare(&sql)?;
            let found = statement.query(params_from_iter(clause.into_values()))?;
            rows::collect(found, group)
        })
        .await
    }

    /// Open dead letters by reason; reasons without one are left out.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn dead_letter_counts(&self) -> Result<Vec<(DeadReason, u64)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(COUNTS)?;
            let found = statement.query([])?;
            rows::collect(found, |row| {
                let word: String = row.get(0)?;
                Ok((rows::reason(&word, "dead_letters")?, rows::count(row, 1)?))
            })
        })
        .await
    }

    /// How many dead letters a purge would delete.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn count_purgeable(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.read(move |connection| {
            let count = connection.query_row(
                "SELECT count(*) FROM dead_letters INDEXED BY dead_letters_closed WHERE closed_at < ?1",
                [before.as_millis()],
                |row| rows::count(row, 0),
            );
            Ok(count?)
        })
        .await
    }
}

/// All dead letters of a job, the oldest first.
pub(crate) fn of_job(connection: &Connection, job: JobId) -> Result<Vec<DeadLetter>, Rejected> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {DEAD_LETTER} {FROM} WHERE d.job_id = ?1 ORDER BY d.seq"))?;
    let found = statement.query([job.0])?;
    rows::collect(found, |row| dead_letter(row, false))
}

fn dead_letter(row: &Row<'_>, with_message: bool) -> Result<DeadLetter, Rejected> {
    let id: String = row.get(0)?;
    let of = format!("dead_letters {id}");
    let partner_reference_no = row
        .get::<_, Option<String>>(2)?
        .map(PartnerReferenceNo::try_from)
        .transpose()
        .map_err(|_form| unreadable(&of, "its job's key"))?;
    let closed = match (rows::time(row, 12)?, row.get::<_, Option<String>>(13)?) {
        (Some(at), Some(word)) => {
            Some((at, ClosedAs::parse(&word).ok_or_else(|| unreadable(&of, "how it was closed"))?))
        }
        _ => None,
    };
    Ok(DeadLetter {
        job: row.get::<_, Option<i64>>(1)?.map(JobId),
        partner_reference_no,
        claimed_reference: row.get(3)?,
        provider: row.get(4)?,
        reason: rows::reason(&row.get::<_, String>(5)?, &of)?,
        detail: row.get(6)?,
        money_state: rows::money_state(&row.get::<_, String>(7)?, &of)?,
        response_code: row.get(8)?,
        amount: row.get::<_, Option<i64>>(9)?.and_then(rows::amount),
        attempts: row.get::<_, Option<u32>>(10)?.unwrap_or(0),
        job_version: row.get(14)?,
        dead_at: Timestamp::from_millis(row.get(11)?),
        closed,
        delivered: if with_message { message(row, &of)? } else { None },
        id: DeadLetterId::new(id),
    })
}

fn message(row: &Row<'_>, of: &str) -> Result<Option<Delivered>, Rejected> {
    let Some(body) = row.get(15)? else { return Ok(None) };
    Ok(Some(Delivered {
        body,
        size: u64::try_from(row.get::<_, i64>(16)?).unwrap_or(0),
        sha256: row.get(17)?,
        properties: rows::json(row, 18, of)?,
        headers: rows::json(row, 19, of)?,
    }))
}

fn group(row: &Row<'_>) -> Result<DeadLetterGroup, Rejected> {
    let of = "dead_letters";
    Ok(DeadLetterGroup {
        face: DeadLetterFace {
            provider: row.get(0)?,
            reason: rows::reason(&row.get::<_, String>(1)?, of)?,
            response_code: row.get(2)?,
        },
        money_state: rows::money_state(&row.get::<_, String>(3)?, of)?,
        count: rows::count(row, 4)?,
        amount: total(row, 5)?,
        oldest: Timestamp::from_millis(row.get(7)?),
        newest: Timestamp::from_millis(row.get(8)?),
    })
}
