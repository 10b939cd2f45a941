//! `WHERE` clauses that are put together, and pages.

use rusqlite::types::Value;

use crate::Total;

/// Some of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// These.
    pub items: Vec<T>,
    /// What to ask for the next ones with; `None`: there are no more.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// Of rows read with a limit of `limit + 1`: the last one only tells that there are more.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> C) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

/// The limit to read with for [`Page::cut`].
pub(crate) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// A `WHERE` clause and its values. Clauses are written in the code; only values come from outside.
pub(crate) struct Where {
    sql: String,
    values: Vec<Value>,
}

impl Where {
    pub(crate) fn new(first: &str) -> Self {
        Self { sql: format!(" WHERE {first}"), values: Vec::new() }
    }

    /// Adds a clause without a value.
    pub(crate) fn and(&mut self, clause: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(clause);
    }

    /// Adds a clause with a value for each of its `?`, where there is one.
    pub(crate) fn and_value(&mut self, clause: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.and(clause);
            let value = value.into();
            self.values.extend(std::iter::repeat_n(value, clause.matches('?').count()));
        }
    }

    /// Adds "is one of these", where there are any.
    pub(crate) fn and_one_of(&mut self, column: &str, values: impl IntoIterator<Item = String>) {
        let before = self.values.len();
        self.values.extend(values.into_iter().map(Value::Text));
        let count = self.values.len() - before;
        if count > 0 {
            self.and(&format!("{column} IN ({})", vec!["?"; count].join(",")));
        }
    }

    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    pub(crate) fn into_values(self) -> Vec<Value> {
        self.values
    }
}

/// Sums a column in two parts, each of which stays far from 64 bits whatever the number of rows; read by [`total`].
pub(crate) fn sum(column: &str) -> String {
    format!("coalesce(sum({column} / {PART}), 0), coalesce(sum({column} % {PART}), 0)")
}

const PART: i64 = 1_000_000_000;

/// The two columns of [`sum`], from `first` on.
pub(crate) fn total(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Total> {
    let part = |index| row.get::<_, i64>(index).map(|part| u128::from(part.unsigned_abs()));
    Ok(Total::from_minor(part(first)? * u128::from(PART.unsigned_abs()) + part(first + 1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_more_than_asked_for_is_read_and_no_more() {
        assert_eq!([one_more(0), one_more(3), one_more(usize::MAX)], [1, 4, i64::MAX]);
    }

    #[test]
    fn each_value_has_its_place_whatever_stands_before_it() {
        let mut clause = Where::new("1");
        clause.and_value("(a = ? OR b = ?)", Some(1));
        clause.and_one_of("c", ["x".to_owned(), "y".to_owned()]);
        clause.and_one_of("d", []);
        assert_eq!(clause.sql(), " WHERE 1 AND (a = ? OR b = ?) AND c IN (?,?)");
        assert_eq!(clause.into_values().len(), 4);
    }

    #[test]
    fn a_sum_of_amounts_beyond_64_bits_is_their_sum() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let rows = vec!["(999999999999999999)"; 30].join(",");
        let sql = format!("SELECT 'before', {} FROM (SELECT column1 AS a FROM (VALUES {rows}))", sum("a"));
        let found = connection.query_row(&sql, [], |row| total(row, 1)).unwrap();
        assert_eq!(found, Total::from_minor(999_999_999_999_999_999 * 30));
    }
}
