//! The worker's second thread: keeps the WAL short and looks for room, so that the writer does neither.

use std::{
    convert::Infallible,
    fs,
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

use crate::{
    connection,
    custody::{inode::StoreFile, look::Look},
    error::{describe, not_the_store},
    health::HealthState,
    reserve::free_bytes,
    rows,
    writer::Message,
};

/// The most frames that are left to the writer, where a few more rounds get there.
const LEFT_TO_WRITER: usize = 128;
/// Of the room that is asked for this part has to be free on the file system itself, wherever the rest lies.
const OUTSIDE: u64 = 4;
/// Rounds before it is asked all the same: a writer that outruns this thread must not grow the WAL for ever.
const ROUNDS: usize = 4;

pub(crate) struct Housekeeper {
    pub(crate) connection: Connection,
    /// The store's file, to sync it.
    pub(crate) file: StoreFile,
    pub(crate) look: Arc<Look>,
    pub(crate) store: PathBuf,
    pub(crate) health: Arc<HealthState>,
    pub(crate) writer: mpsc::WeakSender<Message>,
    /// Frames in the WAL after the last commit.
    pub(crate) wal_frames: Arc<AtomicUsize>,
    /// From so many on the WAL is moved into the file.
    pub(crate) checkpoint_frames: usize,
    /// The store counts as full below this.
    pub(crate) min_free: u64,
    /// What has to be free beyond it before the reserve is taken again.
    pub(crate) reserve: u64,
    /// How often room is looked for.
    pub(crate) every: Duration,
}

impl Housekeeper {
    /// Works until `wake` ends; `looked` ends when room was looked for the first time.
    pub(crate) fn run(self, wake: &std_mpsc::Receiver<()>, looked: std_mpsc::Sender<Infallible>) {
        let mut looked = Some(looked);
        let mut moved = 0;
        let mut look_at = Instant::now();
        loop {
            if Instant::now() >= look_at {
                self.look_at_files();
                self.look_for_room();
                drop(looked.take());
                look_at = Instant::now() + self.every;
            }
            match wake.recv_timeout(look_at.saturating_duration_since(Instant::now())) {
                Ok(()) => moved = self.shorten_wal(moved),
                Err(std_mpsc::RecvTimeoutError::Timeout) => {}
                Err(std_mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.health.refusal(false).is_some() {
            connection::leave_the_log(&self.connection);
        }
    }

    /// Whether they are still the store's; a store that is not written to notices it here. Whether they are.
    fn look_at_files(&self) -> bool {
        let found = self.look.again(&self.connection);
        if let Err(what) = &found {
            self.health.fail(&not_the_store(what));
        }
        found.is_ok()
    }

    /// Moves the WAL into the file; answers how many of its frames have been moved.
    ///
    /// The WAL starts from its beginning again only when all of it was moved, and while the writer writes a checkpoint
    /// beside it never catches up: the writer ends it, when so little is left that it hardly stops.
    fn shorten_wal(&self, moved: usize) -> usize {
        let frames = self.wal_frames.load(Ordering::Relaxed);
        let mut moved = if frames < moved { 0 } else { moved };
        if frames - moved < self.checkpoint_frames {
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
        // Into no other file than the store's.
        if !self.look_at_files() {
            return None;
        }
        let moved = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(2));
        if let Err(error) = self.file.as_file().sync_data() {
            // What was moved may be lost, and no later sync would tell (M12).
            self.health.fail(&format!("failed to sync the file: {error}"));
            return None;
        }
        self.look_at_files();
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
        // What the file and the WAL have and do not use, they use before they grow.
        let low = free < enough && !has_room(free, self.unused(), self.wal_bytes(), enough);
        if low != was_low {
            tracing::warn!(free, enough, low, "free space beside the store");
            self.health.set_low(low);
        }
        if self.health.has_hit_the_end() && free >= enough + self.reserve {
            self.tell(Message::Probe);
        }
    }

    /// Bytes of free pages inside the file: shrinking leaves them.
    fn unused(&self) -> u64 {
        let number = |pragma: &str| self.connection.query_row(pragma, [], |row| rows::count(row, 0)).unwrap_or(0);
        number("PRAGMA freelist_count") * number("PRAGMA page_size")
    }

    /// The length of the WAL: when it starts over its blocks are there.
    fn wal_bytes(&self) -> u64 {
        let mut name = self.store.as_os_str().to_owned();
        name.push("-wal");
        fs::metadata(name).map_or(0, |file| file.len())
    }

    fn tell(&self, message: Message) {
        if let Some(writer) = self.writer.upgrade() {
            // An error means that the writer has ended.
            drop(writer.blocking_send(message));
        }
    }
}

/// Whether there is room although the file system has less than `enough`: for the file, and for the WAL.
fn has_room(free: u64, in_file: u64, in_wal: u64, enough: u64) -> bool {
    free >= enough / OUTSIDE && free.saturating_add(in_file.min(in_wal)) >= enough
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A housekeeper over a WAL of some frames, beside a writer that only hears.
    struct Kept {
        keeper: Housekeeper,
        heard: mpsc::Receiver<Message>,
        _writer: mpsc::Sender<Message>,
        _dir: tempfile::TempDir,
    }

    fn kept(min_free: u64, reserve: u64) -> Kept {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("s.db");
        let connection = Connection::open(&store).unwrap();
        let rows = "CREATE TABLE meta (id INTEGER PRIMARY KEY, store_id TEXT, commit_seq INTEGER); \
                    INSERT INTO meta VALUES (1, 's', 0); \
                    CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(200000)); DELETE FROM t";
        connection.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; {rows}")).unwrap();
        let file = StoreFile::open(&store).unwrap();
        let look = Arc::new(Look::first(&store, file.clone(), &connection, "s").unwrap());
        let (writer, heard) = mpsc::channel(8);
        let keeper = Housekeeper {
            connection,
            file,
            look,
            store,
            health: Arc::new(HealthState::new()),
            writer: writer.downgrade(),
            wal_frames: Arc::default(),
            checkpoint_frames: 10,
            min_free,
            reserve,
            every: Duration::from_secs(1),
        };
        Kept { keeper, heard, _writer: writer, _dir: dir }
    }

    /// Tenths of what is free now; what other tests take and give is far less than one.
    fn tenths_of_free(tenths: u64) -> u64 {
        free_bytes(&std::env::temp_dir()).unwrap() / 10 * tenths
    }

    #[test]
    fn the_wal_is_moved_when_enough_of_it_has_not_been_moved_yet() {
        let mut kept = kept(0, 0);
        // The writer is told and does nothing.
        kept.heard.close();
        let keeper = &kept.keeper;
        let frames = usize::try_from((keeper.wal_bytes() - 32) / (4096 + 24)).unwrap();
        assert!(frames > 30, "{frames}");
        let shorten = |frames, moved| {
            keeper.wal_frames.store(frames, Ordering::Relaxed);
            keeper.shorten_wal(moved)
        };
        assert_eq!(shorten(9, 0), 0);
        assert_eq!(shorten(30, 25), 25);
        assert_eq!(shorten(9, 9), 9);
        assert_eq!(shorten(5, 25), 0, "it has started over");
        assert_eq!(shorten(10, 0), frames);
        assert_eq!(shorten(35, 25), frames);
    }

    #[test]
    fn m12_space_is_low_below_its_limit_and_until_a_quarter_more_is_free() {
        let looked = |min_free, was_low| {
            let kept = kept(min_free, 0);
            kept.keeper.health.set_low(was_low);
            kept.keeper.look_for_room();
            kept.keeper.health.is_low()
        };
        assert!(!looked(tenths_of_free(9), false));
        assert!(looked(tenths_of_free(9), true));
        assert!(!looked(tenths_of_free(7), true));
        assert!(looked(tenths_of_free(12), false));
        assert!(looked(tenths_of_free(12), true));
    }

    #[test]
    fn it_looks_at_once_and_then_when_its_time_has_come_however_often_it_is_woken() {
        let Kept { mut keeper, heard: _heard, _writer, _dir } = kept(tenths_of_free(12), 0);
        keeper.every = Duration::from_secs(3600);
        let health = Arc::clone(&keeper.health);
        // Each is taken between two looks.
        let (wake, woken) = std_mpsc::sync_channel(0);
        let (looked, first_look) = std_mpsc::channel();
        let thread = std::thread::spawn(move || keeper.run(&woken, looked));
        first_look.recv().unwrap_err();
        assert!(health.is_low());
        health.set_low(false);
        wake.send(()).unwrap();
        wake.send(()).unwrap();
        assert!(!health.is_low());
        drop(wake);
        thread.join().unwrap();
    }

    #[test]
    fn m12_the_writer_is_told_to_look_when_it_found_no_room_and_there_is_some_for_the_reserve_too() {
        let tells = |hit: bool, min_free, reserve| {
            let mut kept = kept(min_free, reserve);
            if hit {
                kept.keeper.health.hit_the_end();
            }
            kept.keeper.look_for_room();
            kept.heard.try_recv().is_ok()
        };
        assert!(tells(true, tenths_of_free(3), tenths_of_free(5)));
        assert!(!tells(false, tenths_of_free(3), tenths_of_free(5)));
        assert!(!tells(true, tenths_of_free(5), tenths_of_free(7)));
        assert!(!tells(true, 0, tenths_of_free(12)));
        assert!(tells(true, 0, 0));
    }

    #[test]
    fn what_file_and_wal_have_and_do_not_use_is_told_in_bytes() {
        let kept = kept(0, 0);
        let free: u64 =
            kept.keeper.connection.query_row("PRAGMA freelist_count", [], |row| rows::count(row, 0)).unwrap();
        assert!(free > 30, "{free}");
        assert_eq!(kept.keeper.unused(), free * 4096);
        let wal = kept.keeper.store.with_extension("db-wal");
        assert_eq!(kept.keeper.wal_bytes(), fs::metadata(wal).unwrap().len());
    }

    #[test]
    fn m12_free_pages_inside_the_file_are_room_where_the_wal_has_its_own_and_some_is_left_outside() {
        assert!(has_room(8, 24, 24, 32));
        assert!(!has_room(8, 23, 24, 32), "the file would grow");
        assert!(!has_room(8, 24, 23, 32), "the WAL would grow");
        assert!(!has_room(7, 1000, 1000, 32), "too little outside");
    }
}
