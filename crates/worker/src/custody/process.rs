//! Which process works with a store, and whether an earlier one is provably gone: what is frozen or cut off may still send.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

/// A process, and the file that it works with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// The machine's name.
    pub host: String,
    /// Its number.
    pub pid: i32,
    /// Which start of which machine; empty: not told.
    boot: String,
    /// Where its number counts.
    pid_namespace: String,
    /// When it began, in ticks since the machine started.
    began: String,
    /// The device and the inode of its store, which it has locked.
    store: (u64, u64),
}

impl Process {
    /// This one, at work on this store.
    pub fn here(store: &Path, host: &str) -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let pid = rustix::process::getpid();
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Self {
            host: host.to_owned(),
            pid: pid.as_raw_nonzero().get(),
            boot: text("/proc/sys/kernel/random/boot_id"),
            pid_namespace: namespace.display().to_string(),
            began: field(pid, BEGAN).unwrap_or_default(),
            store: fs::metadata(store).map_or((0, 0), |file| (file.dev(), file.ino())),
        }
    }

    /// Whether it is gone for certain, asked by the process `now`, which holds its store alone. Of another machine, and of an
    /// earlier start of this one, nobody can say so: a copy of a machine looks the same.
    pub fn is_gone(&self, now: &Self) -> bool {
        if self.boot.is_empty() || self.boot != now.boot {
            return false;
        }
        // The lock on the file dies with its process.
        let is_same_file = self.store != (0, 0) && self.store == now.store;
        let is_visible = !self.pid_namespace.is_empty() && self.pid_namespace == now.pid_namespace;
        is_same_file || is_visible && Pid::from_raw(self.pid).is_some_and(|pid| self.has_ended(pid))
    }

    /// Whether it had another file than the process `now`: its store was copied. A volume keeps a file's inode over a start of
    /// the machine, and on another one.
    pub fn had_another_file(&self, now: &Self) -> bool {
        let is_known = self.store != (0, 0) && now.store != (0, 0);
        let is_same_boot = !self.boot.is_empty() && self.boot == now.boot;
        is_known && (self.store.1 != now.store.1 || is_same_boot && self.store != now.store)
    }

    fn has_ended(&self, pid: Pid) -> bool {
        if test_kill_process(pid) == Err(Errno::SRCH) {
            return true;
        }
        // Nobody has waited for it yet; or another one has its number.
        let is_dead = field(pid, STATE).is_some_and(|state| matches!(state.as_str(), "Z" | "X"));
        is_dead || field(pid, BEGAN).is_some_and(|began| !self.began.is_empty() && began != self.began)
    }
}

/// Fields of `/proc/<pid>/stat`, counted behind the name, which may hold anything: the third and the 22nd.
const STATE: usize = 0;
const BEGAN: usize = 19;

fn field(pid: Pid, number: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_ascii_whitespace().nth(number).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m13_a_copy_of_a_file_is_another_one_and_a_volume_that_was_moved_is_not() {
        let of = |boot: &str, store| Process { boot: boot.to_owned(), store, ..Process::default() };
        let now = of("a", (8, 77));
        assert!(!of("a", (8, 77)).had_another_file(&now));
        assert!(of("a", (8, 78)).had_another_file(&now));
        assert!(of("a", (9, 77)).had_another_file(&now), "a device keeps its number for as long as the machine runs");
        assert!(!of("b", (9, 77)).had_another_file(&now));
        assert!(of("b", (9, 78)).had_another_file(&now));
        assert!(!of("a", (0, 0)).had_another_file(&now), "nobody has said which");
    }

    /// Until it has ended, and it stays as it is.
    fn waited_for() -> rustix::process::WaitIdOptions {
        rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT
    }

    #[test]
    fn m13_a_process_is_gone_only_where_this_machine_can_tell() {
        let folder = tempfile::tempdir().unwrap();
        let (store, copy) = (folder.path().join("worker.db"), folder.path().join("copy.db"));
        fs::write(&store, "a").unwrap();
        fs::write(&copy, "a").unwrap();
        let here = Process::here(&store, "here");
        assert!(here.is_gone(&here), "who holds the same file alone is its successor");
        let beside = Process::here(&copy, "here");
        assert!(!here.is_gone(&beside), "it lives, and has another file");

        let mut ended = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(ended.id()).unwrap();
        let zombie = Process { pid, began: field(Pid::from_raw(pid).unwrap(), BEGAN).unwrap(), ..here.clone() };
        rustix::process::waitid(rustix::process::WaitId::Pid(Pid::from_raw(pid).unwrap()), waited_for()).unwrap();
        assert!(zombie.is_gone(&beside), "it has ended, and nobody has taken note");
        ended.wait().unwrap();
        assert!(Process { pid, ..here.clone() }.is_gone(&beside), "its number is nobody's");
        assert!(Process { began: "1".to_owned(), ..here.clone() }.is_gone(&beside), "its number is another's");

        for unknown in [
            Process { boot: "another".to_owned(), pid, ..here.clone() },
            Process { boot: String::new(), pid, ..here.clone() },
            Process { pid_namespace: "pid:[1]".to_owned(), pid, ..here.clone() },
        ] {
            assert!(!unknown.is_gone(&beside), "{unknown:?}");
        }
        assert!(Process { pid_namespace: "pid:[1]".to_owned(), ..here.clone() }.is_gone(&here), "in another container");
    }
}
