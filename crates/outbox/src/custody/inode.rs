//! This process's own descriptor of a store's file, and the lock on its inode.
//!
//! POSIX takes every lock that a process has on a file away when it closes *any* descriptor of it, and SQLite's promises rest
//! on such locks. So a process has one descriptor of a store beside SQLite's: opened before them, shared by every handle of the
//! store, and closed when the last one is gone.
//! Source: <https://www.sqlite.org/howtocorrupt.html>, section 2.2.
//!
//! The lock is `flock`, which SQLite does not use: it is on the inode, so that no name and no file beside it can be removed to
//! get past it, and two names of one inode are one store.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock, major, minor},
    io::Errno,
};

/// How long it takes to look whether a lock is held, and how often another process may do so while it is taken.
pub(crate) const A_LOOK: Duration = Duration::from_millis(10);
/// A process that was killed on a busy machine takes its time to be gone, too.
pub(crate) const LOOKS: u32 = 20;

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// A file that this process has open.
struct Entry {
    file: Arc<File>,
    /// Descriptors that were opened beside it in a race, and cannot be closed before it.
    more: Vec<File>,
    handles: usize,
    /// The lock is this process's.
    held: bool,
}

/// One entry a file: locks are a process's, and so is this.
static OPEN: Mutex<BTreeMap<FileId, Entry>> = Mutex::new(BTreeMap::new());

fn open_files() -> MutexGuard<'static, BTreeMap<FileId, Entry>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handle of this process's descriptor of a store's file. Whatever has a connection of SQLite to it keeps one for longer.
#[derive(Debug)]
pub(crate) struct StoreFile {
    id: FileId,
    /// `None` only while it is dropped.
    file: Option<Arc<File>>,
}

impl StoreFile {
    /// Opens the file at `path`, which has to be there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut open = open_files();
        let found = fs::metadata(path)?;
        if !found.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
        }
        let mut id = FileId::of(&found);
        if !open.contains_key(&id) {
            let file = File::open(path)?;
            id = FileId::of(&file.metadata()?);
            match open.get_mut(&id) {
                // Another file came to stand there meanwhile, and it is open already.
                Some(entry) => entry.more.push(file),
                None => {
                    let entry = Entry { file: Arc::new(file), more: Vec::new(), handles: 0, held: false };
                    open.insert(id, entry);
                }
            }
        }
        let entry = open.get_mut(&id).expect("it is there or was put there");
        entry.handles += 1;
        Ok(Self { id, file: Some(Arc::clone(&entry.file)) })
    }

    /// Which file it is.
    pub(crate) const fn id(&self) -> FileId {
        self.id
    }

    /// The descriptor, for what opens and closes nothing.
    pub(crate) fn as_file(&self) -> &File {
        self.file.as_ref().expect("it is there until it is dropped")
    }

    /// Whether `path` names this file now.
    pub(crate) fn stands_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| FileId::of(&found) == self.id)
    }

    /// Takes the lock; an error of the kind `WouldBlock` where another has it.
    pub(crate) fn hold(&self) -> io::Result<Hold> {
        let mut tries = 0;
        loop {
            match self.try_hold() {
                // Another process may only be looking whether it is held.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && tries < LOOKS => tries += 1,
                held => return held,
            }
            std::thread::sleep(A_LOOK);
        }
    }

    fn try_hold(&self) -> io::Result<Hold> {
        let mut open = open_files();
        let entry = open.get_mut(&self.id).expect("it is open as long as a handle of it is");
        // Two handles have one descriptor: to the kernel they are one.
        if entry.held {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        flock(&entry.file, FlockOperation::NonBlockingLockExclusive)?;
        (entry.held, entry.handles) = (true, entry.handles + 1);
        Ok(Hold { file: Self { id: self.id, file: Some(Arc::clone(&entry.file)) } })
    }
}

impl Clone for StoreFile {
    fn clone(&self) -> Self {
        let mut open = open_files();
        open.get_mut(&self.id).expect("it is open as long as a handle of it is").handles += 1;
        Self { id: self.id, file: self.file.clone() }
    }
}

impl Drop for StoreFile {
    fn drop(&mut self) {
        let mut open = open_files();
        self.file = None;
        let entry = open.get_mut(&self.id).expect("it is open as long as a handle of it is");
        entry.handles -= 1;
        if entry.handles == 0 {
            open.remove(&self.id);
        }
    }
}

/// The lock on a store's file, until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    file: StoreFile,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(entry) = open_files().get_mut(&self.file.id) {
            entry.held = false;
            if let Err(error) = flock(&entry.file, FlockOperation::Unlock) {
                tracing::error!(%error, "failed to give up the lock on the store");
            }
        }
    }
}

/// Whether a process has the lock on the file at `path`. To know it the lock is taken for a moment, shared:
/// [`StoreFile::hold`] waits that long.
pub(crate) fn is_held(path: &Path) -> bool {
    let Ok(file) = StoreFile::open(path) else { return false };
    let open = open_files();
    let held = open.get(&file.id).is_some_and(|entry| entry.held || is_taken(&entry.file));
    drop(open);
    held
}

fn is_taken(file: &File) -> bool {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Err(errno) => errno == Errno::WOULDBLOCK,
        Ok(()) => {
            if let Err(error) = flock(file, FlockOperation::Unlock) {
                tracing::error!(%error, "failed to end a look at the lock on the store");
            }
            false
        }
    }
}

/// The process that holds the lock on the file at `path`, where the kernel tells: not from another pid namespace.
pub(crate) fn holder(path: &Path) -> Option<u32> {
    let id = FileId::of(&fs::metadata(path).ok()?);
    holder_in(&fs::read_to_string("/proc/locks").ok()?, id)
}

/// Source: proc_locks(5): `1: FLOCK  ADVISORY  WRITE 718 fe:00:9437198 0 EOF`.
fn holder_in(locks: &str, id: FileId) -> Option<u32> {
    let name = format!("{:02x}:{:02x}:{}", major(id.device), minor(id.device), id.inode);
    locks.lines().find_map(|line| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, file, ..] = words[..] else { return None };
        let pid = pid.parse().ok().filter(|pid| *pid > 0);
        if file == name { pid } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m10_the_lock_is_the_inode_s_and_no_name_leads_past_it() {
        let dir = tempfile::tempdir().unwrap();
        let [name, hard, soft] = ["s.db", "hard.db", "soft.db"].map(|name| dir.path().join(name));
        fs::write(&name, "x").unwrap();
        fs::hard_link(&name, &hard).unwrap();
        std::os::unix::fs::symlink(&name, &soft).unwrap();
        let first = StoreFile::open(&name).unwrap();
        let hold = first.hold().unwrap();
        for path in [&name, &hard, &soft] {
            assert!(is_held(path));
            assert_eq!(StoreFile::open(path).unwrap().hold().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
        assert_eq!(holder(&hard), Some(std::process::id()));
        drop(hold);
        assert!(!is_held(&hard));
        assert_eq!(holder(&name), None);
        StoreFile::open(&hard).unwrap().hold().unwrap();
    }

    #[test]
    fn a_file_is_open_once_in_a_process_and_until_its_last_handle_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.db");
        fs::write(&path, "x").unwrap();
        let descriptors = || {
            let open =
                fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
            open.filter(|file| *file == path).count()
        };
        let first = StoreFile::open(&path).unwrap();
        let second = StoreFile::open(&path).unwrap();
        assert!(!is_held(&path), "to look opens and closes no other descriptor");
        let third = first.clone();
        assert_eq!(descriptors(), 1);
        drop((first, second));
        assert_eq!(descriptors(), 1);
        drop(third);
        assert_eq!(descriptors(), 0);
        assert!(!open_files().contains_key(&FileId::of(&fs::metadata(&path).unwrap())));
    }

    #[test]
    fn what_is_not_a_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(StoreFile::open(dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(StoreFile::open(&dir.path().join("nowhere")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_holder_is_read_from_the_kernel_s_list() {
        let id = FileId { device: rustix::fs::makedev(0xfe, 1), inode: 77 };
        let locks = "1: POSIX  ADVISORY  WRITE 5 fe:01:77 0 EOF\n2: FLOCK  ADVISORY  READ 6 fe:01:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 9 fe:01:77 0 EOF\n3: FLOCK  ADVISORY  WRITE 7 fe:01:78 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 718 fe:01:77 0 EOF\n";
        assert_eq!(holder_in(locks, id), Some(718));
        assert_eq!(holder_in("4: FLOCK  ADVISORY  WRITE 0 fe:01:77 0 EOF\n", id), None, "of another namespace");
        assert_eq!(holder_in("", id), None);
    }
}
