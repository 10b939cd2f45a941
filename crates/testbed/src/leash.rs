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
}

impl Drop for Leash {
    fn drop(&mut self) {
        // Killed before its input closes, so that it does nothing.
        let gone = self.shell.kill().and_then(|()| self.shell.wait());
        assert!(gone.is_ok() || std::thread::panicking(), "the leash's shell ends");
    }
}
