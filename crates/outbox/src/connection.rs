//! Connections and the settings the store's promises rest on.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{OpenError, error::describe};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Writes beside a thread that checkpoints.
    Worker,
    /// Writes and checkpoints by itself: a command beside the worker, or without one.
    Command,
    /// Checkpoints.
    Checkpoint,
    /// Reads.
    Reader,
}

/// How long a connection waits for another process.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The WAL is cut back to this when it starts from its beginning again.
const JOURNAL_SIZE_LIMIT: i64 = 64 << 20;
/// Distinct statements of one connection; all stay prepared.
const STATEMENTS: usize = 96;

/// Opens a connection to a file that exists and is one of ours.
pub(crate) fn open(path: &Path, role: Role) -> Result<Connection, OpenError> {
    let access =
        if role == Role::Reader { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let connection =
        Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(sqlite(path))?;
    #[cfg(test)]
    let connection = crate::tests::plans::watched(connection);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite(path))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A plan does not depend on what is bound, and a statement is not prepared anew with each other value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(sqlite(path))?;
    Ok(connection)
}

/// Applies the settings and reads them back.
///
/// Source: SQLite's documentation of each pragma. In WAL mode `synchronous = NORMAL` loses acknowledged commits on
/// power loss; `FULL` does not.
pub(crate) fn configure(connection: &Connection, path: &Path, role: Role, cache_kib: u32) -> Result<(), OpenError> {
    if role != Role::Reader {
        // Answers the mode that is really used: a file system without shared memory silently keeps another.
        setting(connection, path, "journal_mode", "WAL", "wal")?;
    }
    // The worker checkpoints on a thread of its own.
    let autocheckpoint = if role == Role::Command { 1000 } else { 0 };
    for (name, value) in [
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
        ("temp_store", 2),
        ("mmap_size", 0),
        ("wal_autocheckpoint", autocheckpoint),
        ("journal_size_limit", JOURNAL_SIZE_LIMIT),
        ("cache_size", -i64::from(cache_kib)),
        ("query_only", i64::from(role == Role::Reader)),
    ] {
        setting(connection, path, name, &value.to_string(), &value.to_string())?;
    }
    Ok(())
}

/// Lets the close of this connection, were it the last one, neither move the `-wal` into the file nor remove it: what is there
/// under the store's names may not be the store.
pub(crate) fn leave_the_log(connection: &Connection) {
    if let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        tracing::error!(error = describe(&error), "failed to keep the store's log");
    }
}

fn setting(
    connection: &Connection,
    path: &Path,
    name: &'static str,
    value: &str,
    wanted: &str,
) -> Result<(), OpenError> {
    connection.execute_batch(&format!("PRAGMA {name} = {value};")).map_err(sqlite(path))?;
    let found = read_setting(connection, name).map_err(sqlite(path))?;
    if found == wanted {
        return Ok(());
    }
    Err(OpenError::Setting { path: path.to_owned(), setting: name, found, wanted: wanted.to_owned() })
}

/// A setting as it is.
pub(crate) fn read_setting(connection: &Connection, name: &str) -> rusqlite::Result<String> {
    connection.pragma_query_value(None, name, |row| {
        let value: rusqlite::types::Value = row.get(0)?;
        Ok(match value {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        })
    })
}

/// Says which file an error of SQLite is about, and tells damage from refusal.
pub(crate) fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> OpenError {
    move |error| {
        let (path, detail) = (path.to_owned(), describe(&error));
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                OpenError::Damaged { path, detail }
            }
            _ => OpenError::Sqlite { path, detail },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_read_back_from_the_file_and_the_connection() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.db");
        std::fs::File::create(&path).unwrap();
        for role in [Role::Worker, Role::Command, Role::Checkpoint, Role::Reader] {
            let connection = open(&path, role).unwrap();
            configure(&connection, &path, role, 4096).unwrap();
            let read = |name| read_setting(&connection, name).unwrap();
            assert_eq!(read("journal_mode"), "wal");
            assert_eq!(read("synchronous"), "2");
            assert_eq!(read("foreign_keys"), "1");
            assert_eq!(read("cache_size"), "-4096");
            assert_eq!(read("mmap_size"), "0");
            assert_eq!(read("busy_timeout"), "5000");
            assert_eq!(read("journal_size_limit"), "67108864");
            assert_eq!(read("query_only"), if role == Role::Reader { "1" } else { "0" });
            assert_eq!(read("wal_autocheckpoint"), if role == Role::Command { "1000" } else { "0" });
        }
    }

    #[test]
    fn a_setting_that_does_not_take_stops_the_opening() {
        let connection = Connection::open_in_memory().unwrap();
        let error = setting(&connection, Path::new("m.db"), "journal_mode", "WAL", "wal").unwrap_err();
        assert_eq!(error.to_string(), "m.db cannot be used safely: journal_mode is memory, not wal");
    }
}
