//! A store without threads: its work is done where it is asked for, one command at a time, and something may stand between.
//!
//! For whoever runs a whole process on one thread and on a time of its own, and decides what becomes of each command. What
//! a command does is the same as with threads, down to the file; only the groups are of one.

use std::{
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use snap_core::Timestamp;

use crate::{
    OpenError, OpenOptions, Opened, Store, StoreError,
    health::HealthState,
    open::Ground,
    readers::Readers,
    store::Writing,
    task::{Command, Room, Work},
    transaction::Transaction,
    writer::Writer,
};

/// A command on its way: what it is done with, by the name of its type (`outbox::record::Record`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// One transaction that writes.
    Write(&'static str),
    /// One look at what is committed.
    Read,
}

/// A command's way past what stands between.
pub type Passage<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// What stands between the callers and a store without threads.
pub trait Between: Send + Sync + 'static {
    /// Before a command: it may wait. An error is the caller's answer, and nothing is done: [`StoreError::Full`] puts the
    /// store into that state, [`StoreError::Failed`] for good.
    ///
    /// # Errors
    /// What the caller is to get.
    fn before(&self, what: Passing) -> Passage<'_>;

    /// After a command that is on disk: it may wait. An error is the caller's answer all the same.
    ///
    /// # Errors
    /// What the caller is to get.
    fn after(&self, what: Passing) -> Passage<'_>;
}

/// The writer, and what stands before it.
pub(crate) struct Here {
    /// None: closed.
    writer: Mutex<Option<(Connection, Writer)>>,
    between: Arc<dyn Between>,
    health: Arc<HealthState>,
}

impl Here {
    pub(crate) fn new(connection: Connection, writer: Writer, between: Arc<dyn Between>) -> Self {
        let health = Arc::clone(&writer.health);
        Self { writer: Mutex::new(Some((connection, writer))), between, health }
    }

    /// Does one command, alone in its transaction.
    pub(crate) async fn write<I, T>(&self, room: Room, input: I, work: Work<I, T>) -> Result<(I, T), StoreError>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        let what = Passing::Write(std::any::type_name::<I>());
        self.pass(self.between.before(what).await)?;
        let (command, mut answer) = Command::new(room, input, work);
        match &mut *self.writer() {
            Some((connection, writer)) => {
                writer.commit(&Transaction::passing(connection), &mut vec![Box::new(command)]);
            }
            None => return Err(StoreError::Closed),
        }
        let answer = answer.try_recv().unwrap_or(Err(StoreError::Closed));
        self.pass(self.between.after(what).await)?;
        answer
    }

    /// Lets what stands between come before and after a read.
    pub(crate) async fn read<T>(&self, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.pass(self.between.before(Passing::Read).await)?;
        let answer = read();
        self.pass(self.between.after(Passing::Read).await)?;
        answer
    }

    /// Looks whether there is room again.
    pub(crate) fn probe(&self) {
        if let Some((connection, writer)) = &mut *self.writer() {
            writer.probe(&Transaction::passing(connection));
        }
    }

    /// Moves all of the WAL into the file.
    pub(crate) fn fold(&self) -> Result<(), StoreError> {
        match &*self.writer() {
            Some((connection, writer)) => {
                writer.fold(connection);
                Ok(())
            }
            None => Err(StoreError::Closed),
        }
    }

    /// Gives up the file and the lock.
    pub(crate) fn close(&self) {
        if let Some((connection, writer)) = self.writer().take() {
            writer.finish(connection);
        }
    }

    fn pass(&self, passed: Result<(), StoreError>) -> Result<(), StoreError> {
        match &passed {
            Err(StoreError::Full) => self.health.hit_the_end(),
            Err(StoreError::Failed(detail)) => self.health.fail(detail),
            _ => {}
        }
        passed
    }

    fn writer(&self) -> MutexGuard<'_, Option<(Connection, Writer)>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Opens a store without threads. Nothing looks by itself for room ([`Store::look_for_room`]) or moves the WAL.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing of the store is changed then.
    pub fn open_here(
        path: &Path,
        now: Timestamp,
        options: &OpenOptions,
        between: Arc<dyn Between>,
    ) -> Result<Opened, OpenError> {
        crate::open::with(path, now, options, |ground| Ok(Self::without_threads(ground, options, between)))
    }

    fn without_threads(ground: Ground, options: &OpenOptions, between: Arc<dyn Between>) -> Self {
        let Ground { connection, look, file, hold, side, path, store_id } = ground;
        let health = Arc::new(HealthState::new());
        let writer = Writer {
            look: Arc::clone(&look),
            hold,
            side,
            store: path.clone(),
            store_id,
            health: Arc::clone(&health),
            reserve: None,
            on_commit: options.on_commit.clone(),
            wal_frames: Arc::default(),
            checkpoint_frames: options.checkpoint_frames,
            housekeeper: None,
            frames_told: 0,
            side_failed: false,
        };
        let readers = Readers::new(path, file, Some(look), options, Arc::clone(&health));
        Self::from_parts(
            Writing::Here(Box::new(Here::new(connection, writer, between))),
            Arc::new(readers),
            health,
            Vec::new(),
        )
    }
}
