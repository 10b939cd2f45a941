//! The handle: how commands reach the writer thread, and reads a connection.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc},
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, watch};

use crate::{
    Health, StoreError,
    error::Rejected,
    health::HealthState,
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
    /// None: open for reading only.
    writer: Option<mpsc::Sender<Message>>,
    readers: Arc<Readers>,
    health: Arc<HealthState>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("health", &self.health()).finish_non_exhaustive()
    }
}

impl Store {
    pub(crate) fn from_parts(
        writer: Option<mpsc::Sender<Message>>,
        readers: Arc<Readers>,
        health: Arc<HealthState>,
        threads: Vec<JoinHandle<()>>,
    ) -> Self {
        Self { inner: Arc::new(Inner { writer, readers, health, threads: Mutex::new(threads) }) }
    }

    /// Sends `input` to the writer thread, where `work` is done with it inside a transaction; both come back after the
    /// commit.
    pub(crate) async fn write<I, T>(&self, room: Room, input: I, work: Work<I, T>) -> Result<(I, T), StoreError>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        let writer = self.inner.writer.as_ref().ok_or(StoreError::ReadOnly)?;
        if let Some(refusal) = self.inner.health.refusal(room == Room::Ordinary) {
            return Err(refusal);
        }
        let (command, answer) = Command::new(room, input, work);
        writer.send(Message::Run(Box::new(command))).await.map_err(|_closed| StoreError::Closed)?;
        answer.await.map_err(|_ended| StoreError::Closed)?
    }

    /// Reads what is committed.
    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Rejected> + Send + 'static,
    {
        self.inner.readers.run(read).await
    }

    /// Moves all of the WAL into the file between two groups, as far as that can be done, so that the WAL starts over.
    pub(crate) async fn fold(&self) -> Result<(), StoreError> {
        let writer = self.inner.writer.as_ref().ok_or(StoreError::ReadOnly)?;
        let (done, wait) = std_mpsc::channel();
        writer.send(Message::Fold(done)).await.map_err(|_closed| StoreError::Closed)?;
        let waited = tokio::task::spawn_blocking(move || {
            if let Ok(never) = wait.recv() {
                match never {}
            }
        });
        waited.await.map_err(|_panicked| StoreError::Closed)
    }

    /// Lets the writer look for room now.
    #[cfg(test)]
    pub(crate) async fn probe(&self) {
        let writer = self.inner.writer.as_ref().expect("it is open for writing");
        writer.send(Message::Probe).await.expect("the writer runs");
    }

    /// Whether a worker has the store at `path`: it is told of what changes within a second, and works it off.
    #[must_use]
    pub fn is_held(path: &Path) -> bool {
        SideFile::is_held(path)
    }

    /// Whether it can be written.
    pub fn health(&self) -> Health {
        self.inner.health.current()
    }

    /// Follows [`Store::health`].
    pub fn subscribe(&self) -> watch::Receiver<Health> {
        self.inner.health.subscribe()
    }

    /// Ends: commits what waits, checkpoints, gives up the lock. Commands that come later are [`StoreError::Closed`].
    pub async fn close(&self) {
        self.inner.readers.close();
        if let Some(writer) = &self.inner.writer {
            // An error means that it was closed before.
            drop(writer.send(Message::Close).await);
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
