//! What only an operator asks before acting.

use snap_core::Timestamp;

use crate::{
    Store, StoreError, Total,
    filter::{sum, total},
};

impl Store {
    /// The amounts of the jobs whose dead letters a purge would delete.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn purgeable_amount(&self, before: Timestamp) -> Result<Total, StoreError> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {} FROM dead_letters d JOIN job_states j ON j.job_id = d.job_id WHERE d.closed_at < ?1",
                sum("j.amount")
            );
            Ok(connection.query_row(&sql, [before.as_millis()], |row| total(row, 0))?)
        })
        .await
    }
}
