//! The audit trail: a hash chain over what operators did.

use std::fmt::Write as _;

use rusqlite::{Connection, Row, params};
use sha2::{Digest as _, Sha256};
use snap_core::Timestamp;

use crate::{
    Store, StoreError,
    error::Rejected,
    rows::{self, json_text},
    task::Room,
    transaction::Transaction,
};

/// What an operator did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAudit {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What, in snake case: `dlq_replay`, `provider_pause`.
    pub action: String,
    /// To what: a key, a dead letter's id, a provider.
    pub subject: String,
    /// Why, in the operator's words.
    pub reason: String,
    /// More about it; no names, numbers or bodies. `Null`: nothing.
    pub detail: serde_json::Value,
}

/// A row of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place, from 1 without gaps.
    pub seq: u64,
    /// What was done.
    pub entry: NewAudit,
    /// SHA-256 over the row before and this one, lower-case hex.
    pub hash: String,
}

/// The end of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// How many rows.
    pub rows: u64,
    /// The last row's hash; 64 zeros for an empty trail.
    pub hash: String,
}

/// Where the trail is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// A row is missing.
    #[error("audit row {seq} is missing")]
    Missing {
        /// The row.
        seq: u64,
    },
    /// A row, or the one before it, was changed.
    #[error("audit row {seq} is not what was written")]
    Changed {
        /// The row.
        seq: u64,
    },
}

impl Store {
    /// Adds a row of its own, for actions that change nothing else; answers its number.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn audit_append(&self, entry: NewAudit) -> Result<u64, StoreError> {
        let (_, seq) = self.write(Room::Reserved, entry, |transaction, entry| append(transaction, entry)).await?;
        Ok(seq)
    }

    /// A page of the trail behind row `after`, the oldest first.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn audit_rows(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {ROW} FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2"))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let found = statement.query(params![i64::try_from(after).unwrap_or(i64::MAX), limit])?;
            rows::collect(found, row)
        })
        .await
    }

    /// Follows the whole chain.
    ///
    /// It finds every change by somebody who does not compute the chain anew. Keep the head elsewhere to find that too.
    ///
    /// # Errors
    /// Any failure to read. What was found is the inner result.
    pub async fn audit_verify(&self) -> Result<Result<AuditHead, AuditFault>, StoreError> {
        self.read(|connection| {
            let (rows, hash) = head(connection)?;
            let mut statement = connection.prepare_cached(&format!("SELECT {ROW} FROM audit ORDER BY seq"))?;
            let mut found = statement.query([])?;
            let (mut seq, mut before) = (0, [0; 32]);
            while let Some(row) = found.next()? {
                let stored = read(row)?;
                seq += 1;
                if stored.seq != seq {
                    return Ok(Err(AuditFault::Missing { seq: seq.unsigned_abs() }));
                }
                if stored.hash != stored.chained(&before) {
                    return Ok(Err(AuditFault::Changed { seq: seq.unsigned_abs() }));
                }
                before = stored.hash;
            }
            Ok(match () {
                () if seq < rows => Err(AuditFault::Missing { seq: (seq + 1).unsigned_abs() }),
                () if seq > rows || before != hash => Err(AuditFault::Changed { seq: seq.unsigned_abs() }),
                () => Ok(AuditHead { rows: seq.unsigned_abs(), hash: hex(&hash) }),
            })
        })
        .await
    }
}

/// The columns [`row`] reads, in its order.
pub(crate) const ROW: &str = "seq, at, by, action, subject, reason, detail, hash";

/// A row as it is hashed.
struct Stored {
    seq: i64,
    at: i64,
    by: String,
    action: String,
    subject: String,
    reason: String,
    detail: Option<String>,
    hash: [u8; 32],
}

impl Stored {
    /// SHA-256 over the hash before and every field with its length, so that no two rows read the same.
    fn chained(&self, before: &[u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(before);
        hash.update(self.seq.to_le_bytes());
        hash.update(self.at.to_le_bytes());
        for text in
            [&self.by, &self.action, &self.subject, &self.reason, self.detail.as_ref().unwrap_or(&String::new())]
        {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }
}

/// Adds a row to the chain; answers its number.
pub(crate) fn append(transaction: &Transaction<'_>, entry: &NewAudit) -> Result<u64, Rejected> {
    let (rows, before) = head(transaction)?;
    let NewAudit { at, by, action, subject, reason, detail } = entry.clone();
    let mut stored = Stored {
        seq: rows + 1,
        at: at.as_millis(),
        by,
        action,
        subject,
        reason,
        detail: json_text(&detail),
        hash: [0; 32],
    };
    stored.hash = stored.chained(&before);
    transaction
        .prepare_cached(
            "INSERT INTO audit (seq, at, by, action, subject, reason, detail, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            stored.seq,
            stored.at,
            stored.by,
            stored.action,
            stored.subject,
            stored.reason,
            stored.detail,
            stored.hash
        ])?;
    // Kept twice, so that rows missing at the end are missed.
    transaction
        .prepare_cached("UPDATE meta SET audit_rows = ?1, audit_hash = ?2 WHERE id = 1")?
        .execute(params![stored.seq, stored.hash])?;
    Ok(stored.seq.unsigned_abs())
}

fn head(connection: &Connection) -> rusqlite::Result<(i64, [u8; 32])> {
    connection
        .prepare_cached("SELECT audit_rows, audit_hash FROM meta WHERE id = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// A row for its readers.
pub(crate) fn row(row: &Row<'_>) -> Result<AuditRow, Rejected> {
    let stored = read(row)?;
    let detail = rows::json(row, 6, "audit")?;
    let (seq, hash) = (stored.seq.unsigned_abs(), hex(&stored.hash));
    let Stored { at, by, action, subject, reason, .. } = stored;
    let entry = NewAudit { at: Timestamp::from_millis(at), by, action, subject, reason, detail };
    Ok(AuditRow { seq, entry, hash })
}

fn read(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        seq: row.get(0)?,
        at: row.get(1)?,
        by: row.get(2)?,
        action: row.get(3)?,
        subject: row.get(4)?,
        reason: row.get(5)?,
        detail: row.get(6)?,
        hash: row.get(7)?,
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}
