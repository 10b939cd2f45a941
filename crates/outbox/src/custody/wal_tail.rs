//! The end of the `-wal` as this process left it: a log that was cut or written over by another no longer has it.
//!
//! A frame that was committed is never written again before the log starts over, and then its salts are others. So the last
//! frame of one group has to be there, as it was, after the next.
//! Source: <https://www.sqlite.org/fileformat2.html>, section 4.1.

use std::{fs::File, io, os::unix::fs::FileExt as _};

const LOG_HEADER: u64 = 32;
const FRAME_HEADER: usize = 24;

type Header = [u8; FRAME_HEADER];

/// The last frame of a group.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// Its number, from 1.
    frame: usize,
    header: Header,
}

/// The end of the log.
#[derive(Debug)]
pub(crate) struct WalTail {
    /// Only read: SQLite has no locks on this file that closing it would drop.
    file: File,
    frame_size: u64,
    last: Option<Last>,
}

impl WalTail {
    pub(crate) fn new(file: File, page_size: usize) -> Self {
        Self { file, frame_size: (page_size + FRAME_HEADER) as u64, last: None }
    }

    /// Looks at the log of `frames` after a group; whether all that it should have of this one and the one before is there.
    pub(crate) fn is_whole(&mut self, frames: usize) -> io::Result<bool> {
        if frames == 0 {
            return Ok(true);
        }
        let Some(header) = self.header_of(frames)? else { return Ok(false) };
        if let Some(last) = self.last.filter(|last| last.frame <= frames && salts(&last.header) == salts(&header)) {
            let there = if last.frame == frames { Some(header) } else { self.header_of(last.frame)? };
            if there != Some(last.header) {
                return Ok(false);
            }
        }
        self.last = Some(Last { frame: frames, header });
        Ok(true)
    }

    /// `None`: the log ends before it, or has nothing there.
    fn header_of(&self, frame: usize) -> io::Result<Option<Header>> {
        let mut header = [0; FRAME_HEADER];
        let offset = LOG_HEADER + (frame - 1) as u64 * self.frame_size;
        match self.file.read_exact_at(&mut header, offset) {
            Ok(()) => Ok((header != [0; FRAME_HEADER]).then_some(header)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn salts(header: &Header) -> &[u8] {
    &header[8..16]
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use rusqlite::Connection;

    use super::*;

    struct Log {
        connection: Connection,
        path: PathBuf,
        tail: WalTail,
        _dir: tempfile::TempDir,
    }

    fn log() -> Log {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.db");
        let connection = Connection::open(&path).unwrap();
        let sql = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a)";
        connection.execute_batch(sql).unwrap();
        let path = dir.path().join("s.db-wal");
        let tail = WalTail::new(File::open(&path).unwrap(), 4096);
        Log { connection, path, tail, _dir: dir }
    }

    impl Log {
        /// One commit, and how many frames the log has then.
        fn grow(&self, pages: i64) -> usize {
            self.connection.execute("INSERT INTO t VALUES (zeroblob(?1))", [pages * 4096]).unwrap();
            // None are moved while nothing asks for it.
            let bytes = fs::metadata(&self.path).unwrap().len();
            usize::try_from((bytes - 32) / (4096 + 24)).unwrap()
        }

        fn write(&self) -> File {
            File::options().write(true).open(&self.path).unwrap()
        }
    }

    #[test]
    fn m13_a_log_that_only_grows_is_whole() {
        let mut log = log();
        assert!(log.tail.is_whole(0).unwrap());
        for pages in [1, 7, 1, 30] {
            let frames = log.grow(pages);
            assert!(log.tail.is_whole(frames).unwrap());
            assert!(log.tail.is_whole(frames).unwrap(), "a group that changed nothing");
        }
    }

    #[test]
    fn m13_a_log_that_starts_over_is_whole() {
        let mut log = log();
        let first = log.grow(20);
        assert!(log.tail.is_whole(first).unwrap());
        log.connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
        log.connection.execute("INSERT INTO t VALUES (1)", []).unwrap();
        assert!(log.tail.is_whole(2).unwrap());
        // Longer than before, all of it new.
        log.connection.execute("INSERT INTO t VALUES (zeroblob(200000))", []).unwrap();
        assert!(log.tail.is_whole(first + 3).unwrap());
    }

    #[test]
    fn m13_a_log_that_was_cut_or_written_over_is_not_whole() {
        for harm in ["cut", "emptied", "older", "zeros"] {
            let mut log = log();
            let before = log.grow(3);
            assert!(log.tail.is_whole(before).unwrap());
            let older = fs::read(&log.path).unwrap();
            let frames = log.grow(3);
            assert!(log.tail.is_whole(frames).unwrap());
            match harm {
                "cut" => log.write().set_len(5000).unwrap(),
                "emptied" => log.write().set_len(0).unwrap(),
                "older" => fs::write(&log.path, &older).unwrap(),
                _ => fs::write(&log.path, vec![0; older.len() * 2]).unwrap(),
            }
            assert!(!log.tail.is_whole(frames).unwrap(), "{harm}, before the next commit");
            // SQLite goes on where it was, and leaves a hole before it.
            let next = log.grow(1);
            assert!(!log.tail.is_whole(next).unwrap(), "{harm}, after the next commit");
        }
    }
}
