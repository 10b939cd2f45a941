//! Whether the store still knows everything that was done with it (M12).

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use snap_core::Timestamp;

use crate::{
    NewAudit, OpenError, Store, StoreError, audit,
    connection::sqlite,
    error::Rejected,
    lock::{SideFile, SideState},
    past,
    replay_acts::pause_all_restored,
    task::{Room, Work},
    transaction::Transaction,
};

/// The reason of a mark that an operator sets: why is in the trail.
pub const SAID_SO: &str = "an operator said so";

/// Why the store may not know everything that was done (M12): the worker asks before it sends anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconcile {
    /// Since when; ahead of now for as long as another store may still send, after a namespace was taken over (M13).
    pub since: Timestamp,
    /// What was found.
    pub reason: String,
    /// Until when it knows every key; `None`: nobody can say.
    pub known_until: Option<Timestamp>,
}

impl Reconcile {
    /// Since when a key that it does not know may have been sent; where nobody can say, always.
    #[must_use]
    pub fn unknown_since(&self) -> Timestamp {
        self.known_until.unwrap_or(Timestamp::from_millis(0))
    }

    /// When a key that it does not know may have been sent.
    #[must_use]
    pub fn perhaps_sent(&self) -> PerhapsSent {
        PerhapsSent { since: self.unknown_since(), until: self.since }
    }

    /// The moment that an asking of now counts from: what was sent elsewhere has left by then.
    #[must_use]
    pub fn asks_at(&self, now: Timestamp) -> Timestamp {
        now.max(self.since)
    }
}

/// When something may have been sent that the store does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerhapsSent {
    /// Not before.
    pub since: Timestamp,
    /// Not after: the quiet period begins here, or now where that is later.
    pub until: Timestamp,
}

/// Compares the store with its side file and marks it where it may have forgotten something; answers the store's id and
/// the mark. Afterwards both name the same commit.
pub(crate) fn compare(
    connection: &mut Connection,
    path: &Path,
    side: &SideFile,
    created: bool,
    now: Timestamp,
) -> Result<(String, Option<Reconcile>), OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite(path))?;
    // Nobody commits meanwhile, and a number is noted after its commit: it cannot be ahead of a store that is whole.
    let noted = side.state();
    let (store_id, mut commits): (String, i64) = transaction
        .query_row("SELECT store_id, commit_seq FROM meta WHERE id = 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(sqlite(path))?;
    // Made just now, or by a process that came no further.
    let copied_at: Option<Timestamp> = transaction
        .query_row("SELECT copied_at FROM meta WHERE id = 1", [], |row| row.get(0))
        .map(|at: Option<i64>| at.map(Timestamp::from_millis))
        .map_err(sqlite(path))?;
    let is_new = commits == 0 && (created || (noted == SideState::Fresh && side.says_made()));
    let forgotten = if is_new { of_new(&noted) } else { forgotten(&noted, &store_id, commits) };
    let forgotten = forgotten.or_else(|| copied_at.map(|at| of_backup(at, &noted)));
    if let Some(Forgotten { reason, beyond, another }) = &forgotten {
        tracing::error!(reason, "the store may not know everything that was done");
        // Another store knows nothing of what was sent here.
        let known = if *another { None } else { known_by_copy(&transaction, copied_at).map_err(sqlite(path))? };
        mark(&Transaction::passing(&transaction), now, now, reason, known).map_err(sqlite(path))?;
        // Beyond both, so that the newer file would be noticed as well if it were put back.
        commits = commits.max(*beyond).saturating_add(1);
        let set = "UPDATE meta SET commit_seq = ?1, copied_at = NULL WHERE id = 1";
        transaction.execute(set, [commits]).map_err(sqlite(path))?;
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

/// The store's id and the mark as it is, where a worker runs: it has compared them, and looks at its files itself.
pub(crate) fn as_marked(connection: &Connection, path: &Path) -> Result<(String, Option<Reconcile>), OpenError> {
    let id =
        connection.query_row("SELECT store_id FROM meta WHERE id = 1", [], |row| row.get(0)).map_err(sqlite(path))?;
    Ok((id, read(connection).map_err(sqlite(path))?))
}

/// That the store may have forgotten something.
struct Forgotten {
    /// What was found.
    reason: String,
    /// The last commit that the side file knows of.
    beyond: i64,
    /// The side file is of another store.
    another: bool,
}

/// A new store knows nothing of one that was here and was used.
fn of_new(noted: &SideState) -> Option<Forgotten> {
    match noted {
        SideState::Fresh | SideState::Known { commits: 0, .. } => None,
        SideState::Known { commits, .. } => Some(another(*commits)),
        SideState::Unreadable => forgotten(noted, "", 0),
    }
}

/// A backup that was put where it is by hand, whatever stands beside it.
fn of_backup(copied_at: Timestamp, noted: &SideState) -> Forgotten {
    let beyond = if let SideState::Known { commits, .. } = noted { *commits } else { 0 };
    Forgotten { reason: format!("it is a backup of {}", copied_at.to_rfc3339()), beyond, another: false }
}

fn another(noted: i64) -> Forgotten {
    Forgotten { reason: format!("another store stood here, with {noted} commits"), beyond: noted, another: true }
}

/// A file that has no commit, and was not made here, may be a copy whose commits are in a `-wal` that was left behind.
fn forgotten(noted: &SideState, store_id: &str, commits: i64) -> Option<Forgotten> {
    let here = |reason: &str, beyond| Some(Forgotten { reason: reason.to_owned(), beyond, another: false });
    match noted {
        SideState::Fresh => here("its side file is missing", 0),
        SideState::Unreadable => here("its side file cannot be read", 0),
        SideState::Known { store_id: other, commits: noted } if other != store_id => Some(another(*noted)),
        SideState::Known { commits: noted, .. } if *noted > commits => {
            let reason = format!("it has {commits} commits of {noted}: an older copy, or its -wal file was lost");
            here(&reason, *noted)
        }
        SideState::Known { .. } => None,
    }
}

/// The newest time in the store, of the last job and the last record: up to then a copy knows every key.
pub(crate) fn newest(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let last = "SELECT accepted_at FROM job_states WHERE job_id = (SELECT max(job_id) FROM job_states)";
    let at: Option<i64> = connection.query_row(last, [], |row| row.get(0)).optional()?;
    Ok(at.map(Timestamp::from_millis).max(past::newest(connection)?))
}

/// Sets the mark. Since `since`, in the mode already or not: what was asked about after an earlier restore may be forgotten
/// too.
pub(crate) fn mark(
    transaction: &Transaction<'_>,
    now: Timestamp,
    since: Timestamp,
    reason: &str,
    known: Option<Timestamp>,
) -> rusqlite::Result<Reconcile> {
    let before = read(transaction)?;
    let known_until = no_more_than_before(before.as_ref(), known.map(|known| known.min(now)));
    // Whose clock was ahead: what it noted is of before the mark all the same.
    let since = newest(transaction)?.map_or(since, |newest| since.max(newest.plus(Duration::from_millis(1))));
    // Another store that may still send may so whatever is found here meanwhile; and what was asked about since the mark before
    // is asked about anew.
    let ahead = before.filter(|before| before.since > now);
    let since = ahead.map_or(since, |before| since.max(before.since.plus(Duration::from_millis(1))));
    transaction.execute(
        "UPDATE meta SET reconcile_since = ?1, reconcile_reason = ?2, reconcile_known_until = ?3, restored_at = ?1 \
         WHERE id = 1",
        params![since.as_millis(), reason, known_until.map(Timestamp::as_millis)],
    )?;
    pause_all_restored(transaction, now)?;
    Ok(Reconcile { since, reason: reason.to_owned(), known_until })
}

/// Marks a copy that is put in a store's place: it knows what it knew when it was made.
pub(crate) fn mark_copy(transaction: &Transaction<'_>, now: Timestamp, reason: &str) -> rusqlite::Result<Reconcile> {
    let copied_at: Option<i64> =
        transaction.query_row("SELECT copied_at FROM meta WHERE id = 1", [], |row| row.get(0))?;
    let known = known_by_copy(transaction, copied_at.map(Timestamp::from_millis))?;
    transaction.execute("UPDATE meta SET copied_at = NULL WHERE id = 1", [])?;
    mark(transaction, now, now, reason, known)
}

/// What an earlier restore did not know is unknown still, until an operator ends the asking. `None` is the least.
fn no_more_than_before(before: Option<&Reconcile>, known: Option<Timestamp>) -> Option<Timestamp> {
    before.map_or(known, |before| before.known_until.min(known))
}

/// What a copy made at `copied_at` knows; never more than up to its newest record.
fn known_by_copy(connection: &Connection, copied_at: Option<Timestamp>) -> rusqlite::Result<Option<Timestamp>> {
    Ok(newest(connection)?.map(|newest| copied_at.map_or(newest, |at| at.min(newest))))
}

/// The mark.
pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Option<Reconcile>> {
    let sql = "SELECT reconcile_since, reconcile_reason, reconcile_known_until FROM meta WHERE id = 1";
    connection.query_row(sql, [], |row| {
        let (since, reason): (Option<i64>, Option<String>) = (row.get(0)?, row.get(1)?);
        let known_until: Option<i64> = row.get(2)?;
        Ok(since.map(|since| Reconcile {
            since: Timestamp::from_millis(since),
            reason: reason.unwrap_or_default(),
            known_until: known_until.map(Timestamp::from_millis),
        }))
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

    /// When a message that was refused at `refused_at` may have been sent, by a replay that was forgotten; `None` where
    /// none was. It outlives the mode: what was refused before a restore may have been replayed before it.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn perhaps_sent(&self, refused_at: Timestamp) -> Result<Option<PerhapsSent>, StoreError> {
        self.read(move |connection| {
            if let Some(mark) = read(connection)? {
                let since = mark.unknown_since().min(refused_at);
                return Ok(Some(PerhapsSent { since, ..mark.perhaps_sent() }));
            }
            let restored_at: Option<i64> =
                connection.query_row("SELECT restored_at FROM meta WHERE id = 1", [], |row| row.get(0))?;
            let is_before = restored_at.filter(|at| refused_at.as_millis() <= *at);
            Ok(is_before.map(|at| PerhapsSent { since: refused_at, until: Timestamp::from_millis(at) }))
        })
        .await
    }

    /// An operator says that the store knows everything again.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn clear_reconcile(&self, audit: NewAudit) -> Result<(), StoreError> {
        self.write(Room::Reserved, audit, |transaction, audit| {
            transaction.execute(
                "UPDATE meta SET reconcile_since = NULL, reconcile_reason = NULL, reconcile_known_until = NULL \
                 WHERE id = 1",
                [],
            )?;
            audit::append(transaction, audit)?;
            Ok::<_, Rejected>(())
        })
        .await?;
        Ok(())
    }

    /// Until when [`Self::mark_reconcile`] will say that the store knows every key.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn known_until(&self, copied_at: Option<Timestamp>) -> Result<Option<Timestamp>, StoreError> {
        self.read(move |connection| {
            Ok(no_more_than_before(read(connection)?.as_ref(), known_by_copy(connection, copied_at)?))
        })
        .await
    }

    /// An operator says that the store was put back from a copy, which left no trace; answers the mark. It knows every key
    /// up to `copied_at`, and never beyond its newest record. For who holds the store alone: a worker that runs takes it up at
    /// its next start only.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn mark_reconcile(&self, copied_at: Option<Timestamp>, audit: NewAudit) -> Result<Reconcile, StoreError> {
        let work: Work<_, _> = |transaction, (copied_at, audit): &mut (Option<Timestamp>, NewAudit)| {
            let known = known_by_copy(transaction, *copied_at)?;
            let marked = mark(transaction, audit.at, audit.at, SAID_SO, known)?;
            audit::append(transaction, audit)?;
            Ok::<_, Rejected>(marked)
        };
        let (_, marked) = self.write(Room::Reserved, (copied_at, audit), work).await?;
        Ok(marked)
    }
}
