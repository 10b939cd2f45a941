//! Whether the files at the store's path are still the ones that this process has open, and hold what it put there.
//!
//! Looked at after the commit of a group and before its answer is believed (M13): three `stat`, and two short reads of the
//! log's end. The file is read, one page, only when its change time says that something was written to it: our own checkpoint, a
//! command's, or a copy over it. Decision 0015 has what each look finds and costs.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use rusqlite::Connection;
use rustix::time::{ClockId, clock_gettime};

use super::{
    inode::{FileId, StoreFile},
    meta_page::{self, InFile, Place},
    wal_tail::WalTail,
};
use crate::{OpenError, StoreError, connection::sqlite, error::not_the_store};

/// A page is not read in one piece beside a checkpoint that writes it: what looks wrong is read again, so often, so far apart.
const READS: u32 = 5;
const BETWEEN_READS: Duration = Duration::from_millis(2);

/// What an opened store looks at.
#[derive(Debug)]
pub(crate) struct Look {
    file: StoreFile,
    path: PathBuf,
    /// The files beside it that hold commits too, or say where in them what is.
    beside: [Beside; 2],
    store_id: String,
    /// The last commit that this process knows of.
    newest: AtomicI64,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Beside {
    path: PathBuf,
    id: FileId,
}

#[derive(Debug)]
struct Seen {
    place: Place,
    /// The file's change time and length when its page was read last; `None`: it is to be read again.
    written: Option<Written>,
    /// The commit that the file had come to then, and its schema cookie.
    commits: i64,
    cookie: u32,
    /// The file's length when all of it was there.
    length: u64,
    page: Vec<u8>,
    tail: WalTail,
    links: u64,
}

type Written = (i64, i64, u64);

fn written(found: &Metadata) -> Written {
    (found.ctime(), found.ctime_nsec(), found.len())
}

/// Where `meta` is in the file.
pub(crate) fn place(connection: &Connection) -> rusqlite::Result<Place> {
    let page_size: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let page: i64 =
        connection.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'meta'", [], |row| row.get(0))?;
    let number = |number: i64| u64::try_from(number).unwrap_or(1);
    Ok(Place { page: number(page).max(1), page_size: usize::try_from(page_size).unwrap_or(4096) })
}

impl Look {
    /// Takes what is there as it should be. On a connection that has read: the `-wal` and the `-shm` are there by then.
    pub(crate) fn first(
        path: &Path,
        file: StoreFile,
        connection: &Connection,
        store_id: &str,
    ) -> Result<Self, OpenError> {
        let io = |what: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { what, path, source }
        };
        let beside = |suffix: &str| {
            let path = with_suffix(path, suffix);
            let found = fs::metadata(&path).map_err(io("look at", &path))?;
            Ok::<_, OpenError>(Beside { id: FileId::of(&found), path })
        };
        let beside = [beside("-wal")?, beside("-shm")?];
        let place = place(connection).map_err(sqlite(path))?;
        let log = File::open(&beside[0].path).map_err(io("open", &beside[0].path))?;
        let found = file.as_file().metadata().map_err(io("look at", path))?;
        let mut page = Vec::new();
        let in_file = meta_page::read(file.as_file(), place, &mut page).map_err(io("read", path))?;
        let newest: i64 = connection
            .query_row("SELECT commit_seq FROM meta WHERE id = 1", [], |row| row.get(0))
            .map_err(sqlite(path))?;
        // Only a file that an older version of this program made and left at once does not name its store yet.
        let (commits, cookie) = in_file.map_or((-1, 0), |in_file| (in_file.commits, in_file.cookie));
        let seen = Seen {
            place,
            written: None,
            commits,
            cookie,
            length: found.len(),
            page,
            tail: WalTail::new(log, place.page_size),
            links: found.nlink(),
        };
        let look = Self {
            file,
            path: path.to_owned(),
            beside,
            store_id: store_id.to_owned(),
            newest: AtomicI64::new(newest),
            seen: Mutex::new(seen),
        };
        match look.names() {
            Ok(_) => Ok(look),
            Err(what) => Err(OpenError::Moved { path: path.to_owned(), what }),
        }
    }

    /// This process has made a commit.
    pub(crate) fn came_to(&self, commits: i64) {
        self.newest.fetch_max(commits, Ordering::Relaxed);
    }

    /// All of the log up to this commit was moved into the file.
    pub(crate) fn moved(&self, commits: i64) {
        let mut seen = self.seen();
        seen.commits = seen.commits.max(commits);
    }

    /// The last commit that this process knows of.
    pub(crate) fn newest(&self) -> i64 {
        self.newest.load(Ordering::Relaxed)
    }

    /// After a group; `frames` is the length of the log then, 0 where it is not known. An error says what happened.
    pub(crate) fn after_group(&self, frames: usize, connection: &Connection) -> Result<(), String> {
        self.again(connection)?;
        match self.seen().tail.is_whole(frames) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("{} was cut or written over", self.beside[0].path.display())),
            Err(error) => Err(format!("{} cannot be read: {error}", self.beside[0].path.display())),
        }
    }

    /// At any other time.
    pub(crate) fn again(&self, connection: &Connection) -> Result<(), String> {
        let found = self.names()?;
        let mut seen = self.seen();
        if seen.links != found.nlink() {
            let links = found.nlink();
            tracing::warn!(links, "the store's file has another number of names: to open it by another one damages it");
            seen.links = links;
        }
        if seen.written == Some(written(&found)) {
            return Ok(());
        }
        // What is written from now on has a later change time; within one tick of the clock it could have the same.
        let settled = is_past(found.ctime(), found.ctime_nsec());
        self.content(&mut seen, connection)?;
        seen.written = settled.then(|| written(&found));
        Ok(())
    }

    /// Why SQLite failed so, where that is because the files are not the store any more.
    pub(crate) fn cause(&self, error: &StoreError, connection: &Connection) -> Option<StoreError> {
        let StoreError::Failed(_) = error else { return None };
        self.again(connection).err().map(|what| StoreError::Failed(not_the_store(&what)))
    }

    /// The same where SQLite could not even open it.
    pub(crate) fn cause_unopened(&self) -> Option<StoreError> {
        let what = match self.names() {
            Ok(found) if found.len() < self.seen().length => format!("{} was cut", self.path.display()),
            Ok(_) => return None,
            Err(what) => what,
        };
        Some(StoreError::Failed(not_the_store(&what)))
    }

    /// Whether each name leads to the file that this process has open.
    pub(crate) fn names(&self) -> Result<Metadata, String> {
        let found = one(&self.path, self.file.id())?;
        for Beside { path, id } in &self.beside {
            one(path, *id)?;
        }
        Ok(found)
    }

    /// Something has been written to the file: whether it is the same store, and no less of it than before.
    fn content(&self, seen: &mut Seen, connection: &Connection) -> Result<(), String> {
        let (mut found, mut is_cut) = (Ok(None), false);
        for round in 0..READS {
            if round > 0 {
                std::thread::sleep(BETWEEN_READS);
                // VACUUM moves tables.
                seen.place = place(connection).unwrap_or(seen.place);
            }
            found = meta_page::read(self.file.as_file(), seen.place, &mut seen.page);
            let length = self.file.as_file().metadata().map_or(0, |file| file.len());
            match &found {
                Ok(Some(in_file)) if self.is_ours(in_file, seen, connection) => {
                    is_cut = lacks_its_end(in_file, length, seen);
                    if !is_cut {
                        (seen.commits, seen.cookie, seen.length) = (in_file.commits, in_file.cookie, length);
                        return Ok(());
                    }
                }
                Ok(None) if seen.commits < 0 => return Ok(()),
                _ => {}
            }
        }
        let name = self.path.display();
        Err(match found {
            Err(error) => format!("{name} cannot be read: {error}"),
            Ok(Some(_)) if is_cut => format!("{name} was cut"),
            Ok(None) => format!("{name} was cut or written over"),
            Ok(Some(InFile { store_id, commits, .. })) if store_id == self.store_id => format!(
                "another copy was written over {name}: it has {commits} commits, and this store had come to {} in it",
                seen.commits
            ),
            Ok(Some(InFile { store_id, .. })) => format!("another store, {store_id}, was written over {name}"),
        })
    }

    fn is_ours(&self, in_file: &InFile, seen: &Seen, connection: &Connection) -> bool {
        if in_file.store_id != self.store_id || in_file.commits < seen.commits {
            return false;
        }
        let now = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap_or(-1);
        if in_file.cookie != seen.cookie {
            // The schema was changed, by a tool of SQLite, and that was moved.
            let current = now("PRAGMA schema_version");
            if in_file.cookie < seen.cookie || i64::from(in_file.cookie) > current {
                return false;
            }
        }
        if in_file.commits > self.newest() {
            // A command has committed and moved it.
            self.came_to(now("SELECT commit_seq FROM meta WHERE id = 1"));
        }
        in_file.commits <= self.newest()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the file is shorter than it says, and than it was. What grows may be shorter than it says while a checkpoint writes to
/// it, from its first page on; and what VACUUM makes shorter says so first.
fn lacks_its_end(in_file: &InFile, length: u64, seen: &Seen) -> bool {
    length < seen.length && length < u64::from(in_file.pages) * seen.place.page_size as u64
}

/// Whether the clock that change times are taken from has gone on since.
fn is_past(secs: i64, nanos: i64) -> bool {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    (secs, nanos) < (now.tv_sec, now.tv_nsec)
}

fn one(path: &Path, id: FileId) -> Result<Metadata, String> {
    match fs::metadata(path) {
        Ok(found) if FileId::of(&found) == id => Ok(found),
        Ok(_) => Err(format!("another file is at {}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(format!("{} was removed or moved away", path.display()))
        }
        Err(error) => Err(format!("{} cannot be looked at: {error}", path.display())),
    }
}

/// `<store><suffix>`, as SQLite names its files.
pub(crate) fn with_suffix(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
