//! Room kept for results: a file beside the store that is given up when the disk is full (M12).

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FallocateFlags, fallocate, statvfs},
    io::Errno,
};

use crate::lock::beside;

/// Of a small file system no more than this part is kept free or in reserve.
const SHARE: u64 = 16;

/// The reserve file.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: bool,
}

impl Reserve {
    /// Takes the room; on a full disk it is not held.
    pub(crate) fn take(store: &Path, bytes: u64) -> Self {
        let bytes = scaled(store, bytes);
        let mut reserve = Self { path: beside(store, "reserve"), bytes, held: false };
        if let Err(error) = reserve.restore() {
            tracing::warn!(%error, "no room for the store's reserve");
        }
        reserve
    }

    /// Whether the room is there.
    pub(crate) const fn is_held(&self) -> bool {
        self.held || self.bytes == 0
    }

    /// Gives the room up; whether there was any.
    pub(crate) fn release(&mut self) -> bool {
        if !self.held {
            return false;
        }
        self.held = false;
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::error!(%error, "failed to give up the store's reserve");
            return false;
        }
        true
    }

    /// Takes the room again, with real blocks; a file that is there already is filled up.
    pub(crate) fn restore(&mut self) -> io::Result<()> {
        if self.is_held() {
            return Ok(());
        }
        let result = self.allocate();
        if result.is_err() {
            // Half a reserve would only take the room that is left.
            remove_if_there(&self.path)?;
        }
        self.held = result.is_ok();
        result
    }

    fn allocate(&self) -> io::Result<()> {
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, self.bytes) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(&file, self.bytes),
            Err(errno) => Err(errno.into()),
        }?;
        file.sync_all()
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// For file systems that cannot promise blocks: writes them.
fn fill(mut file: &File, bytes: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0x5a), bytes), &mut file).map(drop)
}

/// Free bytes on the file system of `path`; `None` where it cannot be asked.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    statvfs(path).ok().map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// `bytes`, or a share of a file system that is small against it.
pub(crate) fn scaled(path: &Path, bytes: u64) -> u64 {
    let total = statvfs(path).map_or(u64::MAX, |fs| fs.f_blocks.saturating_mul(fs.f_frsize));
    bytes.min(total / SHARE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_reserve_takes_real_blocks_and_gives_them_back_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("s.db");
        fs::write(&store, []).unwrap();
        let mut reserve = Reserve::take(&store, 1 << 20);
        let path = beside(&store, "reserve");
        assert!(fs::metadata(&path).unwrap().blocks() * 512 >= 1 << 20);
        assert!(reserve.release());
        assert!(!reserve.release());
        assert!(!path.exists());
        reserve.restore().unwrap();
        assert!(reserve.is_held() && path.exists());
    }

    #[test]
    fn m12_half_a_reserve_takes_no_room_and_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.db.reserve");
        // More than any file can have.
        let mut reserve = Reserve { path: path.clone(), bytes: i64::MAX.unsigned_abs(), held: false };
        reserve.restore().unwrap_err();
        assert!(!reserve.is_held() && !path.exists());
        reserve.bytes = 0;
        assert!(reserve.is_held(), "none was asked for");
    }

    #[test]
    fn where_no_blocks_are_promised_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("filled");
        fill(&File::create(&path).unwrap(), 100_000).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 100_000);
    }

    #[test]
    fn of_a_small_file_system_a_sixteenth_is_kept_and_what_is_free_is_less_than_all() {
        let dir = tempfile::tempdir().unwrap();
        let all = statvfs(dir.path()).map(|fs| fs.f_blocks * fs.f_frsize).unwrap();
        assert_eq!(scaled(dir.path(), u64::MAX), all / 16);
        assert_eq!(scaled(dir.path(), 4096), 4096);
        let free = free_bytes(dir.path()).unwrap();
        assert!((2..=all).contains(&free), "{free} of {all}");
        assert_eq!(free_bytes(&dir.path().join("nowhere")), None);
    }
}
