//! Reading the whole file for damage: for an operator's check, not for every start.

use std::path::Path;

use crate::{
    Store, StoreError,
    connection::{self, Role},
};

impl Store {
    /// What SQLite finds wrong in the whole file, at most ten findings; empty where it is sound. Reads every page.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn damage(&self) -> Result<Vec<String>, StoreError> {
        self.read(|reader| {
            // A connection that was opened for reading does not know the tables' CHECKs.
            let path = Path::new(reader.path().unwrap_or_default());
            let checker =
                connection::open(path, Role::Command).map_err(|error| StoreError::Failed(error.to_string()))?;
            checker.execute_batch("PRAGMA query_only = 1")?;
            let mut statement = checker.prepare("PRAGMA quick_check(10)")?;
            let found = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
            Ok(found.into_iter().filter(|line| line != "ok").collect())
        })
        .await
    }
}
