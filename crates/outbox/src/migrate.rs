//! The schema and its history. A migration is never edited after a release; a new one is added.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, TransactionBehavior};

use crate::{OpenError, connection::sqlite};

/// All migrations, the oldest first; the n-th leads to `user_version` n.
const MIGRATIONS: &[&str] = &[
    include_str!("../schema/0001_initial.sql"),
    include_str!("../schema/0002_custody.sql"),
    include_str!("../schema/0003_accounts.sql"),
];
/// Marks a file as ours: "topu".
const APPLICATION_ID: i64 = 0x746f_7075;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Empty.
    Empty,
    /// One of ours, with this schema version.
    Ours(i64),
}

/// The version this program works with.
pub(crate) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).expect("there are few migrations")
}

/// Says what a file is, without changing it.
pub(crate) fn identify(connection: &Connection, path: &Path) -> Result<Kind, OpenError> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(sqlite(path));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    if application == 0 && version == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(Kind::Empty);
    }
    if application != APPLICATION_ID {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    if version > known() {
        return Err(OpenError::TooNew { path: path.to_owned(), found: version, known: known() });
    }
    Ok(Kind::Ours(version))
}

/// Brings a file to [`known`] in one transaction; answers the version it had.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<i64, OpenError> {
    migrate_to(connection, path, MIGRATIONS)
}

/// Looks whether the tables of a file with this version are this version's: while nothing is released, schemas change
/// and keep their number. What else stands in the file is its owner's affair.
pub(crate) fn must_match(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let mut fresh = Connection::open_in_memory().map_err(sqlite(path))?;
    migrate(&mut fresh, path)?;
    let found = objects(connection).map_err(sqlite(path))?;
    for (name, sql) in objects(&fresh).map_err(sqlite(path))? {
        let what = match found.get(&name) {
            Some(other) if *other == sql => continue,
            Some(_) => format!("{name} is another"),
            None => format!("it has no {name}"),
        };
        return Err(OpenError::Unreleased { path: path.to_owned(), what });
    }
    Ok(())
}

/// Tables, indexes and views with how they were made. SQLite keeps the text with its comments: these may differ.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, without_comments(&row.get::<_, String>(1)?))))?;
    rows.collect()
}

fn without_comments(sql: &str) -> String {
    let lines = sql.lines().map(|line| line.split_once("--").map_or(line, |(code, _comment)| code));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

fn migrate_to(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<i64, OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite(path))?;
    // Read inside the transaction: another process may have done it meanwhile.
    let found = match identify(&transaction, path)? {
        Kind::Empty => 0,
        Kind::Ours(version) => version,
    };
    let done = usize::try_from(found).map_err(|_negative| OpenError::Foreign(path.to_owned()))?;
    for migration in migrations.get(done..).unwrap_or_default() {
        transaction.execute_batch(migration).map_err(sqlite(path))?;
    }
    if done < migrations.len() {
        let version = migrations.len();
        transaction
            .execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};"))
            .map_err(sqlite(path))?;
    }
    transaction.commit().map_err(sqlite(path))?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare("SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1")
            .unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_file_migrated_from_any_version_has_the_schema_of_a_fresh_one() {
        let path = Path::new("m.db");
        let mut fresh = Connection::open_in_memory().unwrap();
        assert_eq!(migrate(&mut fresh, path).unwrap(), 0);
        for from in 0..=MIGRATIONS.len() {
            let mut old = Connection::open_in_memory().unwrap();
            migrate_to(&mut old, path, &MIGRATIONS[..from]).unwrap();
            assert_eq!(migrate(&mut old, path).unwrap(), i64::try_from(from).unwrap());
            assert_eq!(schema(&old), schema(&fresh));
            assert_eq!(identify(&old, path).unwrap(), Kind::Ours(known()));
        }
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let path = Path::new("m.db");
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, path).unwrap();
        let before = schema(&connection);
        let twice = "CREATE TABLE more (id INTEGER) STRICT; CREATE TABLE more (id INTEGER) STRICT;";
        let bad: Vec<&str> = MIGRATIONS.iter().copied().chain([twice]).collect();
        migrate_to(&mut connection, path, &bad).unwrap_err();
        assert_eq!(schema(&connection), before);
        assert_eq!(identify(&connection, path).unwrap(), Kind::Ours(known()));
    }

    #[test]
    fn a_file_of_before_a_change_of_the_schema_is_told_from_one_of_now() {
        let path = Path::new("m.db");
        let mut now = Connection::open_in_memory().unwrap();
        migrate(&mut now, path).unwrap();
        must_match(&now, path).unwrap();
        now.execute_batch("CREATE INDEX somebody_s_own ON audit (by); ANALYZE").unwrap();
        must_match(&now, path).unwrap();
        now.execute_batch("DROP INDEX jobs_open").unwrap();
        let error = must_match(&now, path).unwrap_err();
        assert!(error.to_string().ends_with("unreleased version of this program: it has no jobs_open"), "{error}");

        let mut before = Connection::open_in_memory().unwrap();
        migrate_to(&mut before, path, &["CREATE TABLE lanes (provider TEXT PRIMARY KEY) STRICT;"]).unwrap();
        assert_eq!(identify(&before, path).unwrap(), Kind::Ours(1));
        assert!(matches!(must_match(&before, path), Err(OpenError::Unreleased { .. })));
    }

    #[test]
    fn a_newer_schema_and_a_stranger_s_file_are_refused() {
        let path = Path::new("m.db");
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, path).unwrap();
        connection.execute_batch("PRAGMA user_version = 99").unwrap();
        assert!(matches!(migrate(&mut connection, path), Err(OpenError::TooNew { found: 99, .. })));
        let stranger = Connection::open_in_memory().unwrap();
        stranger.execute_batch("CREATE TABLE users (id INTEGER)").unwrap();
        assert!(matches!(identify(&stranger, path), Err(OpenError::Foreign(_))));
    }

    #[test]
    fn a_table_that_was_made_otherwise_is_named() {
        let path = Path::new("m.db");
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, path).unwrap();
        connection.execute_batch("ALTER TABLE lanes ADD COLUMN more TEXT").unwrap();
        let error = must_match(&connection, path).unwrap_err();
        assert!(error.to_string().ends_with(": lanes is another"), "{error}");
    }

    #[test]
    fn an_empty_file_that_somebody_has_marked_is_theirs() {
        let path = Path::new("m.db");
        for mark in ["PRAGMA application_id = 5", "PRAGMA user_version = 5"] {
            let connection = Connection::open_in_memory().unwrap();
            assert_eq!(identify(&connection, path).unwrap(), Kind::Empty);
            connection.execute_batch(mark).unwrap();
            assert!(matches!(identify(&connection, path), Err(OpenError::Foreign(_))), "{mark}");
        }
    }
}
