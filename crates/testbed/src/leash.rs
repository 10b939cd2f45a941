//! Ends what a process started when that process ends, however it ends.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// A shell that waits for this process to be gone and then runs a clean-up.
///
/// The kernel closes our end of its standard input whether we return, panic in a static or are killed.
#[derive(Debug)]
pub struct Leash {
    shell: Child,
}

impl Leash {
    /// Runs `clean_up` (a shell command) once this process is gone, unless the leash is dropped before.
    ///
    /// # Panics
    /// There is no `sh`.
    pub fn tie(clean_up: &str) -> Self {
        let shell = Command::new("sh")
            .arg("-c")
            .arg(format!("cat >/dev/null; {clean_up}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // Ctrl-C is for us, not for who cleans up after us
            .spawn()
            .expect("sh starts");
        Self { shell }
    }

    /// Kills the process group of this process id once this process is gone, unless the leash is dropped before.
    ///
    /// # Panics
    /// As [`Leash::tie`].
    pub fn tie_group(pid: u32) -> Self {
        // Not `kill -9 --`: not every shell's own `kill` takes both.
        Self::tie(&format!("kill -s KILL -- -{pid}"))
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // Killed before its input closes, so that it does nothing.
        let gone = self.shell.kill().and_then(|()| self.shell.wait());
        assert!(gone.is_ok() || std::thread::panicking(), "the leash's shell ends");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn group() -> Child {
        // A wrapper with a child of its own: both are the group.
        Command::new("sh").args(["-c", "sleep 600; true"]).process_group(0).spawn().unwrap()
    }

    #[test]
    fn a_group_is_killed_when_its_owner_is_gone() {
        let mut group = group();
        let mut leash = Leash::tie_group(group.id());
        // What the kernel does when this process ends.
        drop(leash.shell.stdin.take());
        assert_eq!(group.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_leash_that_is_dropped_does_nothing() {
        let mut group = group();
        drop(Leash::tie_group(group.id()));
        assert!(group.try_wait().unwrap().is_none());
        rustix::process::kill_process_group(rustix::process::Pid::from_child(&group), rustix::process::Signal::KILL)
            .unwrap();
        assert_eq!(group.wait().unwrap().signal(), Some(9));
    }
}
