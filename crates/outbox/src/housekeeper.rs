//! The worker's second thread: keeps the WAL short and looks for room, so that the writer does neither.

use std::{
    fs::File,
    mem::ManuallyDrop,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc as std_mpsc,
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::{error::describe, health::HealthState, reserve::free_bytes, writer::Message};

/// Frames (pages of 4 KiB) in the WAL from which on it is moved into the file and started over. A page that changed many
/// times is moved once: with a quarter of it the file is written a tenth more.
pub(crate) const CHECKPOINT_FRAMES: usize = 4000;
/// The most frames that are left to the writer, where a few more rounds get there.
const LEFT_TO_WRITER: usize = 128;
/// Rounds before it is asked all the same: a writer that outruns this thread must not grow the WAL for ever.
const ROUNDS: usize = 4;

pub(crate) struct Housekeeper {
    pub(crate) connection: Connection,
    /// The store's file, to sync it. Never closed: that would drop every lock this process has on it.
    pub(crate) file: ManuallyDrop<File>,
    pub(crate) store: PathBuf,
    pub(crate) health: Arc<HealthState>,
    pub(crate) writer: mpsc::WeakSender<Message>,
    /// Frames in the WAL after the last commit.
    pub(crate) wal_frames: Arc<AtomicUsize>,
    /// The store counts as full below this.
    pub(crate) min_free: u64,
    /// What has to be free beyond it before the reserve is taken again.
    pub(crate) reserve: u64,
    /// How often room is looked for.
    pub(crate) every: Duration,
}

impl Housekeeper {
    pub(crate) fn run(self, wake: &std_mpsc::Receiver<()>) {
        let mut moved = 0;
        let mut look_at = Instant::now();
        loop {
            if Instant::now() >= look_at {
                self.look_for_room();
                look_at = Instant::now() + self.every;
            }
            match wake.recv_timeout(look_at.saturating_duration_since(Instant::now())) {
                Ok(()) => moved = self.shorten_wal(moved),
                Err(std_mpsc::RecvTimeoutError::Timeout) => {}
                Err(std_mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Moves the WAL into the file; answers how many of its frames have been moved.
    ///
    /// The WAL starts from its beginning again only when all of it was moved, and while the writer writes a checkpoint
    /// beside it never catches up: the writer ends it, when so little is left that it hardly stops.
    fn shorten_wal(&self, moved: usize) -> usize {
        let frames = self.wal_frames.load(Ordering::Relaxed);
        let mut moved = if frames < moved { 0 } else { moved };
        if frames - moved < CHECKPOINT_FRAMES {
            return moved;
        }
        for _ in 0..ROUNDS {
            let Some(now) = self.checkpoint() else { return moved };
            moved = now;
            if self.wal_frames.load(Ordering::Relaxed).saturating_sub(moved) <= LEFT_TO_WRITER {
                break;
            }
        }
        let (done, wait) = std_mpsc::channel();
        self.tell(Message::Fold(done));
        if let Ok(never) = wait.recv() {
            match never {}
        }
        moved
    }

    /// Moves what it can beside the writer, and syncs it: SQLite syncs the file only when all of the WAL was moved, which
    /// would leave the whole flush to the writer. Answers how many frames have been moved; `None`: it failed.
    fn checkpoint(&self) -> Option<usize> {
        let moved = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(2));
        if let Err(error) = self.file.sync_data() {
            // What was moved may be lost, and no later sync would tell (M12).
            self.health.fail(&format!("failed to sync the file: {error}"));
            return None;
        }
        match moved {
            Ok(moved) => Some(usize::try_from(moved).unwrap_or(0)),
            Err(error) => {
                tracing::warn!(error = describe(&error), "failed to checkpoint the store");
                None
            }
        }
    }

    fn look_for_room(&self) {
        let Some(free) = free_bytes(&self.store) else { return };
        let was_low = self.health.is_low();
        let enough = if was_low { self.min_free + self.min_free / 4 } else { self.min_free };
        let low = free < enough;
        if low != was_low {
            tracing::warn!(free, enough, low, "free space beside the store");
            self.health.set_low(low);
        }
        if self.health.has_hit_the_end() && free >= enough + self.reserve {
            self.tell(Message::Probe);
        }
    }

    fn tell(&self, message: Message) {
        if let Some(writer) = self.writer.upgrade() {
            // An error means that the writer has ended.
            drop(writer.blocking_send(message));
        }
    }
}
