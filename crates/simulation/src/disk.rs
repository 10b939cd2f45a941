//! What stands between the worker and its store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use outbox::{Between, Passage, Passing, StoreError};

use crate::mistake::Mistake;
use crate::plan::When;
use crate::world::{Port, World, millis};

/// For how long a full disk stays full.
const FULL_FOR: Duration = Duration::from_secs(20);
/// The files of a store beside its own name.
const FILES: [&str; 3] = ["", "-wal", ".lock"];

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
            let call = self.world.call(Port::Store, name).await;
            match self.world.strike(call, When::Before).await.error.map(|kind| kind % 3) {
                None => {}
                Some(0) => {
                    let mut state = self.world.state();
                    let until = state.now() + millis(FULL_FOR);
                    state.full_until = Some(until);
                    return Err(StoreError::Full);
                }
                Some(1) => return Err(StoreError::Busy),
                Some(_) => return Err(StoreError::Failed("the disk failed, and nothing is there".to_owned())),
            }
            let mut state = self.world.state();
            // Nothing is awaited from here to `after`.
            state.committing = Some(call);
            if state.mistake == Mistake::SyncIsALie {
                keep(&self.store);
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
            match self.world.strike(call, When::After).await.error {
                Some(_) => Err(StoreError::Failed("the disk failed, and it is there".to_owned())),
                None => Ok(()),
            }
        })
    }
}

fn kept(store: &Path, file: &str) -> (PathBuf, PathBuf) {
    let name = |suffix: &str| PathBuf::from(format!("{}{suffix}", store.display()));
    (name(file), name(&format!("{file}.kept")))
}

/// Keeps the store as it is before the next commit.
fn keep(store: &Path) {
    for file in FILES {
        let (from, to) = kept(store, file);
        copy(&from, &to);
    }
}

/// Puts it back: the last commit was never synced.
pub(crate) fn put_back(store: &Path) {
    for file in FILES {
        let (to, from) = kept(store, file);
        copy(&from, &to);
    }
}

fn copy(from: &Path, to: &Path) {
    if from.exists() {
        std::fs::copy(from, to).expect("a file of the run is copied");
    } else if to.exists() {
        std::fs::remove_file(to).expect("a file of the run is removed");
    }
}
