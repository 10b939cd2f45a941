//! What stands between the worker and its store.

use std::path::{Path, PathBuf};

use outbox::{Between, Passage, Passing, StoreError};

use crate::mistake::Mistake;
use crate::op::Op;
use crate::plan::When;
use crate::world::World;

/// The files of a store beside its own name.
const FILES: [&str; 3] = ["", "-wal", ".lock"];

/// What becomes of the store's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    /// It is removed before the next command.
    IsToGo,
    /// It was removed under the process that lives.
    IsGone,
}

/// A disk that fails by plan.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) world: World,
    pub(crate) store: PathBuf,
}

impl Between for Disk {
    fn before(&self, what: Passing) -> Passage<'_> {
        Box::pin(async move {
            let Passing::Write(name) = what else {
                self.world.alive().await;
                return Ok(());
            };
            let call = self.world.call(Op::of_write(name)).await;
            let error = self.world.strike(call, When::Before).await.error;
            let mut state = self.world.state();
            if state.disk_fails.take_if(|when| *when == When::Before).is_some() {
                return Err(state.disk_failed("nothing is there"));
            }
            match error.map(|kind| kind % 3) {
                None if !state.disk_is_full() => {}
                None => return Err(StoreError::Full),
                Some(0) => {
                    state.disk_fills();
                    return Err(StoreError::Full);
                }
                Some(1) => return Err(StoreError::Busy),
                Some(_) => return Err(state.disk_failed("nothing is there")),
            }
            if std::mem::take(&mut state.copy_wanted) {
                keep(&self.store, "copy");
            }
            if state.file.take_if(|file| *file == File::IsToGo).is_some() {
                state.file = Some(File::IsGone);
                keep(&self.store, "gone");
                // Whoever looks sees that it is gone, and gives up.
                if state.mistake != Mistake::FileUnseen {
                    take_away(&self.store);
                    state.failures += 1;
                }
            }
            // Nothing is awaited from here to `after`.
            state.committing = Some(call);
            if state.mistake == Mistake::SyncIsALie {
                keep(&self.store, "kept");
            }
            Ok(())
        })
    }

    fn after(&self, what: Passing) -> Passage<'_> {
        Box::pin(async move {
            if what == Passing::Read {
                self.world.alive().await;
                return Ok(());
            }
            let Some(call) = self.world.state().committing.take() else { return Ok(()) };
            let error = self.world.strike(call, When::After).await.error;
            let mut state = self.world.state();
            let fails = state.disk_fails.take_if(|when| *when == When::After).is_some();
            if fails || error.is_some() { Err(state.disk_failed("it is there")) } else { Ok(()) }
        })
    }
}

fn kept(store: &Path, file: &str, name: &str) -> (PathBuf, PathBuf) {
    let path = |suffix: &str| PathBuf::from(format!("{}{suffix}", store.display()));
    (path(file), path(&format!("{file}.{name}")))
}

/// Keeps the store as it is.
fn keep(store: &Path, name: &str) {
    for file in FILES {
        let (from, to) = kept(store, file, name);
        copy(&from, &to);
    }
}

/// Puts it back as it was before the last commit, which was never synced.
pub(crate) fn forget_last_commit(store: &Path) {
    for file in FILES {
        let (to, from) = kept(store, file, "kept");
        copy(&from, &to);
    }
}

/// Removes it, but for what stands beside it.
fn take_away(store: &Path) {
    for file in ["", "-wal", "-shm"] {
        let path = PathBuf::from(format!("{}{file}", store.display()));
        if path.exists() {
            std::fs::remove_file(&path).expect("a file of the run is removed");
        }
    }
}

/// Puts back what was there when it was removed.
pub(crate) fn bring_back(store: &Path) {
    take_away(store);
    for file in FILES {
        let (to, from) = kept(store, file, "gone");
        copy(&from, &to);
    }
}

/// Puts the copy back, without what stands beside the store and tells how far it had come; whether there was one.
pub(crate) fn restore(store: &Path) -> bool {
    let (_, copied) = kept(store, "", "copy");
    if !copied.exists() {
        return false;
    }
    for file in ["", "-wal"] {
        let (to, from) = kept(store, file, "copy");
        copy(&from, &to);
    }
    true
}

fn copy(from: &Path, to: &Path) {
    if from.exists() {
        std::fs::copy(from, to).expect("a file of the run is copied");
    } else if to.exists() {
        std::fs::remove_file(to).expect("a file of the run is removed");
    }
}
