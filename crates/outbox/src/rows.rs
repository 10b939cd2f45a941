//! From rows to values, and back to what rows keep as JSON.

use engine::{DeadReason, MoneyState};
use rusqlite::Row;
use serde::Serialize;
use snap_core::{Amount, CustomerNumber, PartnerReferenceNo, Private, Timestamp};

use crate::{Carried, JobId, JobRequest, StoreError, StoredJob, error::Rejected};

/// The columns [`job`] reads, in its order; of the view `jobs` or the tables behind it.
pub(crate) const JOB: &str = "id, version, partner_reference_no, provider, customer_number, amount, customer_name, notes, \
     beneficiary_provider, beneficiary_email, not_after, metadata, correlation_id, message_id, traceparent, tracestate, \
     CASE WHEN record_id IS NULL THEN first_engine ELSE engine END, accepted_at, due_at, finished_at, reference_no, \
     response_code, response_message, fee_amount, attempts, requests, state";

/// A row of [`JOB`].
pub(crate) fn job(row: &Row<'_>) -> Result<StoredJob, Rejected> {
    let id: i64 = row.get(0)?;
    let bad = |why: &str| Unreadable { row: format!("jobs {id}"), why: why.to_owned() };
    // Of two tables: a damaged store must not make a job that was sent look like one that never was.
    let engine: &str = row.get_ref(16)?.as_str().map_err(|_not_text| bad("its last record is missing"))?;
    // The parser's words may hold a name: only the place is told.
    let job: engine::Job =
        serde_json::from_str(engine).map_err(|error| bad(&format!("engine, at column {}", error.column())))?;
    if row.get_ref(26)?.as_str() != Ok(job.state.name()) {
        return Err(bad("its state is not that of its last record").into());
    }
    Ok(StoredJob {
        id: JobId(id),
        version: row.get(1)?,
        request: JobRequest {
            partner_reference_no: row
                .get::<_, Option<String>>(2)?
                .and_then(|text| PartnerReferenceNo::try_from(text).ok())
                .ok_or_else(|| bad("partner_reference_no"))?,
            provider: row.get(3)?,
            customer_number: CustomerNumber::parse(row.get_ref(4)?.as_str().unwrap_or_default())
                .map_err(|_form| bad("customer_number"))?,
            amount: amount(row.get(5)?).ok_or_else(|| bad("amount"))?,
            customer_name: private(row, 6)?,
            notes: private(row, 7)?,
            beneficiary_provider: row.get(8)?,
            beneficiary_email: private(row, 9)?,
            not_after: time(row, 10)?,
            metadata: Private::from(row.get::<_, String>(11)?),
        },
        carried: Carried {
            correlation_id: row.get(12)?,
            message_id: row.get(13)?,
            traceparent: row.get(14)?,
            tracestate: row.get(15)?,
        },
        job,
        accepted_at: Timestamp::from_millis(row.get(17)?),
        due_at: time(row, 18)?,
        finished_at: time(row, 19)?,
        reference_no: row.get(20)?,
        response_code: row.get(21)?,
        response_message: row.get(22)?,
        fee_amount: row.get::<_, Option<i64>>(23)?.and_then(amount),
        attempts: row.get(24)?,
        requests: row.get(25)?,
    })
}

/// A row that cannot be read back.
struct Unreadable {
    row: String,
    why: String,
}

impl From<Unreadable> for Rejected {
    fn from(Unreadable { row, why }: Unreadable) -> Self {
        Self::Caller(StoreError::Unreadable { row, why })
    }
}

/// Says that a row cannot be read back.
pub(crate) fn unreadable(row: impl Into<String>, why: &str) -> Rejected {
    Unreadable { row: row.into(), why: why.to_owned() }.into()
}

/// An amount of stored minor units.
pub(crate) fn amount(minor: i64) -> Option<Amount> {
    u64::try_from(minor).ok().and_then(Amount::from_minor)
}

/// A number of rows.
pub(crate) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}

/// Minor units to store.
pub(crate) fn minor(amount: Amount) -> i64 {
    i64::try_from(amount.minor()).expect("an amount has at most 18 digits")
}

/// A time that may be missing.
pub(crate) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

fn private(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Private>> {
    Ok(row.get::<_, Option<String>>(column)?.map(Private::from))
}

/// JSON that may be missing.
pub(crate) fn json(row: &Row<'_>, column: usize, of: &str) -> Result<serde_json::Value, Rejected> {
    match row.get_ref(column)?.as_str_or_null() {
        Ok(None) => Ok(serde_json::Value::Null),
        Ok(Some(text)) => serde_json::from_str(text).map_err(|_syntax| unreadable(of, "its JSON")),
        Err(_not_text) => Err(unreadable(of, "its JSON")),
    }
}

/// Bytes: a little more than what the state machine knows of a job takes, or what one of its records says.
const USUAL_TEXT: usize = 512;

/// What is kept of a job as JSON, with texts for keys.
pub(crate) fn written(value: &impl Serialize) -> String {
    let mut text = Vec::with_capacity(USUAL_TEXT);
    serde_json::to_writer(&mut text, value).expect("it has only texts for keys");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// JSON to store; `Null` is stored as nothing.
pub(crate) fn json_text(value: &serde_json::Value) -> Option<String> {
    (!value.is_null()).then(|| value.to_string())
}

/// The reason of a stored word.
pub(crate) fn reason(word: &str, of: &str) -> Result<DeadReason, Rejected> {
    DeadReason::parse(word).ok_or_else(|| unreadable(of, "its reason"))
}

/// The money state of a stored word.
pub(crate) fn money_state(word: &str, of: &str) -> Result<MoneyState, Rejected> {
    MoneyState::parse(word).ok_or_else(|| unreadable(of, "its money state"))
}

/// All rows of a query.
pub(crate) fn collect<T>(
    mut rows: rusqlite::Rows<'_>,
    read: impl Fn(&Row<'_>) -> Result<T, Rejected>,
) -> Result<Vec<T>, Rejected> {
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        values.push(read(row)?);
    }
    Ok(values)
}
