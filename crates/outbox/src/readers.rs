//! A few connections that only read, used off the async threads.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{
    StoreError,
    connection::{self, Role},
    error::Rejected,
    health::HealthState,
};

pub(crate) struct Readers {
    path: PathBuf,
    cache_kib: u32,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    health: Arc<HealthState>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, cache_kib: u32, count: usize, health: Arc<HealthState>) -> Self {
        Self { path, cache_kib, permits: Arc::new(Semaphore::new(count.max(1))), idle: Mutex::default(), health }
    }

    /// Runs `read` on a connection of its own; it sees one state of the store throughout.
    pub(crate) async fn run<T, F>(self: &Arc<Self>, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Rejected> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_closed| StoreError::Closed)?;
        let this = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            this.on_connection(read)
        });
        done.await.map_err(|stopped| StoreError::Refused(format!("a read was stopped: {stopped}")))?
    }

    /// The same where it is called. It blocks.
    pub(crate) fn run_here<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Rejected>) -> Result<T, StoreError> {
        if self.permits.is_closed() {
            return Err(StoreError::Closed);
        }
        self.on_connection(read)
    }

    fn on_connection<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Rejected>) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.open()?,
        };
        let result = in_snapshot(&connection, read).map_err(Rejected::into_store_error);
        if let Err(StoreError::Failed(detail)) = &result {
            self.health.fail(detail);
        } else {
            self.idle().push(connection);
        }
        result
    }

    fn open(&self) -> Result<Connection, StoreError> {
        let open = || {
            let connection = connection::open(&self.path, Role::Reader)?;
            connection::configure(&connection, &self.path, Role::Reader, self.cache_kib)?;
            Ok(connection)
        };
        open().map_err(|error: crate::OpenError| StoreError::Failed(error.to_string()))
    }

    /// Lets no more reads begin and closes what is idle.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_snapshot<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, Rejected>,
) -> Result<T, Rejected> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let result = read(connection);
    // Nothing was written: to end a snapshot cannot fail in a way that matters to what was read.
    let ended = connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    let value = result?;
    ended?;
    Ok(value)
}
