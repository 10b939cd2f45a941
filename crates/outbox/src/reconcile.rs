//! Whether the store still knows everything that was done with it (M12).

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};
use snap_core::Timestamp;

use crate::{
    NewAudit, OpenError, Store, StoreError, audit,
    connection::sqlite,
    error::Rejected,
    lock::{SideFile, SideState},
    replay_acts::pause_all_restored,
    task::Room,
};

/// Why the store may not know everything that was done (M12): the worker asks before it sends anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconcile {
    /// Since when.
    pub since: Timestamp,
    /// What was found.
    pub reason: String,
}

/// Compares the store with its side file and marks it where it may have forgotten something; answers the store's id and
/// the mark. Afterwards both name the same commit.
pub(crate) fn compare(
    connection: &mut Connection,
    path: &Path,
    side: &SideFile,
    now: Timestamp,
) -> Result<(String, Option<Reconcile>), OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite(path))?;
    // Nobody commits meanwhile, and a number is noted after its commit: it cannot be ahead of a store that is whole.
    let noted = side.state();
    let (store_id, mut commits): (String, i64) = transaction
        .query_row("SELECT store_id, commit_seq FROM meta WHERE id = 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(sqlite(path))?;
    let forgotten = forgotten(&noted, &store_id, commits);
    if let Some((reason, beyond)) = &forgotten {
        tracing::error!(reason, "the store may not know everything that was done");
        // Beyond both, so that the newer file would be noticed as well if it were put back.
        commits = commits.max(*beyond).saturating_add(1);
        transaction
            .execute(
                // Since now, in the mode already or not: what was asked about after an earlier restore may be forgotten too.
                "UPDATE meta SET commit_seq = ?1, reconcile_since = ?2, reconcile_reason = ?3 WHERE id = 1",
                params![commits, now.as_millis(), reason],
            )
            .map_err(sqlite(path))?;
        pause_all_restored(&transaction, now).map_err(sqlite(path))?;
    }
    let mark = read(&transaction).map_err(sqlite(path))?;
    transaction.commit().map_err(sqlite(path))?;
    if forgotten.is_some() || !matches!(noted, SideState::Known { commits: noted, .. } if noted == commits) {
        side.note(&store_id, commits).map_err(|source| OpenError::Io {
            what: "write the side file of",
            path: path.to_owned(),
            source,
        })?;
    }
    Ok((store_id, mark))
}

/// What the store may have forgotten, and the last commit the side file knows of.
fn forgotten(noted: &SideState, store_id: &str, commits: i64) -> Option<(String, i64)> {
    match noted {
        SideState::Fresh if commits == 0 => None,
        SideState::Fresh => Some(("its side file is missing".to_owned(), 0)),
        SideState::Unreadable => Some(("its side file cannot be read".to_owned(), 0)),
        SideState::Known { commits: 0, .. } if commits == 0 => None,
        SideState::Known { store_id: other, commits: noted } if other != store_id => {
            Some((format!("another store stood here, with {noted} commits"), *noted))
        }
        SideState::Known { commits: noted, .. } if *noted > commits => {
            Some((format!("it has {commits} commits of {noted}: an older copy, or its -wal file was lost"), *noted))
        }
        SideState::Known { .. } => None,
    }
}

/// The mark.
pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Option<Reconcile>> {
    connection.query_row("SELECT reconcile_since, reconcile_reason FROM meta WHERE id = 1", [], |row| {
        let since: Option<i64> = row.get(0)?;
        let reason: Option<String> = row.get(1)?;
        Ok(since.map(|since| Reconcile { since: Timestamp::from_millis(since), reason: reason.unwrap_or_default() }))
    })
}

impl Store {
    /// Whether the store may not know everything that was done.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn reconcile(&self) -> Result<Option<Reconcile>, StoreError> {
        self.read(|connection| Ok(read(connection)?)).await
    }

    /// An operator says that the store knows everything again.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn clear_reconcile(&self, audit: NewAudit) -> Result<(), StoreError> {
        self.write(Room::Reserved, audit, |transaction, audit| {
            transaction.execute("UPDATE meta SET reconcile_since = NULL, reconcile_reason = NULL WHERE id = 1", [])?;
            audit::append(transaction, audit)?;
            Ok::<_, Rejected>(())
        })
        .await?;
        Ok(())
    }

    /// An operator says that the store may not know everything, after a restore that left no trace.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn mark_reconcile(&self, audit: NewAudit) -> Result<(), StoreError> {
        self.write(Room::Reserved, audit, |transaction, audit| {
            transaction.execute(
                "UPDATE meta SET reconcile_since = ?1, reconcile_reason = 'an operator said so' WHERE id = 1",
                [audit.at.as_millis()],
            )?;
            pause_all_restored(transaction, audit.at)?;
            audit::append(transaction, audit)?;
            Ok::<_, Rejected>(())
        })
        .await?;
        Ok(())
    }
}
