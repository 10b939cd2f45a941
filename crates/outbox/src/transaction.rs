//! A writer's connection inside a transaction, with the statements of a job's way kept prepared.
//!
//! A connection's own cache of statements copies and hashes a statement's text at each look: a fifth of what the writer
//! did for a job.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
};

use rusqlite::{CachedStatement, Connection, PrepFlags, Statement};

/// Where a command does its work. For everything but [`Transaction::kept`] it is the connection.
pub(crate) struct Transaction<'c> {
    connection: &'c Connection,
    /// `None`: the connection's cache has to do.
    kept: Option<RefCell<Vec<Slot<'c>>>>,
}

/// A statement, unless it is lent.
struct Slot<'c> {
    sql: &'static str,
    statement: Option<Statement<'c>>,
}

impl<'c> Transaction<'c> {
    /// On a connection that is only borrowed for a moment.
    pub(crate) const fn passing(connection: &'c Connection) -> Self {
        Self { connection, kept: None }
    }

    /// On a connection for as long as it is open.
    pub(crate) const fn lasting(connection: &'c Connection) -> Self {
        Self { connection, kept: Some(RefCell::new(Vec::new())) }
    }

    /// One of the few statements that every job needs, prepared at its first use. It is known by its place in the program,
    /// so that the text has to be a constant; looking it up is comparing a few addresses.
    pub(crate) fn kept(&self, sql: &'static str) -> rusqlite::Result<Lent<'_, 'c>> {
        let Some(kept) = &self.kept else {
            return Ok(Lent { statement: Some(Held::Cached(self.connection.prepare_cached(sql)?)), home: None });
        };
        let mut slots = kept.borrow_mut();
        let known = slots.iter().position(|slot| std::ptr::eq(slot.sql, sql));
        let place = known.unwrap_or_else(|| {
            slots.push(Slot { sql, statement: None });
            slots.len() - 1
        });
        let statement = match slots[place].statement.take() {
            Some(statement) => statement,
            None => self.connection.prepare_with_flags(sql, PrepFlags::SQLITE_PREPARE_PERSISTENT)?,
        };
        Ok(Lent { statement: Some(Held::Own(statement)), home: Some((kept, place)) })
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

enum Held<'t> {
    Own(Statement<'t>),
    Cached(CachedStatement<'t>),
}

/// A statement to use; it goes back where it came from when this is dropped.
pub(crate) struct Lent<'t, 'c> {
    statement: Option<Held<'c>>,
    home: Option<(&'t RefCell<Vec<Slot<'c>>>, usize)>,
}

impl<'c> Deref for Lent<'_, 'c> {
    type Target = Statement<'c>;

    fn deref(&self) -> &Statement<'c> {
        match self.statement.as_ref().expect("lent until it is dropped") {
            Held::Own(statement) => statement,
            Held::Cached(statement) => statement,
        }
    }
}

impl<'c> DerefMut for Lent<'_, 'c> {
    fn deref_mut(&mut self) -> &mut Statement<'c> {
        match self.statement.as_mut().expect("lent until it is dropped") {
            Held::Own(statement) => statement,
            Held::Cached(statement) => statement,
        }
    }
}

impl Drop for Lent<'_, '_> {
    fn drop(&mut self) {
        if let (Some(Held::Own(statement)), Some((home, place))) = (self.statement.take(), self.home) {
            home.borrow_mut()[place].statement = Some(statement);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_MORE: &str = "SELECT ?1 + 1";

    fn one_more(transaction: &Transaction<'_>, than: i64) -> i64 {
        transaction.kept(ONE_MORE).unwrap().query_row([than], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_statement_is_prepared_once_and_serves_again() {
        let connection = Connection::open_in_memory().unwrap();
        let transaction = Transaction::lasting(&connection);
        assert_eq!([one_more(&transaction, 1), one_more(&transaction, 41)], [2, 42]);
        let slots = transaction.kept.as_ref().unwrap().borrow();
        assert_eq!(slots.len(), 1);
        assert!(slots[0].statement.is_some(), "it is back for who comes next");
    }

    #[test]
    fn a_statement_that_is_lent_is_prepared_once_more_for_who_needs_it_meanwhile() {
        let connection = Connection::open_in_memory().unwrap();
        for transaction in [Transaction::lasting(&connection), Transaction::passing(&connection)] {
            let mut lent = transaction.kept(ONE_MORE).unwrap();
            let mut rows = lent.query([1]).unwrap();
            let row = rows.next().unwrap().unwrap();
            assert_eq!(one_more(&transaction, 41), 42);
            assert_eq!(row.get::<_, i64>(0).unwrap(), 2);
        }
    }

    #[test]
    fn a_kept_statement_follows_a_change_of_the_schema_and_stands_in_nobody_s_way() {
        let connection = Connection::open_in_memory().unwrap();
        let transaction = Transaction::lasting(&connection);
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
        let all = "SELECT count(*) FROM t";
        let count = || transaction.kept(all).unwrap().query_row([], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count(), 0);
        // A statement that was not reset would hold the table.
        connection.execute_batch("DROP TABLE t; CREATE TABLE t (b); INSERT INTO t VALUES (1)").unwrap();
        assert_eq!(count(), 1);
    }

    #[test]
    fn what_cannot_be_prepared_is_an_error_each_time() {
        let connection = Connection::open_in_memory().unwrap();
        let transaction = Transaction::lasting(&connection);
        let nothing = "SELECT a FROM nothing";
        assert!(transaction.kept(nothing).is_err());
        assert!(transaction.kept(nothing).is_err());
    }
}
