//! Reading the whole file for damage: for an operator's check, not for every start.

use crate::{Store, StoreError};

impl Store {
    /// What SQLite finds wrong in the whole file, at most ten findings; empty where it is sound. Reads every page.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn damage(&self) -> Result<Vec<String>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare("PRAGMA quick_check(10)")?;
            let found = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
            Ok(found.into_iter().filter(|line| line != "ok").collect())
        })
        .await
    }
}
