//! The side file `<store>.lock`: who holds the store, and how far it had come.
//!
//! Lines of 64 bytes, each overwritten in place, so that none needs room on a full disk: the holder, under an advisory lock
//! that dies with its process; the store's id with the number of its last commit; and whether the store is being made.
//! What keeps a second worker out is the lock on the store's own inode (`custody/inode.rs`): this file can be removed. Its own
//! lock is taken as well, for workers that know no other, and while a store is made.
//! The number is written after each commit and never synced, so after a crash it can only be too small. A store whose own
//! number is *smaller* has lost commits: it is an older copy, or its `-wal` was taken from it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use snap_core::Timestamp;

use crate::{
    OpenError,
    custody::inode::{A_LOOK, FileId, LOOKS},
};

const LINE: usize = 64;
/// Looks that a command waits for another process that makes the store: five seconds.
const LOOKS_WHILE_MADE: u32 = 500;

const MAKING: &str = "making";
const MADE: &str = "made";

/// The open side file. The lock, where taken, is held until it is dropped.
#[derive(Debug)]
pub(crate) struct SideFile {
    file: File,
    path: PathBuf,
}

/// What the side file says about the store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SideState {
    /// Nothing yet.
    Fresh,
    /// This store had come this far.
    Known {
        /// Which store.
        store_id: String,
        /// Its last commit.
        commits: i64,
    },
    /// It cannot be read.
    Unreadable,
}

/// `<store>.<suffix>`.
pub(crate) fn beside(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

impl SideFile {
    /// Opens it, and makes it where there is none.
    pub(crate) fn open(store: &Path) -> Result<Self, OpenError> {
        let path = beside(store, "lock");
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        match file {
            Ok(file) => Ok(Self { file, path }),
            Err(source) => Err(OpenError::Io { what: "open", path, source }),
        }
    }

    /// Whether another process has this file's lock. To know it the lock is taken for a moment, shared: [`SideFile::hold`]
    /// waits that long.
    pub(crate) fn is_held(store: &Path) -> bool {
        let Ok(file) = File::open(beside(store, "lock")) else { return false };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(errno) => errno == Errno::WOULDBLOCK,
            Ok(()) => false,
        }
    }

    /// Takes the lock for this process.
    pub(crate) fn hold(&self, store: &Path) -> Result<(), OpenError> {
        self.lock(store, LOOKS)
    }

    /// Takes the lock while the store is made, by a command too; [`SideFile::unlock`] ends it.
    pub(crate) fn hold_to_make(&self, store: &Path) -> Result<(), OpenError> {
        self.lock(store, LOOKS_WHILE_MADE)
    }

    /// Gives the lock up.
    pub(crate) fn unlock(&self) -> io::Result<()> {
        Ok(flock(&self.file, FlockOperation::Unlock)?)
    }

    fn lock(&self, store: &Path, looks: u32) -> Result<(), OpenError> {
        let mut taken = flock(&self.file, FlockOperation::NonBlockingLockExclusive);
        for _ in 0..looks {
            if taken != Err(Errno::WOULDBLOCK) {
                break;
            }
            // Somebody may only be looking whether it is held.
            std::thread::sleep(A_LOOK);
            taken = flock(&self.file, FlockOperation::NonBlockingLockExclusive);
        }
        match taken {
            Ok(()) => Ok(()),
            Err(Errno::WOULDBLOCK) => {
                let (pid, since) = self.holder();
                Err(OpenError::Locked { path: store.to_owned(), pid, since })
            }
            Err(errno) => Err(OpenError::Io { what: "lock", path: self.path.clone(), source: errno.into() }),
        }
    }

    /// Says in the file that this process holds the store.
    pub(crate) fn say_who(&self, now: Timestamp) -> Result<(), OpenError> {
        let line = format!("pid {} since {}", std::process::id(), now.as_millis());
        self.write_line(0, &line).map_err(|source| OpenError::Io { what: "write", path: self.path.clone(), source })
    }

    /// Whether it is still what its name leads to.
    fn is_in_place(&self) -> bool {
        let id = |found: io::Result<fs::Metadata>| found.ok().map(|found| FileId::of(&found));
        id(self.file.metadata()) == id(fs::metadata(&self.path))
    }

    /// Leaves word, where this file was removed, of which store was here and how far it had come: what is opened there next
    /// is then known to be another one, or behind.
    pub(crate) fn leave_word(&self, store: &Path, store_id: &str, commits: i64) {
        if self.is_in_place() {
            return;
        }
        let left = Self::open(store).and_then(|side| {
            let io = |source| OpenError::Io { what: "write", path: self.path.clone(), source };
            if side.state() == SideState::Fresh {
                side.note(store_id, commits).and_then(|()| side.sync()).map_err(io)?;
            }
            Ok(())
        });
        if let Err(error) = left {
            tracing::warn!(%error, "failed to leave word of the store");
        }
    }

    /// Whether a store is being made here, and has no schema yet.
    pub(crate) fn says_making(&self) -> bool {
        self.read_line(2).is_ok_and(|line| line == MAKING)
    }

    /// Whether the store here was made under the eyes of this file, which is not a copy's.
    pub(crate) fn says_made(&self) -> bool {
        self.read_line(2).is_ok_and(|line| line == MADE)
    }

    /// Says whether one is being made.
    pub(crate) fn note_making(&self, making: bool) -> io::Result<()> {
        self.write_line(2, if making { MAKING } else { MADE })
    }

    /// What it says about the store.
    pub(crate) fn state(&self) -> SideState {
        let Ok(line) = self.read_line(1) else { return SideState::Unreadable };
        if line.is_empty() {
            return SideState::Fresh;
        }
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next(), words.next(), words.next().map(str::parse)) {
            (Some("store"), Some(id), Some("commits"), Some(Ok(commits))) => {
                SideState::Known { store_id: id.to_owned(), commits }
            }
            _ => SideState::Unreadable,
        }
    }

    /// Notes the last commit.
    pub(crate) fn note(&self, store_id: &str, commits: i64) -> io::Result<()> {
        self.write_line(1, &format!("store {store_id} commits {commits:020}"))
    }

    /// Makes sure that the file, though not its latest number, outlives a power loss.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Who holds the store, as far as it says.
    pub(crate) fn holder(&self) -> (Option<u32>, Option<Timestamp>) {
        let line = self.read_line(0).unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let pid = words.nth(1).and_then(|word| word.parse().ok());
        let since = words.nth(1).and_then(|word| word.parse().ok()).map(Timestamp::from_millis);
        (pid, since)
    }

    fn write_line(&self, line: u64, text: &str) -> io::Result<()> {
        debug_assert!(text.len() < LINE, "a line holds 63 bytes");
        let padded = format!("{text:<width$}\n", width = LINE - 1);
        self.file.write_all_at(padded.as_bytes(), line * LINE as u64)
    }

    /// A line without its padding; empty where the file ends before it. Text that is not ASCII is an error.
    fn read_line(&self, line: u64) -> io::Result<String> {
        let mut bytes = [0; LINE];
        let mut filled = 0;
        while filled < LINE {
            match self.file.read_at(&mut bytes[filled..], line * LINE as u64 + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        let text = std::str::from_utf8(&bytes[..filled]).map_err(io::Error::other)?;
        Ok(text.trim_end_matches([' ', '\n', '\0']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("s.db");
        (dir, store)
    }

    #[test]
    fn the_lock_goes_to_one_and_names_it_to_the_other() {
        let (_dir, store) = side();
        let first = SideFile::open(&store).unwrap();
        first.hold(&store).unwrap();
        first.say_who(Timestamp::from_millis(5)).unwrap();
        let second = SideFile::open(&store).unwrap();
        let begun = std::time::Instant::now();
        let error = second.hold(&store).unwrap_err();
        assert!(begun.elapsed() >= A_LOOK * LOOKS, "somebody might only have been looking");
        let OpenError::Locked { pid, since, .. } = &error else { panic!("{error}") };
        assert_eq!((*pid, *since), (Some(std::process::id()), Some(Timestamp::from_millis(5))));
        assert!(error.to_string().ends_with(&format!("is held by process {}", std::process::id())));
        drop(first);
        second.hold(&store).unwrap();
    }

    #[test]
    fn m13_word_of_a_store_is_left_where_its_side_file_was_removed_and_nowhere_else() {
        let (_dir, store) = side();
        let name = beside(&store, "lock");
        let side = SideFile::open(&store).unwrap();
        side.note("00ff", 7).unwrap();
        side.leave_word(&store, "00ff", 9);
        let known = |commits| SideState::Known { store_id: "00ff".to_owned(), commits };
        assert_eq!(SideFile::open(&store).unwrap().state(), known(7), "it is there");
        fs::remove_file(&name).unwrap();
        side.leave_word(&store, "00ff", 9);
        assert_eq!(SideFile::open(&store).unwrap().state(), known(9));
        side.leave_word(&store, "00ee", 3);
        assert_eq!(SideFile::open(&store).unwrap().state(), known(9), "that is another's");
    }

    #[test]
    fn what_was_noted_is_read_and_rubbish_is_not_taken_for_it() {
        let (_dir, store) = side();
        let side = SideFile::open(&store).unwrap();
        assert_eq!(side.state(), SideState::Fresh);
        side.note("00ff", 7).unwrap();
        side.note("00ff", 12).unwrap();
        assert_eq!(side.state(), SideState::Known { store_id: "00ff".to_owned(), commits: 12 });
        assert_eq!(side.file.metadata().unwrap().len(), 128);
        fs::write(beside(&store, "lock"), [b'x'; 128]).unwrap();
        assert_eq!(side.state(), SideState::Unreadable);
        // A file that ends within a line says what the line says.
        fs::write(beside(&store, "lock"), format!("{}store 00ff commits 7", "x".repeat(LINE))).unwrap();
        assert_eq!(side.state(), SideState::Known { store_id: "00ff".to_owned(), commits: 7 });
    }
}
