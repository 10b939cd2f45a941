//! Opening a store: lock, file mode, settings, check, migrations, the comparison with the side file, and the first look.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering, mpsc as std_mpsc},
    time::Duration,
};

use rusqlite::Connection;
use snap_core::Timestamp;
use tokio::sync::mpsc;

use crate::{
    OpenError, Reconcile, Store,
    connection::{self, Role, sqlite},
    custody::{
        inode::{self, Hold, StoreFile},
        look::Look,
        make,
        system::FileSystem,
    },
    health::HealthState,
    housekeeper::Housekeeper,
    lock::SideFile,
    migrate::{self, Kind},
    readers::Readers,
    reconcile,
    reserve::{Reserve, scaled},
    store::Writing,
    writer::{self, Writer},
};

/// What one group commit was.
#[derive(Clone, Copy, Debug)]
pub struct CommitSample {
    /// From the begin of the transaction to the end of its sync.
    pub took: Duration,
    /// Commands in it.
    pub commands: usize,
}

/// Is told of every group commit, on the writer thread: it must not block.
pub type CommitObserver = Arc<dyn Fn(CommitSample) + Send + Sync>;

/// How to open a store.
#[derive(Clone)]
pub struct OpenOptions {
    /// Hold it as the one worker: a second one is refused (M10).
    pub exclusive: bool,
    /// Read only; nothing is made or changed.
    pub read_only: bool,
    /// Make the file where there is none.
    pub create: bool,
    /// Room kept for results, in bytes; 0: none. Only an exclusive store keeps it, and at most a sixteenth of its file
    /// system.
    pub reserve_bytes: u64,
    /// The store counts as full below this many free bytes on its file system. Only an exclusive store looks, and at
    /// most for a sixteenth.
    pub min_free_bytes: u64,
    /// How often it looks.
    pub look_for_room_every: Duration,
    /// Frames in the WAL (pages of 4 KiB) from which on it is moved into the file and started over. Only an exclusive store
    /// does it by this number.
    pub checkpoint_frames: usize,
    /// SQLite's page cache for writing, in KiB; each reader has a quarter of it.
    pub cache_kib: u32,
    /// Connections for reading, opened when first needed.
    pub readers: usize,
    /// Is told of every group commit.
    pub on_commit: Option<CommitObserver>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            exclusive: false,
            read_only: false,
            create: true,
            reserve_bytes: 16 << 20,
            min_free_bytes: 32 << 20,
            look_for_room_every: Duration::from_secs(1),
            // A page that changed many times is moved once: with a quarter of it the file is written a tenth more.
            checkpoint_frames: 4000,
            // More gives nothing, even at a million stored jobs: what is used again is little, and keys come at random.
            cache_kib: 2 << 10,
            readers: 2,
            on_commit: None,
        }
    }
}

/// An opened store.
#[derive(Debug)]
pub struct Opened {
    /// The handle.
    pub store: Store,
    /// Stands until an operator clears it.
    pub reconcile: Option<Reconcile>,
    /// The file was made just now.
    pub created: bool,
    /// When the last job was accepted: a clock behind it runs wrong.
    pub newest: Option<Timestamp>,
}

/// Larger files are not checked as a whole at every start: `worker check` does that.
const CHECK_UP_TO: u64 = 64 << 20;

impl Store {
    /// Opens a store. It blocks.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing of the store is changed then.
    pub fn open(path: &Path, now: Timestamp, options: &OpenOptions) -> Result<Opened, OpenError> {
        if options.read_only {
            return open_for_reading(&full_path(path)?, options);
        }
        with(path, now, options, |ground| start(ground, options))
    }
}

/// An opened file of a store, on its way to a handle.
pub(crate) struct Ground {
    pub(crate) connection: Connection,
    pub(crate) look: Arc<Look>,
    pub(crate) file: StoreFile,
    /// The lock of an exclusive store.
    pub(crate) hold: Option<Hold>,
    pub(crate) side: SideFile,
    pub(crate) path: PathBuf,
    pub(crate) store_id: String,
}

/// Opens a store for writing; `start` makes its handle.
pub(crate) fn with(
    path: &Path,
    now: Timestamp,
    options: &OpenOptions,
    start: impl FnOnce(Ground) -> Result<Store, OpenError>,
) -> Result<Opened, OpenError> {
    let path = full_path(path)?;
    if !options.create && !path.exists() {
        return Err(OpenError::Missing(path));
    }
    if options.exclusive
        && let Some(FileSystem::Network(system)) = FileSystem::at(path.parent().unwrap_or(Path::new("/")))
    {
        return Err(OpenError::Network { path, system });
    }
    let side = SideFile::open(&path)?;
    if options.exclusive {
        side.hold(&path)?;
    }
    let created = make_if_missing(&path, &side, options)?;
    // Before SQLite opens the file, and after that until its last connection is closed.
    let (file, hold) = own_file(&path, options)?;
    // A worker that runs knows what it has: nothing is compared beside it.
    let beside_worker = hold.is_none() && inode::is_held(&path);
    if hold.is_some() {
        side.say_who(now)?;
    }
    make::make_private(&path)?;
    let role = if options.exclusive { Role::Worker } else { Role::Command };
    let mut connection = connection::open(&path, role)?;
    if migrate::identify(&connection, &path)? == Kind::Empty {
        return Err(OpenError::NoSchema(path));
    }
    connection::configure(&connection, &path, role, options.cache_kib)?;
    if options.exclusive {
        check(&connection, &path)?;
    }
    if migrate::migrate(&mut connection, &path)? > 0 {
        migrate::must_match(&connection, &path)?;
    }
    let (store_id, reconcile) = if beside_worker {
        reconcile::as_marked(&connection, &path)?
    } else {
        reconcile::compare(&mut connection, &path, &side, created, now)?
    };
    side.sync().map_err(|source| OpenError::Io { what: "sync the side file of", path: path.clone(), source })?;
    let newest = reconcile::newest(&connection).map_err(sqlite(&path))?;
    let look = Arc::new(Look::first(&path, file.clone(), &connection, &store_id)?);
    let store = start(Ground { connection, look, file, hold, side, path, store_id })?;
    Ok(Opened { store, reconcile, created, newest })
}

fn make_if_missing(path: &Path, side: &SideFile, options: &OpenOptions) -> Result<bool, OpenError> {
    if options.exclusive {
        return make::make(path, side);
    }
    if !options.create || (path.exists() && !side.says_making()) {
        return Ok(false);
    }
    side.hold_to_make(path)?;
    let made = make::make(path, side);
    side.unlock().map_err(|source| OpenError::Io { what: "unlock the side file of", path: path.to_owned(), source })?;
    made
}

/// The file at `path`, with its lock where the store is exclusive.
fn own_file(path: &Path, options: &OpenOptions) -> Result<(StoreFile, Option<Hold>), OpenError> {
    let io = |source| OpenError::Io { what: "open", path: path.to_owned(), source };
    let file = StoreFile::open(path).map_err(io)?;
    if !options.exclusive {
        return Ok((file, None));
    }
    let hold = match file.hold() {
        Ok(hold) => hold,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return Err(OpenError::Locked { path: path.to_owned(), pid: inode::holder(path), since: None });
        }
        Err(error) => return Err(io(error)),
    };
    if !file.stands_at(path) {
        return Err(OpenError::Moved { path: path.to_owned(), what: "another file came to its place".to_owned() });
    }
    Ok((file, Some(hold)))
}

fn open_for_reading(path: &Path, options: &OpenOptions) -> Result<Opened, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing(path.to_owned()));
    }
    let io = |source| OpenError::Io { what: "open", path: path.to_owned(), source };
    let file = StoreFile::open(path).map_err(io)?;
    let connection = connection::open(path, Role::Reader)?;
    match migrate::identify(&connection, path)? {
        Kind::Ours(found) if found == migrate::known() => migrate::must_match(&connection, path)?,
        Kind::Ours(found) => {
            return Err(OpenError::TooOld { path: path.to_owned(), found, known: migrate::known() });
        }
        Kind::Empty => return Err(OpenError::NoSchema(path.to_owned())),
    }
    let health = Arc::new(HealthState::new());
    let readers = Readers::new(path.to_owned(), file, None, options, Arc::clone(&health));
    let reconcile = reconcile::read(&connection).map_err(sqlite(path))?;
    let newest = reconcile::newest(&connection).map_err(sqlite(path))?;
    // Before the last handle of the file is.
    drop(connection);
    Ok(Opened {
        store: Store::from_parts(Writing::No, Arc::new(readers), health, Vec::new()),
        reconcile,
        created: false,
        newest,
    })
}

/// Starts the threads behind the handle.
fn start(ground: Ground, options: &OpenOptions) -> Result<Store, OpenError> {
    let Ground { mut connection, look, file, hold, side, path, store_id } = ground;
    let path = path.as_path();
    let health = Arc::new(HealthState::new());
    let (sender, messages) = mpsc::channel(writer::QUEUE);
    let wal_frames = Arc::new(AtomicUsize::new(0));
    let mut reserve = None;
    let mut wake = None;
    let mut threads = Vec::new();
    if options.exclusive {
        let frames = Arc::clone(&wal_frames);
        connection
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
                frames.store(usize::try_from(pages).unwrap_or(0), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(sqlite(path))?;
        let taken = Reserve::take(path, options.reserve_bytes);
        if !taken.is_held() {
            health.hit_the_end();
        }
        reserve = Some(taken);
        // One place: to be told twice is to be told.
        let (wake_sender, wake_receiver) = std_mpsc::sync_channel(1);
        wake = Some(wake_sender);
        let housekeeper = Housekeeper {
            connection: checkpointer(path)?,
            file: file.clone(),
            look: Arc::clone(&look),
            store: path.to_owned(),
            health: Arc::clone(&health),
            writer: sender.downgrade(),
            wal_frames: Arc::clone(&wal_frames),
            checkpoint_frames: options.checkpoint_frames,
            min_free: scaled(path, options.min_free_bytes),
            reserve: scaled(path, options.reserve_bytes),
            every: options.look_for_room_every,
        };
        let (looked, first_look) = std_mpsc::channel();
        threads.push(spawn("outbox-keeper", path, move || housekeeper.run(&wake_receiver, looked))?);
        // An opened store knows whether there is room.
        if let Ok(never) = first_look.recv() {
            match never {}
        }
    }
    let writer = Writer {
        look: Arc::clone(&look),
        hold,
        side,
        store: path.to_owned(),
        store_id,
        health: Arc::clone(&health),
        reserve,
        on_commit: options.on_commit.clone(),
        wal_frames,
        checkpoint_frames: options.checkpoint_frames,
        housekeeper: wake,
        frames_told: 0,
        side_failed: false,
    };
    threads.push(spawn("outbox-writer", path, move || writer.run(connection, messages))?);
    let readers = Readers::new(path.to_owned(), file, Some(look), options, Arc::clone(&health));
    Ok(Store::from_parts(Writing::Thread(sender), Arc::new(readers), health, threads))
}

fn checkpointer(path: &Path) -> Result<Connection, OpenError> {
    let connection = connection::open(path, Role::Checkpoint)?;
    connection::configure(&connection, path, Role::Checkpoint, 256)?;
    Ok(connection)
}

fn spawn(
    name: &str,
    path: &Path,
    run: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, OpenError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|source| OpenError::Io {
        what: "start a thread for",
        path: path.to_owned(),
        source,
    })
}

/// One spelling for one file, so that the lock beside it is one as well.
pub(crate) fn full_path(path: &Path) -> Result<PathBuf, OpenError> {
    let io = |source| OpenError::Io { what: "find", path: path.to_owned(), source };
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found.map_err(io),
    }
    let name = path.file_name().ok_or_else(|| io(io::ErrorKind::InvalidInput.into()))?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(fs::canonicalize(dir).map_err(io)?.join(name))
}

fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    if fs::metadata(path).is_ok_and(|file| file.len() > CHECK_UP_TO) {
        return Ok(());
    }
    let says: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sqlite(path))?;
    if says == "ok" { Ok(()) } else { Err(OpenError::Damaged { path: path.to_owned(), detail: says }) }
}
