//! What can go wrong, one variant per thing a caller can do something about.

use std::path::PathBuf;

use snap_core::{PartnerReferenceNo, Timestamp};

use crate::{DeadLetterId, JobId, PlanId};

/// How [`StoreError::Failed`] begins where the file at the store's path is not the store any more (M13).
const NOT_THE_STORE: &str = "the file is not the store any more";

/// [`StoreError::Failed`] for a store whose file is gone, or another's.
pub(crate) fn not_the_store(what: &str) -> String {
    format!("{NOT_THE_STORE}: {what}")
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else has changed the job since it was read. Nothing was written: drop the result, never repeat the write.
    #[error("job {id} has version {found}, not {expected}")]
    Fenced {
        /// The job.
        id: JobId,
        /// The caller's version.
        expected: i64,
        /// The version on disk.
        found: i64,
    },
    /// There is no such job.
    #[error("there is no job {0}")]
    UnknownJob(JobId),
    /// Only a tombstone is left of the job: it ended long ago, and cannot be acted upon any more.
    #[error("job {0} ended long ago: its details are past retention")]
    PastRetention(PartnerReferenceNo),
    /// There is no such dead letter.
    #[error("there is no dead letter {0}")]
    UnknownDeadLetter(DeadLetterId),
    /// The dead letter is closed already, or not closed where it had to be, or belongs to a job that must be recorded.
    #[error("dead letter {id} {why}")]
    DeadLetterState {
        /// The dead letter.
        id: DeadLetterId,
        /// What stands against it.
        why: &'static str,
    },
    /// There is no such replay plan.
    #[error("there is no plan {0}")]
    UnknownPlan(PlanId),
    /// The replay plan does not stand so that this could be done to it.
    #[error("plan {id} {why}")]
    PlanState {
        /// The plan.
        id: PlanId,
        /// What stands against it.
        why: String,
    },
    /// There is no room. Nothing was written; intents are refused until there is room again (M12).
    #[error("no room left in the store")]
    Full,
    /// Another process kept the store locked for too long. Nothing was written.
    #[error("the store is locked by another process")]
    Busy,
    /// The command breaks a rule of the schema: a fault in the program. Nothing was written.
    #[error("the store refuses the row: {0}")]
    Refused(String),
    /// A row cannot be read back: written by newer code, or damaged.
    #[error("row {row} cannot be read: {why}")]
    Unreadable {
        /// Table and number.
        row: String,
        /// What is wrong with it, without its content.
        why: String,
    },
    /// A write ended in an unknown state, or the file is damaged: end the process and let recovery decide (M12).
    #[error("the store has failed: {0}")]
    Failed(String),
    /// The store was opened for reading only.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the file at the store's path is not the store any more (M13): to start again does not mend it.
    #[must_use]
    pub fn is_of_a_lost_file(&self) -> bool {
        matches!(self, Self::Failed(detail) if detail.starts_with(NOT_THE_STORE))
    }
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another worker has it.
    #[error("{} is held by {}", path.display(), holder(*pid))]
    Locked {
        /// The store.
        path: PathBuf,
        /// The process that holds it, where it could be read.
        pid: Option<u32>,
        /// When that process opened it.
        since: Option<Timestamp>,
    },
    /// There is no file, and none may be made.
    #[error("there is no store at {}", .0.display())]
    Missing(PathBuf),
    /// The file has no schema: it is empty, or a copy whose `-wal` was left behind. It is never taken for a new store.
    #[error("{} has no schema of this program: it is empty, or a copy without its -wal", .0.display())]
    NoSchema(PathBuf),
    /// There is no file, but the `-wal` of one.
    #[error("there is no {}, and {} is there: the store was removed or moved", path.display(), log.display())]
    Orphan {
        /// The store.
        path: PathBuf,
        /// Its `-wal`.
        log: PathBuf,
    },
    /// A file is there that must not be written over, or is the store itself.
    #[error("{} is there already", .0.display())]
    InTheWay(PathBuf),
    /// A command has the store open.
    #[error("{} is open in another process", .0.display())]
    InUse(PathBuf),
    /// The file was moved or replaced while it was opened.
    #[error("{} changed while it was opened: {what}", path.display())]
    Moved {
        /// The store.
        path: PathBuf,
        /// What happened to it.
        what: String,
    },
    /// The file is on a file system that several machines can have.
    #[error("{} is on a network file system ({system}), where a lock of one machine does not hold on another", path.display())]
    Network {
        /// The store.
        path: PathBuf,
        /// What it is on.
        system: &'static str,
    },
    /// The file is not one of ours.
    #[error("{} is not a store of this program", .0.display())]
    Foreign(PathBuf),
    /// The file was written by a newer version of this program.
    #[error("{} has schema {found}; this program knows up to {known}", path.display())]
    TooNew {
        /// The store.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The file has an older schema, and was opened for reading only.
    #[error("{} has schema {found}; open it once for writing to bring it to {known}", path.display())]
    TooOld {
        /// The store.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The version this program needs.
        known: i64,
    },
    /// The file was made by a version of this program that was never released: its tables are others.
    #[error("{} was made by an unreleased version of this program: {what}", path.display())]
    Unreleased {
        /// The store.
        path: PathBuf,
        /// What is other, for the developers.
        what: String,
    },
    /// SQLite did not take a setting the store's promises rest on.
    #[error("{} cannot be used safely: {setting} is {found}, not {wanted}", path.display())]
    Setting {
        /// The store.
        path: PathBuf,
        /// The pragma.
        setting: &'static str,
        /// What it reads back.
        found: String,
        /// What it has to be.
        wanted: String,
    },
    /// The file is damaged. It is left as it is.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What the check says first.
        detail: String,
    },
    /// The operating system refused a file beside the store.
    #[error("failed to {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("failed to open {}: {detail}", path.display())]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// SQLite's words.
        detail: String,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Why a piece of work inside a transaction did not succeed.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// The caller's affair; the store is well.
    Caller(StoreError),
    /// SQLite's affair.
    Sqlite(rusqlite::Error),
}

impl From<StoreError> for Rejected {
    fn from(error: StoreError) -> Self {
        Self::Caller(error)
    }
}

impl From<rusqlite::Error> for Rejected {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Rejected {
    /// What a caller is told.
    pub(crate) fn into_store_error(self) -> StoreError {
        match self {
            Self::Caller(error) => error,
            Self::Sqlite(error) => classify(&error),
        }
    }
}

/// What an error of SQLite means for a transaction that has been rolled back since.
///
/// Only what SQLite promises to have left nothing behind is told apart; everything else may have reached the disk.
pub(crate) fn classify(error: &rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode as Code;

    match error.sqlite_error_code() {
        Some(Code::DiskFull) => StoreError::Full,
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => StoreError::Busy,
        Some(Code::ConstraintViolation | Code::TooBig | Code::TypeMismatch) => StoreError::Refused(describe(error)),
        _ => StoreError::Failed(describe(error)),
    }
}

/// SQLite's words; they name columns and rules, never a value.
pub(crate) fn describe(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(code, Some(message)) => format!("{message} (code {})", code.extended_code),
        rusqlite::Error::SqliteFailure(code, None) => format!("{code} (code {})", code.extended_code),
        rusqlite::Error::SqlInputError { error, msg, .. } => format!("{msg} (code {})", error.extended_code),
        rusqlite::Error::InvalidColumnType(index, name, kind) => format!("column {index} {name} holds {kind}"),
        rusqlite::Error::IntegralValueOutOfRange(index, _) => format!("column {index} is out of range"),
        rusqlite::Error::QueryReturnedNoRows => "a row is missing".to_owned(),
        _ => "a value does not fit its column".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Error, ffi, types::Type};

    use super::*;

    fn failure(code: i32, message: Option<&str>) -> Error {
        Error::SqliteFailure(ffi::Error::new(code), message.map(str::to_owned))
    }

    #[test]
    fn m12_only_what_left_nothing_behind_is_told_from_a_failure() {
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_BUSY_SNAPSHOT, ffi::SQLITE_LOCKED] {
            assert_eq!(classify(&failure(code, None)), StoreError::Busy);
        }
        assert_eq!(classify(&failure(ffi::SQLITE_FULL, None)), StoreError::Full);
        for code in [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_TOOBIG, ffi::SQLITE_MISMATCH] {
            assert!(matches!(classify(&failure(code, None)), StoreError::Refused(_)), "{code}");
        }
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_CORRUPT, ffi::SQLITE_READONLY, ffi::SQLITE_NOMEM] {
            assert!(matches!(classify(&failure(code, None)), StoreError::Failed(_)), "{code}");
        }
        assert!(matches!(classify(&Error::QueryReturnedNoRows), StoreError::Failed(_)));
    }

    #[test]
    fn an_error_is_told_in_sqlite_s_words_with_its_code_and_without_a_value() {
        let told = describe(&failure(ffi::SQLITE_CONSTRAINT_UNIQUE, Some("UNIQUE constraint failed: jobs.id")));
        assert_eq!(told, "UNIQUE constraint failed: jobs.id (code 2067)");
        let told = describe(&failure(ffi::SQLITE_IOERR_WRITE, None));
        assert!(told.ends_with("disk I/O error (code 778)"), "{told}");
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let error = connection.prepare("SELECT * FROM nowhere WHERE name = 'BUDI'").unwrap_err();
        assert_eq!(describe(&error), "no such table: nowhere (code 1)");
        let error = connection.prepare("SELECT 'BUDI' FROM FROM").unwrap_err();
        assert_eq!(describe(&error), "near \"FROM\": syntax error (code 1)");
        let error = Error::InvalidColumnType(3, "amount".to_owned(), Type::Text);
        assert_eq!(describe(&error), "column 3 amount holds Text");
        assert_eq!(describe(&Error::IntegralValueOutOfRange(2, -1)), "column 2 is out of range");
        assert_eq!(describe(&Error::QueryReturnedNoRows), "a row is missing");
        assert_eq!(describe(&Error::InvalidQuery), "a value does not fit its column");
    }
}
