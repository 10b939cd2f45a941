//! What a store, or a copy of one, says of itself.

use std::path::Path;

use rusqlite::Connection;
use snap_core::Timestamp;

use crate::{OpenError, Store, StoreError, connection::sqlite, migrate, reconcile, rows};

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFacts {
    /// Which store it is.
    pub store_id: String,
    /// The version of its schema.
    pub schema: i64,
    /// How many commits it has seen.
    pub commits: i64,
    /// How many jobs it knows, the shrunken ones too.
    pub jobs: u64,
    /// How many dead letters, the closed ones too.
    pub dead_letters: u64,
    /// How many rows of the audit trail.
    pub audit_rows: u64,
    /// The newest time in it: of its last job, and its last record.
    pub newest: Option<Timestamp>,
    /// When it was copied; `None`: it is not a backup.
    pub copied_at: Option<Timestamp>,
}

impl StoreFacts {
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let count = |sql: &str| connection.query_row(sql, [], |row| rows::count(row, 0));
        let (store_id, commits, copied_at): (String, i64, Option<i64>) =
            connection.query_row("SELECT store_id, commit_seq, copied_at FROM meta WHERE id = 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        Ok(Self {
            store_id,
            schema: connection.query_row("PRAGMA user_version", [], |row| row.get(0))?,
            commits,
            jobs: count("SELECT count(*) FROM job_states")?,
            dead_letters: count("SELECT count(*) FROM dead_letters")?,
            audit_rows: count("SELECT count(*) FROM audit")?,
            newest: reconcile::newest(connection)?,
            copied_at: copied_at.map(Timestamp::from_millis),
        })
    }
}

impl Store {
    /// What it says of itself.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn facts(&self) -> Result<StoreFacts, StoreError> {
        self.read(|connection| Ok(StoreFacts::read(connection)?)).await
    }
}

/// Reads every page, row, index and reference of a copy that nothing else has open, and whether its trail is all there.
pub(crate) fn verify(connection: &Connection, path: &Path) -> Result<StoreFacts, OpenError> {
    let damaged = |detail: String| OpenError::Damaged { path: path.to_owned(), detail };
    migrate::must_match(connection, path)?;
    let says: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(sqlite(path))?;
    if says != "ok" {
        return Err(damaged(says));
    }
    let astray: u64 = connection
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| rows::count(row, 0))
        .map_err(sqlite(path))?;
    if astray > 0 {
        return Err(damaged(format!("{astray} rows name rows that are not there")));
    }
    let facts = StoreFacts::read(connection).map_err(sqlite(path))?;
    let noted: u64 = connection
        .query_row("SELECT audit_rows FROM meta WHERE id = 1", [], |row| rows::count(row, 0))
        .map_err(sqlite(path))?;
    if facts.audit_rows != noted {
        return Err(damaged(format!("its audit trail has {} rows of {noted}", facts.audit_rows)));
    }
    Ok(facts)
}
