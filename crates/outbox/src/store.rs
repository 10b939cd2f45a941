//! The handle.

use std::{path::Path, sync::Arc, time::Duration};

use snap_core::Timestamp;
use tokio::sync::watch;

use crate::{NewAudit, OpenError, StoreError};

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
    /// Room kept for results, in bytes; 0: none. Only an exclusive store keeps it.
    pub reserve_bytes: u64,
    /// The store counts as full below this many free bytes on its file system. Only an exclusive store looks.
    pub min_free_bytes: u64,
    /// SQLite's page cache per connection, in KiB.
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
            cache_kib: 8 << 10,
            readers: 2,
            on_commit: None,
        }
    }
}

/// Whether the store can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Yes.
    Writable,
    /// There is no room: no intents, results only (M12). It comes back by itself.
    Full,
    /// No, for good: end the process.
    Failed {
        /// Why.
        detail: String,
    },
}

/// Why the store may not know everything that was done (M12): the worker asks before it sends anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconcile {
    /// Since when.
    pub since: Timestamp,
    /// What was found.
    pub reason: String,
}

/// An opened store.
pub struct Opened {
    /// The handle.
    pub store: Store,
    /// Stands until an operator clears it.
    pub reconcile: Option<Reconcile>,
    /// The file was made just now.
    pub created: bool,
    /// The newest time in the store: a clock behind it runs wrong.
    pub newest: Option<Timestamp>,
}

/// A handle of the store; clones are the same store.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// Opens a store: lock, file mode, settings, check, migrations, comparison with the side file. It blocks.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing is changed then.
    pub fn open(path: &Path, now: Timestamp, options: &OpenOptions) -> Result<Opened, OpenError> {
        let _ = (path, now, options);
        todo!()
    }

    /// Whether it can be written.
    pub fn health(&self) -> Health {
        todo!()
    }

    /// Follows [`Store::health`].
    pub fn subscribe(&self) -> watch::Receiver<Health> {
        todo!()
    }

    /// Whether the store may not know everything that was done.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn reconcile(&self) -> Result<Option<Reconcile>, StoreError> {
        todo!()
    }

    /// An operator says that the store knows everything again.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn clear_reconcile(&self, audit: NewAudit) -> Result<(), StoreError> {
        drop(audit);
        todo!()
    }

    /// Ends: commits what waits, checkpoints, gives up the lock. Commands that come later are [`StoreError::Closed`].
    pub async fn close(&self) {
        todo!()
    }
}
