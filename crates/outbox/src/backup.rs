//! A backup: a consistent copy in one file, verified before it has its name.
//!
//! `VACUUM INTO`, and not the backup API: it is one read transaction beside any number of commits (the other begins again
//! whenever another process commits), it reads every row and so stops at damage instead of copying it, and what was deleted is
//! not in it. While it runs, the log cannot start over and grows.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use snap_core::Timestamp;

use crate::{
    OpenError, Store, StoreFacts,
    connection::{self, Role, sqlite},
    custody::{inode::StoreFile, make::sync_folder},
    facts::verify,
    lock::beside,
    migrate::{self, Kind},
};

impl Store {
    /// Copies the store at `path` to `to`, beside a running worker or without one: consistent, verified, for its owner's eyes
    /// only, never over a file that is there. It blocks, for as long as it takes to read and write all of it.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing is left at `to` then.
    pub fn back_up(path: &Path, to: &Path, now: Timestamp) -> Result<StoreFacts, OpenError> {
        if !path.exists() {
            return Err(OpenError::Missing(path.to_owned()));
        }
        if fs::symlink_metadata(to).is_ok() {
            return Err(OpenError::InTheWay(to.to_owned()));
        }
        let part = Part(beside(to, &format!("part-{}", std::process::id())));
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part.0);
        drop(made.map_err(io("make", &part.0))?);
        copy(path, &part.0)?;
        let facts = mark(&part.0, now)?;
        File::open(&part.0).and_then(|file| file.sync_all()).map_err(io("sync", &part.0))?;
        give_name(&part.0, to)?;
        sync_folder(to).map_err(io("sync the directory of", to))?;
        Ok(facts)
    }
}

fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { what, path, source }
}

/// A copy without its name yet; what broke off goes.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // It has its name, or is of no use.
        drop(fs::remove_file(&self.0));
    }
}

fn copy(path: &Path, part: &Path) -> Result<(), OpenError> {
    // For longer than the connection.
    let _file = StoreFile::open(path).map_err(io("open", path))?;
    let connection = connection::open(path, Role::Reader)?;
    match migrate::identify(&connection, path)? {
        Kind::Ours(found) if found == migrate::known() => {}
        Kind::Ours(found) => {
            return Err(OpenError::TooOld { path: path.to_owned(), found, known: migrate::known() });
        }
        Kind::Empty => return Err(OpenError::NoSchema(path.to_owned())),
    }
    let Some(name) = part.to_str() else {
        return Err(io("name", part)(io::Error::new(io::ErrorKind::InvalidInput, "its name is not text")));
    };
    connection.execute("VACUUM INTO ?1", [name]).map(drop).map_err(sqlite(path))
}

/// Says in the copy that it is one, and looks whether it is whole.
fn mark(part: &Path, now: Timestamp) -> Result<StoreFacts, OpenError> {
    let connection = Connection::open(part).map_err(sqlite(part))?;
    connection.execute("UPDATE meta SET copied_at = ?1", [now.as_millis()]).map_err(sqlite(part))?;
    verify(&connection, part)
}

fn give_name(part: &Path, to: &Path) -> Result<(), OpenError> {
    match renameat_with(CWD, part, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => Err(OpenError::InTheWay(to.to_owned())),
        // Some file systems do not know how to.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if fs::symlink_metadata(to).is_err() => {
            fs::rename(part, to).map_err(io("rename to", to))
        }
        renamed => renamed.map_err(|errno| io("rename to", to)(errno.into())),
    }
}
