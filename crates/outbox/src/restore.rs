//! Putting a copy in the place of a store: prepared beside it, then by one rename.
//!
//! The copy is verified, brought to this version, and told that it is one (it asks first, M12) before anything of the store is
//! touched. The present file takes its own log in first, so that it is kept whole under a name of its own, and no log of the one
//! can be read as the other's. Broken off anywhere, there is either the old store or the new one.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, TransactionBehavior};
use snap_core::Timestamp;

use crate::{
    NewAudit, OpenError, Reconcile, Store, StoreFacts, audit,
    connection::{self, Role, sqlite},
    custody::{
        inode::{self, FileId, Hold, StoreFile},
        look::with_suffix,
        make::sync_folder,
        system::FileSystem,
    },
    facts::verify,
    lock::{SideFile, SideState, beside},
    migrate::{self, Kind},
    open::full_path,
    reconcile,
    transaction::Transaction,
};

/// A copy on its way to the place of a store, which is held meanwhile. Dropped, it goes.
#[derive(Debug)]
pub struct Restoring {
    path: PathBuf,
    /// The copy of the copy.
    prepared: PathBuf,
    facts: StoreFacts,
    side: SideFile,
    /// The present file and its lock; `None`: there is none.
    present: Option<(Hold, StoreFile)>,
    /// A test lets it break off after so many steps.
    #[cfg(test)]
    pub(crate) steps: Option<usize>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Where the file that was there is now; `None`: there was none.
    pub aside: Option<PathBuf>,
    /// That the store asks first.
    pub mark: Reconcile,
}

impl Restoring {
    /// Holds the store at `path` and prepares the copy at `from` for its place. Nothing of either is changed. It blocks.
    ///
    /// # Errors
    /// [`OpenError::Locked`] where a worker runs on the store; others where the copy is not a whole store of this program.
    pub fn prepare(path: &Path, from: &Path) -> Result<Self, OpenError> {
        if !from.exists() {
            return Err(OpenError::Missing(from.to_owned()));
        }
        let path = full_path(path)?;
        if let Some(FileSystem::Network(system)) = FileSystem::at(path.parent().unwrap_or(Path::new("/"))) {
            return Err(OpenError::Network { path, system });
        }
        let side = SideFile::open(&path)?;
        side.hold(&path)?;
        let present = if path.exists() { Some(hold(&path)?) } else { None };
        let id = |path: &Path| fs::metadata(path).ok().map(|found| FileId::of(&found));
        if present.is_some() && id(&path) == id(from) {
            return Err(OpenError::InTheWay(from.to_owned()));
        }
        if inode::is_held(from) {
            return Err(OpenError::Locked { path: from.to_owned(), pid: inode::holder(from), since: None });
        }
        let prepared = beside(&path, "restoring");
        remove_all(&prepared)?;
        let made = copy_all(from, &prepared).and_then(|()| bring_up(&prepared, from));
        match made {
            Ok(facts) => Ok(Self {
                path,
                prepared,
                facts,
                side,
                present,
                #[cfg(test)]
                steps: None,
            }),
            Err(error) => {
                drop(remove_all(&prepared));
                Err(error)
            }
        }
    }

    /// What the copy says of itself.
    #[must_use]
    pub const fn facts(&self) -> &StoreFacts {
        &self.facts
    }

    /// The copy, for reading.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn store(&self, now: Timestamp, options: &crate::OpenOptions) -> Result<Store, OpenError> {
        let options = crate::OpenOptions { read_only: true, create: false, ..options.clone() };
        Ok(Store::open(&self.prepared, now, &options)?.store)
    }

    /// Puts it in the place of the store, which is kept beside it. It blocks.
    ///
    /// # Errors
    /// See [`OpenError`]; the store is the old one then, or, where only what comes after failed, the new one.
    pub fn into_place(self, reason: &str, audit: &NewAudit) -> Result<Restored, OpenError> {
        // Nobody else has the old file open from here on.
        let old = self.shut_out_others()?;
        #[cfg(test)]
        self.step(1)?;
        let beyond = self.beyond(old.as_ref());
        let (mark, commits) = self.mark(beyond, reason, audit)?;
        #[cfg(test)]
        self.step(2)?;
        let aside = self.keep_present(audit.at)?;
        #[cfg(test)]
        self.step(3)?;
        for suffix in ["-wal", "-shm", "-journal"] {
            remove(&with_suffix(&self.path, suffix))?;
        }
        #[cfg(test)]
        self.step(4)?;
        fs::rename(&self.prepared, &self.path).map_err(io_at("rename to", &self.path))?;
        sync_folder(&self.path).map_err(io_at("sync the directory of", &self.path))?;
        #[cfg(test)]
        self.step(5)?;
        let noted = self.side.note(&self.facts.store_id, commits).and_then(|()| self.side.sync());
        noted.map_err(io_at("write the side file of", &self.path))?;
        drop(old);
        Ok(Restored { aside, mark })
    }

    /// Where a test breaks off.
    #[cfg(test)]
    fn step(&self, number: usize) -> Result<(), OpenError> {
        let goes_on = self.steps.is_none_or(|steps| steps >= number);
        if goes_on { Ok(()) } else { Err(OpenError::Missing(PathBuf::new())) }
    }

    /// Lets the present store take in its log, and keeps commands from it. `None`: there is none, or it does not open: what
    /// cannot be opened is kept as it is, with its log.
    fn shut_out_others(&self) -> Result<Option<Connection>, OpenError> {
        if self.present.is_none() {
            return Ok(None);
        }
        let path = &self.path;
        let Ok(connection) = connection::open(path, Role::Command) else { return Ok(None) };
        match migrate::identify(&connection, path) {
            Ok(Kind::Ours(_)) => {}
            Ok(Kind::Empty) | Err(_) => return Ok(None),
        }
        let alone = || {
            connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE;")?;
            connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0))
        };
        match alone() {
            Ok(mode) if mode == "delete" => Ok(Some(connection)),
            Ok(_) => Err(OpenError::InUse(path.clone())),
            Err(error) => match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                    Err(OpenError::InUse(path.clone()))
                }
                // Damaged.
                _ => Ok(None),
            },
        }
    }

    /// The last commit that anything here knows of.
    fn beyond(&self, old: Option<&Connection>) -> i64 {
        let noted = match self.side.state() {
            SideState::Known { commits, .. } => commits,
            SideState::Fresh | SideState::Unreadable => 0,
        };
        let sql = "SELECT commit_seq FROM meta WHERE id = 1";
        let of_old = old.and_then(|old| old.query_row(sql, [], |row| row.get(0)).ok());
        noted.max(of_old.unwrap_or(0))
    }

    /// Says in the prepared copy that it asks first, and who put it back; answers the mark and the number of its commit.
    fn mark(&self, beyond: i64, reason: &str, audit: &NewAudit) -> Result<(Reconcile, i64), OpenError> {
        let sqlite = || sqlite(&self.prepared);
        let mut connection = Connection::open(&self.prepared).map_err(sqlite())?;
        connection.execute_batch("PRAGMA synchronous = FULL;").map_err(sqlite())?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite())?;
        let commits = self.facts.commits.max(beyond).saturating_add(1);
        let mark = {
            let within = Transaction::passing(&transaction);
            let mark = reconcile::mark_copy(&within, audit.at, reason).map_err(sqlite())?;
            audit::append(&within, audit).map_err(|rejected| OpenError::Sqlite {
                path: self.prepared.clone(),
                detail: rejected.into_store_error().to_string(),
            })?;
            within.execute("UPDATE meta SET commit_seq = ?1 WHERE id = 1", [commits]).map_err(sqlite())?;
            mark
        };
        transaction.commit().map_err(sqlite())?;
        drop(connection);
        File::open(&self.prepared).and_then(|file| file.sync_all()).map_err(io_at("sync", &self.prepared))?;
        Ok((mark, commits))
    }

    /// Gives the present file, and a log that it did not take in, a second name.
    fn keep_present(&self, now: Timestamp) -> Result<Option<PathBuf>, OpenError> {
        if self.present.is_none() {
            return Ok(None);
        }
        let stamp: String = now.to_rfc3339().chars().filter(char::is_ascii_alphanumeric).take(15).collect();
        let named = |number: u32| {
            let more = if number == 0 { String::new() } else { format!("-{number}") };
            beside(&self.path, &format!("before-restore-{stamp}{more}"))
        };
        let free = |name: &PathBuf| fs::symlink_metadata(name).is_err();
        let Some(aside) = (0..1000).map(named).find(free) else {
            return Err(OpenError::InTheWay(named(0)));
        };
        keep(&self.path, &aside)?;
        let log = with_suffix(&self.path, "-wal");
        if log.exists() {
            keep(&log, &with_suffix(&aside, "-wal"))?;
        }
        sync_folder(&self.path).map_err(io_at("sync the directory of", &self.path))?;
        Ok(Some(aside))
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        #[cfg(test)]
        if self.steps.is_some() {
            return;
        }
        if let Err(error) = remove_all(&self.prepared) {
            tracing::warn!(%error, "failed to remove a copy that was prepared");
        }
    }
}

fn io_at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { what, path, source }
}

fn hold(path: &Path) -> Result<(Hold, StoreFile), OpenError> {
    let file = StoreFile::open(path).map_err(io_at("open", path))?;
    match file.hold() {
        Ok(hold) => Ok((hold, file)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(OpenError::Locked { path: path.to_owned(), pid: inode::holder(path), since: None })
        }
        Err(error) => Err(io_at("lock", path)(error)),
    }
}

/// The file, and what SQLite would need beside it.
fn copy_all(from: &Path, to: &Path) -> Result<(), OpenError> {
    for suffix in ["", "-wal", "-journal"] {
        let (from, to) = (with_suffix(from, suffix), with_suffix(to, suffix));
        if suffix.is_empty() || from.exists() {
            copy(&from, &to).map_err(io_at("copy", &from))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut to = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()
}

/// Brings a copy that nothing else has open into one file of this version, and verifies it; an error names `from`.
fn bring_up(prepared: &Path, from: &Path) -> Result<StoreFacts, OpenError> {
    let mut connection = Connection::open(prepared).map_err(sqlite(from))?;
    connection.execute_batch("PRAGMA cell_size_check = 1; PRAGMA trusted_schema = 0;").map_err(sqlite(from))?;
    if migrate::identify(&connection, from)? == Kind::Empty {
        return Err(OpenError::NoSchema(from.to_owned()));
    }
    connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(sqlite(from))?;
    migrate::migrate(&mut connection, from)?;
    verify(&connection, from)
}

/// A second name, or a second copy where a file cannot have two names.
fn keep(path: &Path, aside: &Path) -> Result<(), OpenError> {
    fs::hard_link(path, aside).or_else(|_| copy(path, aside)).map_err(io_at("keep", aside))
}

fn remove(path: &Path) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_at("remove", path)(error)),
        _ => Ok(()),
    }
}

fn remove_all(prepared: &Path) -> Result<(), OpenError> {
    ["", "-wal", "-shm", "-journal"].into_iter().try_for_each(|suffix| remove(&with_suffix(prepared, suffix)))
}
