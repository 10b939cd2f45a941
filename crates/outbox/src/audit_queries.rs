//! Questions about the audit trail.

use rusqlite::params_from_iter;
use snap_core::Timestamp;

use crate::{
    AuditRow, Page, Store, StoreError, audit,
    filter::{Where, one_more},
    rows,
};

/// Which rows of the trail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By whom.
    pub by: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// To what.
    pub subject: Option<String>,
    /// Done at or after.
    pub since: Option<Timestamp>,
    /// Done before.
    pub until: Option<Timestamp>,
    /// The oldest first instead of the newest.
    pub oldest_first: bool,
}

impl AuditFilter {
    fn clause(self) -> Where {
        let mut clause = Where::new("1");
        clause.and_value("by = ?", self.by);
        clause.and_value("action = ?", self.action);
        clause.and_value("subject = ?", self.subject);
        clause.and_value("at >= ?", self.since.map(Timestamp::as_millis));
        clause.and_value("at < ?", self.until.map(Timestamp::as_millis));
        clause
    }
}

impl Store {
    /// A page of the trail behind row `after`.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn audit(
        &self,
        filter: AuditFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Page<AuditRow, u64>, StoreError> {
        self.read(move |connection| {
            let (order, behind) = if filter.oldest_first { ("ASC", "seq > ?") } else { ("DESC", "seq < ?") };
            let mut clause = filter.clause();
            clause.and_value(behind, after.map(|seq| i64::try_from(seq).unwrap_or(i64::MAX)));
            let sql = format!(
                "SELECT {} FROM audit{} ORDER BY seq {order} LIMIT {}",
                audit::ROW,
                clause.sql(),
                one_more(limit)
            );
            let mut statement = connection.prepare(&sql)?;
            let found = statement.query(params_from_iter(clause.into_values()))?;
            Ok(Page::cut(rows::collect(found, audit::row)?, limit, |row| row.seq))
        })
        .await
    }
}
