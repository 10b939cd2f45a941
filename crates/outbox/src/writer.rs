//! The writer thread: takes whatever waits, commits it as one group, then answers.

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering, mpsc as std_mpsc},
    time::Instant,
};

use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::{
    CommitObserver, CommitSample, StoreError, connection,
    custody::{inode::Hold, look::Look},
    error::{Rejected, classify, describe, not_the_store},
    health::HealthState,
    lock::SideFile,
    reserve::Reserve,
    task::{Room, Task},
    transaction::Transaction,
};

/// Commands that may wait: twice a group, so that the next one fills while this one is synced. Beyond it callers wait.
pub(crate) const QUEUE: usize = 1024;
/// Commands of one group. Larger ones gain nothing and make the first caller wait.
const GROUP: usize = 512;
/// Times five seconds that another process may hold the write lock before callers hear of it.
const BUSY_TRIES: usize = 6;

/// What the writer is told.
pub(crate) enum Message {
    /// Commit this.
    Run(Box<dyn Task>),
    /// Move the rest of the WAL into the file, between two groups; the channel ends when it is done.
    Fold(std_mpsc::Sender<Infallible>),
    /// There may be room again.
    Probe,
    /// Commit what waits, and end.
    Close,
}

pub(crate) struct Writer {
    /// Whether the files are still the store's.
    pub(crate) look: Arc<Look>,
    /// The lock, of the one worker.
    pub(crate) hold: Option<Hold>,
    pub(crate) side: SideFile,
    pub(crate) store: PathBuf,
    pub(crate) store_id: String,
    pub(crate) health: Arc<HealthState>,
    /// Kept by the one worker only.
    pub(crate) reserve: Option<Reserve>,
    pub(crate) on_commit: Option<CommitObserver>,
    /// Frames in the WAL after the last commit.
    pub(crate) wal_frames: Arc<AtomicUsize>,
    /// From so many more on the housekeeper is told.
    pub(crate) checkpoint_frames: usize,
    /// Tells the housekeeper that the WAL has grown.
    pub(crate) housekeeper: Option<std_mpsc::SyncSender<()>>,
    /// Its length when the housekeeper was last told.
    pub(crate) frames_told: usize,
    /// The side file could not be written; said once.
    pub(crate) side_failed: bool,
}

type Tasks = Vec<Box<dyn Task>>;
type Verdicts = Vec<Option<StoreError>>;

/// Why a group was rolled back.
enum GroupFailure {
    /// Some command failed after it had changed something: run each in a savepoint.
    NeedsCare,
    Store(StoreError),
}

/// A writer that panicked has left its callers without an answer.
struct FailOnPanic(Arc<HealthState>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("the writer thread panicked");
        }
    }
}

impl Writer {
    /// Serves `messages` to their end, on a connection that is its own.
    pub(crate) fn run(mut self, connection: Connection, mut messages: mpsc::Receiver<Message>) {
        let _guard = FailOnPanic(Arc::clone(&self.health));
        let transaction = Transaction::lasting(&connection);
        let mut tasks = Tasks::with_capacity(GROUP);
        while let Some(first) = messages.blocking_recv() {
            let mut next = Some(first);
            while let Some(message) = next.take() {
                match message {
                    Message::Run(task) => tasks.push(task),
                    other => {
                        self.commit(&transaction, &mut tasks);
                        self.serve(&transaction, other, &mut messages);
                    }
                }
                if tasks.len() < GROUP {
                    next = messages.try_recv().ok();
                }
            }
            self.commit(&transaction, &mut tasks);
        }
        drop(transaction);
        self.finish(connection);
    }

    fn serve(&mut self, transaction: &Transaction<'_>, message: Message, messages: &mut mpsc::Receiver<Message>) {
        match message {
            Message::Run(_) => {}
            Message::Fold(done) => {
                self.fold(transaction);
                drop(done);
            }
            Message::Probe => self.probe(transaction),
            Message::Close => messages.close(),
        }
    }

    /// Commits the tasks and answers them; on a full disk those that need no ordinary room are tried from the reserve.
    pub(crate) fn commit(&mut self, transaction: &Transaction<'_>, tasks: &mut Tasks) {
        self.refuse(tasks);
        let mut folded = false;
        while !tasks.is_empty() {
            let failure =
                match self.try_group(transaction, tasks).and_then(|done| self.look(transaction).map(|()| done)) {
                    Ok(verdicts) => {
                        for (task, verdict) in tasks.drain(..).zip(verdicts) {
                            task.answer(verdict);
                        }
                        return;
                    }
                    Err(failure) => self.cause(failure, transaction),
                };
            if failure == StoreError::Full && self.is_worker() {
                self.health.hit_the_end();
                let released = self.reserve.as_mut().is_some_and(Reserve::release);
                let before = tasks.len();
                self.refuse(tasks);
                // A WAL that starts over needs no new room: its blocks are there.
                let fold = !std::mem::replace(&mut folded, true) && self.fold(transaction);
                if released || fold || tasks.len() < before {
                    continue;
                }
            }
            if let StoreError::Failed(detail) = &failure {
                self.health.fail(detail);
            }
            for task in tasks.drain(..) {
                task.answer(Some(failure.clone()));
            }
        }
    }

    /// Whether what was committed is in the store, and not in a file that has lost its name: before anybody is told (M13).
    fn look(&self, connection: &Connection) -> Result<(), StoreError> {
        self.look.after_group(self.wal_frames.load(Ordering::Relaxed), connection).map_err(|what| {
            self.leave_word();
            StoreError::Failed(not_the_store(&what))
        })
    }

    /// Why SQLite failed: where the files are not the store any more, that is it, and not what SQLite came upon first.
    fn cause(&self, failure: StoreError, connection: &Connection) -> StoreError {
        self.look.cause(&failure, connection).map_or(failure, |cause| {
            self.leave_word();
            cause
        })
    }

    fn leave_word(&self) {
        self.side.leave_word(&self.store, &self.store_id, self.look.newest());
    }

    /// Answers at once what the store's health does not allow.
    fn refuse(&self, tasks: &mut Tasks) {
        let (all, needy) = (self.health.refusal(false), self.health.refusal(true));
        if needy.is_none() {
            return;
        }
        for task in std::mem::take(tasks) {
            match if task.room() == Room::Ordinary { &needy } else { &all } {
                Some(error) => task.answer(Some(error.clone())),
                None => tasks.push(task),
            }
        }
    }

    fn try_group(&mut self, transaction: &Transaction<'_>, tasks: &mut Tasks) -> Result<Verdicts, StoreError> {
        match self.group(transaction, tasks, false) {
            Err(GroupFailure::NeedsCare) => match self.group(transaction, tasks, true) {
                Err(GroupFailure::NeedsCare) => Err(StoreError::Failed("a savepoint did not hold".to_owned())),
                Err(GroupFailure::Store(error)) => Err(error),
                Ok(verdicts) => Ok(verdicts),
            },
            Err(GroupFailure::Store(error)) => Err(error),
            Ok(verdicts) => Ok(verdicts),
        }
    }

    /// One transaction. Savepoints cost a copy of every page a command touches, so they are used only `with_care`.
    fn group(
        &mut self,
        transaction: &Transaction<'_>,
        tasks: &mut Tasks,
        with_care: bool,
    ) -> Result<Verdicts, GroupFailure> {
        let begun = Instant::now();
        self.begin(transaction).map_err(GroupFailure::Store)?;
        let changes = transaction.total_changes();
        let result =
            run_tasks(transaction, tasks, with_care).and_then(|verdicts| Ok((end(transaction, changes)?, verdicts)));
        match result {
            Ok((Some(commits), verdicts)) => {
                self.committed(commits, CommitSample { took: begun.elapsed(), commands: tasks.len() });
                Ok(verdicts)
            }
            Ok((None, verdicts)) => Ok(verdicts),
            Err(failure) => {
                roll_back(transaction)?;
                Err(failure)
            }
        }
    }

    fn begin(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            let result = transaction.kept("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([]));
            match result.map_err(|error| classify(&error)) {
                Ok(_) => return Ok(()),
                Err(StoreError::Busy) if self.is_worker() && tries + 1 < BUSY_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
            tracing::warn!("another process holds the store's write lock");
        }
    }

    fn committed(&mut self, commits: i64, sample: CommitSample) {
        self.look.came_to(commits);
        if let Err(error) = self.side.note(&self.store_id, commits)
            && !std::mem::replace(&mut self.side_failed, true)
        {
            tracing::warn!(%error, "failed to note the commit in the store's side file");
        }
        if let Some(observer) = &self.on_commit {
            observer(sample);
        }
        let frames = self.wal_frames.load(Ordering::Relaxed);
        if frames < self.frames_told {
            self.frames_told = 0;
        }
        if let Some(housekeeper) = &self.housekeeper
            && frames >= self.frames_told + self.checkpoint_frames
        {
            self.frames_told = frames;
            match housekeeper.try_send(()) {
                // A full channel means that it has been told.
                Ok(()) | Err(std_mpsc::TrySendError::Full(())) => {}
                Err(std_mpsc::TrySendError::Disconnected(())) => tracing::error!("the store's housekeeper has ended"),
            }
        }
    }

    /// Whether this is the one worker's handle, with a housekeeper that looks for room and a supervisor behind it.
    const fn is_worker(&self) -> bool {
        self.housekeeper.is_some()
    }

    /// Looks whether the reserve can be had again and a write succeeds.
    pub(crate) fn probe(&mut self, transaction: &Transaction<'_>) {
        if !self.health.has_hit_the_end() || self.reserve.as_mut().is_some_and(|reserve| reserve.restore().is_err()) {
            return;
        }
        let write = self.begin(transaction).map_err(GroupFailure::Store).and_then(|()| {
            let number = next_commit(transaction).map_err(|error| GroupFailure::Store(classify(&error)))?;
            transaction.execute_batch("COMMIT").map_err(|error| GroupFailure::Store(classify(&error)))?;
            Ok(number)
        });
        match write {
            Ok(commits) => {
                drop(self.side.note(&self.store_id, commits));
                self.look.came_to(commits);
                self.health.found_room();
            }
            Err(GroupFailure::Store(failure @ StoreError::Failed(_))) => {
                if let StoreError::Failed(detail) = self.cause(failure, transaction) {
                    self.health.fail(&detail);
                }
            }
            Err(_) => drop(roll_back(transaction)),
        }
    }

    /// Moves all of the WAL into the file, so that the next commit starts it over; whether that was done.
    pub(crate) fn fold(&self, connection: &Connection) -> bool {
        // Into no other file than the store's.
        if !self.is_still_ours(connection) {
            return false;
        }
        let newest = self.look.newest();
        let result = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            let (busy, frames, moved): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(busy == 0 && frames > 0 && frames == moved)
        });
        match result {
            Ok(all) => {
                if all {
                    self.look.moved(newest);
                }
                self.is_still_ours(connection) && all
            }
            Err(error) => {
                match self.cause(classify(&error), connection) {
                    // What the file did not take is unknown (M12).
                    StoreError::Failed(detail) => self.health.fail(&detail),
                    _ => tracing::warn!(error = describe(&error), "failed to checkpoint the store"),
                }
                false
            }
        }
    }

    fn is_still_ours(&self, connection: &Connection) -> bool {
        let found = self.look.again(connection);
        if let Err(what) = &found {
            self.health.fail(&not_the_store(what));
        }
        found.is_ok()
    }

    pub(crate) fn finish(self, connection: Connection) {
        if self.is_worker() && self.health.refusal(false).is_none() {
            self.fold(&connection);
        }
        if self.health.refusal(false).is_some() {
            connection::leave_the_log(&connection);
        }
        self.leave_word();
        // The connection goes before the lock.
        drop(connection);
        drop(self.hold);
        drop(self.side);
    }
}

fn run_tasks(transaction: &Transaction<'_>, tasks: &mut Tasks, with_care: bool) -> Result<Verdicts, GroupFailure> {
    let batch = |sql| transaction.execute_batch(sql).map_err(|error| GroupFailure::Store(classify(&error)));
    let mut verdicts = Vec::with_capacity(tasks.len());
    for task in tasks {
        if with_care {
            batch("SAVEPOINT command")?;
        }
        let changes = transaction.total_changes();
        let verdict = match task.run(transaction) {
            Ok(()) => None,
            Err(Rejected::Caller(error)) => Some(error),
            Err(Rejected::Sqlite(error)) => match classify(&error) {
                refused @ StoreError::Refused(_) => Some(refused),
                other => return Err(GroupFailure::Store(other)),
            },
        };
        match (&verdict, with_care) {
            (None, false) => {}
            (None, true) => batch("RELEASE command")?,
            (Some(_), true) => batch("ROLLBACK TO command; RELEASE command")?,
            (Some(_), false) if transaction.total_changes() == changes => {}
            (Some(_), false) => return Err(GroupFailure::NeedsCare),
        }
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

/// Commits; answers the commit's number, or `None` where nothing has changed since `changes`.
fn end(transaction: &Transaction<'_>, changes: u64) -> Result<Option<i64>, GroupFailure> {
    let commit = || -> rusqlite::Result<Option<i64>> {
        let changed = transaction.total_changes() != changes;
        let number = if changed { Some(next_commit(transaction)?) } else { None };
        transaction.kept("COMMIT")?.execute([])?;
        Ok(number)
    };
    commit().map_err(|error| GroupFailure::Store(classify(&error)))
}

fn roll_back(transaction: &Transaction<'_>) -> Result<(), GroupFailure> {
    // SQLite has done it by itself after some errors, a full disk among them.
    if transaction.is_autocommit() {
        return Ok(());
    }
    transaction.execute_batch("ROLLBACK").map_err(|error| GroupFailure::Store(StoreError::Failed(describe(&error))))
}

/// Numbers this commit.
fn next_commit(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    // RETURNING would build a table for its one row.
    transaction.kept("UPDATE meta SET commit_seq = commit_seq + 1 WHERE id = 1")?.execute([])?;
    transaction.kept("SELECT commit_seq FROM meta WHERE id = 1")?.query_row([], |row| row.get(0))
}
