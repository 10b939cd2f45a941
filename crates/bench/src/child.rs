//! A process that this one started: in a group of its own, with a log, and gone when this one is.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use testbed::Leash;

/// A running process.
#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    process: Process,
    log: PathBuf,
    _leash: Leash,
}

impl Child {
    /// Starts it, with everything it says in `log`.
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::create(log).with_context(|| format!("failed to make {}", log.display()))?;
        let stdout = file.try_clone().context("failed to share a log")?;
        let process = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(file)
            .process_group(0) // Ctrl-C is for us; the leash ends it then
            .spawn()
            .with_context(|| format!("failed to start {}", command.get_program().display()))?;
        let leash = Leash::tie_group(process.id());
        Ok(Self { name: name.to_owned(), process, log: log.to_owned(), _leash: leash })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// All it has said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails where it has ended by itself, with the end of its log.
    pub(crate) fn must_run(&mut self) -> anyhow::Result<()> {
        match self.process.try_wait().context("failed to look at a process")? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself, {status}; its log ends:\n{}", self.name, self.tail()),
        }
    }

    /// The last lines it said.
    pub(crate) fn tail(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Asks it to end and waits for that.
    pub(crate) fn stop(self, limit: Duration) -> anyhow::Result<()> {
        self.ask_to_end()?;
        self.wait(limit)
    }

    /// Asks it to end and waits for that, however it ends; all it has said.
    pub(crate) fn last_words(mut self, limit: Duration) -> anyhow::Result<String> {
        self.ask_to_end()?;
        self.ended(limit)?;
        Ok(self.said())
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(mut self, limit: Duration) -> anyhow::Result<()> {
        let status = self.ended(limit)?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    fn ask_to_end(&self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.process), Signal::TERM).with_context(|| format!("{} is gone", self.name))
    }

    /// Waits until it has ended; how it did.
    fn ended(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let asked = Instant::now();
        while asked.elapsed() < limit {
            if let Some(status) = self.process.try_wait().context("failed to look at a process")? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("{} does not end within {limit:?}; its log ends:\n{}", self.name, self.tail())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself, or have been stopped.
        let runs = matches!(self.process.try_wait(), Ok(None));
        if runs && kill_process_group(Pid::from_child(&self.process), Signal::KILL).is_ok() {
            drop(self.process.wait());
        }
    }
}
