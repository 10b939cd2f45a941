//! The handle: how commands reach the writer thread, and reads a connection.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc},
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::{
    Health, StoreError,
    custody::inode,
    error::Rejected,
    health::HealthState,
    here::Here,
    lock::SideFile,
    readers::Readers,
    task::{Command, Room, Work},
    writer::Message,
};

/// A handle of the store; clones are the same store. Dropping the last one ends its threads after what they were told.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writing: Writing,
    readers: Arc<Readers>,
    health: Arc<HealthState>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Where what is written is done.
pub(crate) enum Writing {
    /// Nowhere: it is open for reading only.
    No,
    /// On the writer thread.
    Thread(mpsc::Sender<Message>),
    /// Where it is asked for.
    Here(Box<Here>),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("health", &self.health()).finish_non_exhaustive()
    }
}

impl Store {
    pub(crate) fn from_parts(
        writing: Writing,
        readers: Arc<Readers>,
        health: Arc<HealthState>,
        threads: Vec<JoinHandle<()>>,
    ) -> Self {
        Self { inner: Arc::new(Inner { writing, readers, health, threads: Mutex::new(threads) }) }
    }

    /// Sends `input` to the writer thread, where `work` is done with it inside a transaction; both come back after the
    /// commit.
    pub(crate) async fn write<I, T>(&self, room: Room, input: I, work: Work<I, T>) -> Result<(I, T), StoreError>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        if let Some(refusal) = self.inner.health.refusal(room == Room::Ordinary) {
            return Err(refusal);
        }
        let writer = match &self.inner.writing {
            Writing::No => return Err(StoreError::ReadOnly),
            Writing::Thread(writer) => writer,
            Writing::Here(here) => return here.write(room, input, work).await,
        };
        let (command, answer) = Command::new(room, input, work);
        writer.send(Message::Run(Box::new(command))).await.map_err(|_closed| StoreError::Closed)?;
        answer.await.map_err(|_ended| StoreError::Closed)?
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.inner.readers
    }

    /// Reads what is committed.
    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Rejected> + Send + 'static,
    {
        match &self.inner.writing {
            Writing::Here(here) => here.read(|| self.inner.readers.run_here(read)).await,
            Writing::Thread(_) | Writing::No => self.inner.readers.run(read).await,
        }
    }

    /// Moves all of the WAL into the file between two groups, as far as that can be done, so that the WAL starts over.
    pub(crate) async fn fold(&self) -> Result<(), StoreError> {
        let writer = match &self.inner.writing {
            Writing::No => return Err(StoreError::ReadOnly),
            Writing::Thread(writer) => writer,
            Writing::Here(here) => return here.fold(),
        };
        let (done, wait) = std_mpsc::channel();
        writer.send(Message::Fold(done)).await.map_err(|_closed| StoreError::Closed)?;
        let waited = tokio::task::spawn_blocking(move || {
            if let Ok(never) = wait.recv() {
                match never {}
            }
        });
        waited.await.map_err(|_panicked| StoreError::Closed)
    }

    /// Lets the writer look now whether there is room again; with threads it is also done now and then by itself.
    pub async fn look_for_room(&self) {
        match &self.inner.writing {
            Writing::No => {}
            // An error means that it was closed.
            Writing::Thread(writer) => drop(writer.send(Message::Probe).await),
            Writing::Here(here) => here.probe(),
        }
    }

    /// Whether a worker has the store at `path`: it is told of what changes within a second, and works it off.
    #[must_use]
    pub fn is_held(path: &Path) -> bool {
        // A worker of before the lock on the file itself has only the other one.
        inode::is_held(path) || SideFile::is_held(path)
    }

    /// The process that has the store at `path` as its worker, where that can be told.
    #[must_use]
    pub fn holder(path: &Path) -> Option<u32> {
        inode::holder(path)
    }

    /// Whether it can be written.
    pub fn health(&self) -> Health {
        self.inner.health.current()
    }

    /// Waits until [`Store::health`] is as `wanted`; those who wait are told in the order in which they came.
    pub async fn health_when(&self, wanted: impl Fn(&Health) -> bool) -> Health {
        self.inner.health.when(wanted).await
    }

    /// Ends: commits what waits, checkpoints, gives up the lock. Commands that come later are [`StoreError::Closed`].
    pub async fn close(&self) {
        self.inner.readers.close();
        match &self.inner.writing {
            Writing::No => {}
            // An error means that it was closed before.
            Writing::Thread(writer) => drop(writer.send(Message::Close).await),
            Writing::Here(here) => return here.close(),
        }
        let threads = std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a thread of the store panicked");
                }
            }
        });
        if joined.await.is_err() {
            tracing::error!("failed to wait for the store's threads");
        }
    }
}
