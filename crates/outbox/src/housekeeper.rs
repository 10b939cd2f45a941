//! The worker's second thread: keeps the WAL short and looks for room, so that the writer does neither.

use std::{
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

/// Frames (pages of 4 KiB) in the WAL that are worth a checkpoint. Source: SQLite's own default.
pub(crate) const CHECKPOINT_FRAMES: usize = 1000;
/// From here on the writer is asked to end a checkpoint. While it writes, one beside it never catches up, and the WAL
/// starts from its beginning again only when all of it was moved. By then little is left, so the writer hardly stops.
const FOLD_FRAMES: usize = 4000;

pub(crate) struct Housekeeper {
    pub(crate) connection: Connection,
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
    fn shorten_wal(&self, moved: usize) -> usize {
        let frames = self.wal_frames.load(Ordering::Relaxed);
        let moved = if frames < moved { 0 } else { moved };
        if frames - moved < CHECKPOINT_FRAMES {
            return moved;
        }
        let result = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(2));
        let moved = match result {
            Ok(checkpointed) => usize::try_from(checkpointed).unwrap_or(0),
            Err(error) => {
                tracing::warn!(error = describe(&error), "failed to checkpoint the store");
                return moved;
            }
        };
        if self.wal_frames.load(Ordering::Relaxed) >= FOLD_FRAMES {
            let (done, wait) = std_mpsc::channel();
            self.tell(Message::Fold(done));
            if let Ok(never) = wait.recv() {
                match never {}
            }
        }
        moved
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
