//! How a store comes to be: its schema and its id are in the file, synced, before anything else is done with it.
//!
//! So a file without them is never a new store: it is empty for a reason that this program does not know, or the copy of a
//! file whose `-wal` has them. Only a file whose making broke off is made anew, and the side file says so.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use rusqlite::{Connection, OpenFlags};

use super::look::with_suffix;
use crate::{
    OpenError,
    connection::sqlite,
    lock::SideFile,
    migrate::{self, Kind},
};

/// Makes the file where there is none, or where its making broke off. Whether it was made.
pub(crate) fn make(path: &Path, side: &SideFile) -> Result<bool, OpenError> {
    let io = |what| move |source| OpenError::Io { what, path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(_) if !side.says_making() => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let log = with_suffix(path, "-wal");
            if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
                // SQLite would take it for the new file's.
                return Err(OpenError::Orphan { path: path.to_owned(), log });
            }
            // By its name too, before the store has one: an empty file without it is not being made.
            let noted = side.note_making(true).and_then(|()| side.sync()).and_then(|()| sync_folder(path));
            noted.map_err(io("write the side file of"))?;
            // For its owner's eyes only, before SQLite opens it: `-wal` and `-shm` copy its mode.
            let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            made.and_then(|file| file.sync_all()).map_err(io("make"))?;
            sync_folder(path).map_err(io("sync the directory of"))?;
        }
        Err(error) => return Err(io("look at")(error)),
    }
    let made = !is_whole(path);
    if made {
        let file = fs::OpenOptions::new().write(true).open(path).map_err(io("empty"))?;
        file.set_len(0).map_err(io("empty"))?;
        drop(file);
        fill(path)?;
        File::open(path).and_then(|file| file.sync_all()).map_err(io("sync"))?;
    }
    side.note_making(false).map_err(io("write the side file of"))?;
    Ok(made)
}

/// Whether a making that broke off had come to its end, or something else was put there meanwhile.
fn is_whole(path: &Path) -> bool {
    let Ok(connection) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE) else { return false };
    let sound = || connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    matches!(migrate::identify(&connection, path), Ok(Kind::Ours(_)))
        && migrate::must_match(&connection, path).is_ok()
        && sound().is_ok_and(|says| says == "ok")
}

/// Writes schema and id. Without a journal: what breaks off is begun anew, and no journal can come back after a power loss and
/// take the schema away again.
fn fill(path: &Path) -> Result<(), OpenError> {
    let mut connection = Connection::open(path).map_err(sqlite(path))?;
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = FULL;").map_err(sqlite(path))?;
    migrate::migrate(&mut connection, path)?;
    connection.execute_batch("PRAGMA journal_mode = WAL;").map_err(sqlite(path))
}

/// Makes names in the folder of `path` durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all())
}

/// Takes the file from the eyes of others. It is not opened: see [`super::inode`].
pub(crate) fn make_private(path: &Path) -> Result<(), OpenError> {
    let io = |what| move |source| OpenError::Io { what, path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(io("read the mode of"))?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(mode = format!("{:o}", mode & 0o777), "the store was readable by others");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(io("set the mode of"))?;
    }
    Ok(())
}
