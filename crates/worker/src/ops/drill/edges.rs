//! The edges of the picture: another file, another store, another account or another clock takes the place of the drilled
//! worker's, and nobody may be paid twice for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use snap_sim::Running;
use tokio::time::{Instant, sleep};

use super::breaker::Breaker;
use crate::ops::simulated::stage::PROVIDERS;

/// What belongs to a store, behind its name.
const PARTS: [&str; 4] = ["", "-wal", "-shm", ".lock"];
/// The store's file in the drill's folder.
const STORE: &str = "worker.db";
/// With jobs on their way a commit comes by then, and with it a look at the file.
const LOOK_COMES: Duration = Duration::from_secs(6);
/// The exit code of a refusal by a safety rule.
const REFUSED: i32 = 5;
/// The exit code of a store that another process holds.
const HELD: i32 = 2;

/// What another file takes the place of the store's with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swap {
    /// Nothing.
    Nothing,
    /// A complete copy, minutes old at most.
    OlderCopy,
}

/// The library that shows a process another wall clock, where it is installed.
///
/// Source: libfaketime's README: the multi-threaded library, preloaded; `FAKETIME=+3d` is relative to the real time.
pub(super) fn clock_library() -> Option<PathBuf> {
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let folders = [multiarch.as_str(), "/usr/lib", "/usr/lib64", "/usr/local/lib"];
    folders.into_iter().map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

/// The environment in which every provider's section names the account at another simulator.
fn other_account(other: &Running) -> Vec<(String, String)> {
    let variable = |name: &str| format!("WORKER__PROVIDERS__{}__BASE_URL", name.to_uppercase());
    PROVIDERS.iter().map(|name| (variable(name), other.base_url(name))).collect()
}

/// The environment in which the wall clock is `seconds` away from the machine's.
fn other_clock(library: &Path, seconds: i64) -> Vec<(String, String)> {
    let pairs = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", format!("{seconds:+}s")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

impl Breaker<'_> {
    /// Moves the running worker's store away and, where it is to be swapped, puts a copy there; then the right file again.
    /// The worker has to end before it takes or sends anything more.
    pub(super) async fn swap_store(&mut self, swap: Swap) -> anyhow::Result<bool> {
        let copy = self.folder.join("older.db");
        if swap == Swap::OlderCopy {
            remove(&copy)?;
            let copied = copy.to_str().context("the drill's folder has a name that is not UTF-8")?;
            let backed_up = self.commands.ask(&["store", "backup", copied], b"").await?;
            if !backed_up.is_some_and(|output| output.status.success()) {
                self.found("worker store backup does not work beside a running worker".to_owned());
                return Ok(false);
            }
        }
        let aside = self.folder.join("aside");
        std::fs::create_dir_all(&aside).context("failed to make a folder")?;
        move_parts(self.folder, &aside)?;
        if swap == Swap::OlderCopy {
            std::fs::rename(&copy, self.folder.join(STORE)).context("failed to put a copy in the store's place")?;
        }
        let noticed = self.ends_by_itself().await?;
        if !noticed {
            self.worker.kill().await?;
        }
        for part in PARTS {
            remove(&self.folder.join(format!("{STORE}{part}")))?;
        }
        move_parts(&aside, self.folder)?;
        self.revive().await?;
        Ok(noticed)
    }

    /// Whether the worker ends; with something to record it has to.
    async fn ends_by_itself(&mut self) -> anyhow::Result<bool> {
        // What is in flight may end, and be told; what begins later must not.
        let before = self.credits_after(Duration::from_secs(2)).await;
        let until = Instant::now() + LOOK_COMES;
        while Instant::now() < until {
            if let Some(status) = self.worker.ended()? {
                if status.success() {
                    self.found("the worker ended as if nothing were wrong when its store's file was gone".to_owned());
                }
                return Ok(true);
            }
            sleep(Duration::from_millis(20)).await;
        }
        let paid = self.credits().saturating_sub(before);
        if paid > 0 {
            self.found(format!("the worker paid {paid} top-ups while its store's file was not the store any more"));
        }
        Ok(false)
    }

    async fn credits_after(&self, pause: Duration) -> u64 {
        sleep(pause).await;
        self.credits()
    }

    fn credits(&self) -> u64 {
        self.sim.verdict().credits
    }

    /// Takes the side file from beside the running worker's store and starts a second one: the store itself is held.
    pub(super) async fn remove_lock(&mut self) -> anyhow::Result<bool> {
        let (lock, aside) = (self.folder.join("worker.db.lock"), self.folder.join("worker.db.lock.aside"));
        std::fs::rename(&lock, &aside).context("failed to take the side file away")?;
        let second = self.commands.ask(&["run"], b"").await?;
        // A second worker that looked has made one of its own.
        remove(&lock)?;
        std::fs::rename(&aside, &lock).context("failed to put the side file back")?;
        match second.map(|output| output.status) {
            Some(status) if status.code() == Some(HELD) => {}
            Some(status) => {
                self.found(format!("without the side file a second worker ended with {status}, not with {HELD}"));
            }
            None => self.found("without the side file a second worker was let in".to_owned()),
        }
        Ok(true)
    }

    /// Starts a worker with a store of its own on the same namespace: it has to be refused, and to take nothing.
    pub(super) async fn second_store(&mut self) -> anyhow::Result<bool> {
        let store = self.folder.join("second.db");
        let url = format!("sqlite:{}", store.display());
        let refused = self.commands.with(&[("WORKER__STORE__URL", &url)]).ask(&["run"], b"").await?;
        match refused.map(|output| output.status) {
            Some(status) if status.code() == Some(REFUSED) => {}
            Some(status) => {
                self.found(format!("a second store on the namespace ended with {status}, not with {REFUSED}"))
            }
            None => self.found("a second store on the namespace was let in".to_owned()),
        }
        Ok(true)
    }

    /// For a while the configuration names another account, which knows nothing of what was sent before.
    pub(super) async fn other_account(&mut self, span: Duration) -> anyhow::Result<bool> {
        self.restart_with(other_account(self.other)).await?;
        sleep(span).await;
        self.restart_with(Vec::new()).await?;
        // What stood before a person for the other account's sake can be asked about again. There may be nothing.
        let replay = ["dlq", "replay", "--all", "--reason-code", "other_account", "--rate", "50/s"];
        let act = ["--yes", "--by", "drill", "--reason", "the account is configured again"];
        let replayed = self.commands.ask(&[&replay[..], &act[..]].concat(), b"").await?;
        if replayed.is_none() {
            self.found("worker dlq replay hangs".to_owned());
        }
        Ok(true)
    }

    /// For a while the worker's wall clock is wrong.
    pub(super) async fn other_clock(&mut self, seconds: i64, span: Duration) -> anyhow::Result<bool> {
        let Some(library) = clock_library() else { return Ok(false) };
        self.restart_with(other_clock(&library, seconds)).await?;
        sleep(span).await;
        self.restart_with(Vec::new()).await?;
        Ok(true)
    }

    /// Ends the worker and starts it with more in its environment.
    async fn restart_with(&mut self, more: Vec<(String, String)>) -> anyhow::Result<()> {
        self.look_after_its_end()?;
        self.worker.kill().await?;
        self.worker.surround(more);
        self.revive().await
    }
}

fn move_parts(from: &Path, to: &Path) -> anyhow::Result<()> {
    for part in PARTS {
        let name = format!("{STORE}{part}");
        match std::fs::rename(from.join(&name), to.join(&name)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("failed to move {name}")),
        }
    }
    Ok(())
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("failed to remove {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_clock_is_told_relative_to_the_machine_s_in_both_directions() {
        let shown = |seconds| other_clock(Path::new("/lib.so"), seconds).into_iter().nth(1).unwrap().1;
        assert_eq!((shown(86_400), shown(-60)), ("+86400s".to_owned(), "-60s".to_owned()));
    }

    #[test]
    fn the_parts_of_a_store_move_together_and_what_is_missing_is_left_out() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["worker.db", "worker.db-wal", "worker.toml"] {
            std::fs::write(from.path().join(name), name).unwrap();
        }
        move_parts(from.path(), to.path()).unwrap();
        let names = |dir: &tempfile::TempDir| {
            let entries = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
            entries.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(names(&from), ["worker.toml".into()].into());
        assert_eq!(names(&to), ["worker.db".into(), "worker.db-wal".into()].into());
    }
}
