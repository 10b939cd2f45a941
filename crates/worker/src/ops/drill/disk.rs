//! A disk that is full: a small file system that the user has named, filled up and emptied again.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::CommandError;

/// A larger one is somebody's own.
const MOST_FREE: u64 = 1 << 30;
/// Largest first; the last one takes what is left.
const BLOCKS: [usize; 3] = [1 << 20, 4096, 1];

/// Whether so little is free that it may be filled.
///
/// # Errors
/// More is free, or the system does not tell.
pub(super) fn may_be_filled(folder: &Path) -> Result<(), CommandError> {
    let stat = rustix::fs::statvfs(folder).map_err(|error| CommandError::io("look at the free disk", error.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free <= MOST_FREE {
        return Ok(());
    }
    let what = format!("{} MiB are free at {}: too much to fill up", free >> 20, folder.display());
    Err(CommandError::usage(what, "name a folder on a small file system of its own, such as /dev/shm in a container"))
}

/// What fills the disk; it goes with this.
#[derive(Debug)]
pub(super) struct Ballast(PathBuf);

/// Fills the file system of this folder.
///
/// # Errors
/// The file cannot be made.
pub(super) async fn fill(folder: &Path) -> anyhow::Result<Ballast> {
    let ballast = Ballast(folder.join("ballast"));
    let file = File::create(&ballast.0).context("failed to fill the disk")?;
    tokio::task::spawn_blocking(move || fill_up(file)).await.context("failed to fill the disk")??;
    Ok(ballast)
}

fn fill_up(mut file: File) -> anyhow::Result<()> {
    for size in BLOCKS {
        let block = vec![0; size];
        loop {
            match file.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                Err(error) => return Err(error).context("failed to fill the disk"),
            }
        }
    }
    Ok(())
}

impl Ballast {
    /// Makes room again.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.0).context("failed to make room on the disk again")
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // It is gone already but where the drill was stopped.
        drop(std::fs::remove_file(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_disk_with_much_room_is_not_filled() {
        let folder = tempfile::tempdir().unwrap();
        let stat = rustix::fs::statvfs(folder.path()).unwrap();
        let answer = may_be_filled(folder.path());
        if stat.f_bavail * stat.f_frsize > MOST_FREE {
            assert_eq!(answer.unwrap_err().exit(), Exit::Usage);
        } else {
            answer.unwrap();
        }
    }
}
