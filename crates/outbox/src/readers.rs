//! A few connections that only read, used off the async threads.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{
    OpenOptions, StoreError,
    connection::{self, Role},
    custody::{inode::StoreFile, look::Look},
    error::{Rejected, not_the_store},
    health::HealthState,
};

pub(crate) struct Readers {
    path: PathBuf,
    cache_kib: u32,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    health: Arc<HealthState>,
    /// Of a store that is written to: a connection that is opened later is to the same file.
    look: Option<Arc<Look>>,
    /// For longer than any connection.
    _file: StoreFile,
}

impl Readers {
    pub(crate) fn new(
        path: PathBuf,
        file: StoreFile,
        look: Option<Arc<Look>>,
        options: &OpenOptions,
        health: Arc<HealthState>,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(options.readers.max(1)));
        let cache_kib = options.cache_kib / 4;
        Self { path, cache_kib, permits, idle: Mutex::default(), health, look, _file: file }
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
            None => self.open().inspect_err(|error| self.fails(error))?,
        };
        let result = in_snapshot(&connection, read).map_err(Rejected::into_store_error);
        let cause = |error| self.look.as_ref().and_then(|look| look.cause(&error, &connection)).unwrap_or(error);
        let result = result.map_err(cause);
        match &result {
            Err(error @ StoreError::Failed(_)) => self.fails(error),
            _ => self.idle().push(connection),
        }
        result
    }

    /// M13: whether the store's names still lead to the files that reads see. One that was removed is read on all the same, and
    /// what was committed to it meanwhile is not so.
    pub(crate) fn still_named(&self) -> Result<(), StoreError> {
        let Some(look) = &self.look else { return Ok(()) };
        let named = look.names().map(drop).map_err(|what| StoreError::Failed(not_the_store(&what)));
        named.inspect_err(|error| self.fails(error))
    }

    fn fails(&self, error: &StoreError) {
        if let StoreError::Failed(detail) = error {
            self.health.fail(detail);
        }
    }

    fn open(&self) -> Result<Connection, StoreError> {
        let open = || {
            let connection = connection::open(&self.path, Role::Reader)?;
            connection::configure(&connection, &self.path, Role::Reader, self.cache_kib)?;
            Ok(connection)
        };
        let connection = open().map_err(|error: crate::OpenError| {
            let cause = self.look.as_ref().and_then(|look| look.cause_unopened());
            cause.unwrap_or_else(|| StoreError::Failed(error.to_string()))
        })?;
        self.still_named()?;
        Ok(connection)
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
