//! Who competes: each in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::child::Child;
use crate::queues::Names;
use crate::scenario::Load;
use crate::stage::Stage;
use crate::under::Under;
use crate::worker::{self, Settings};

/// A program under a name; the same program under two names tells how much of a difference is noise.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    /// How the tables call it.
    pub(crate) name: String,
    program: Program,
    under: Under,
    /// A directory with a store to begin with; none: an empty one.
    store: Option<PathBuf>,
    trouble: Trouble,
}

/// What runs.
#[derive(Clone, Debug)]
enum Program {
    /// The flow without durability; it publishes outcomes, or only acknowledges.
    Bound { event: bool },
    /// The worker.
    Worker { binary: PathBuf },
}

/// What is wrong with the other provider while the first one's jobs are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// There is no other provider.
    Alone,
    /// It resets every connection.
    Down,
    /// Its account inquiries are never answered.
    Silent,
}

impl Contender {
    /// The flow without durability, with its outcome event.
    pub(crate) fn bound_ev(name: &str) -> Self {
        Self::new(name, Program::Bound { event: true })
    }

    /// The flow without durability and without an event.
    pub(crate) fn bound() -> Self {
        Self::new("bound", Program::Bound { event: false })
    }

    /// The worker.
    pub(crate) fn worker(name: &str, binary: &Path) -> Self {
        Self::new(name, Program::Worker { binary: binary.to_owned() })
    }

    fn new(name: &str, program: Program) -> Self {
        Self { name: name.to_owned(), program, under: Under::Nothing, store: None, trouble: Trouble::Alone }
    }

    /// The same, beginning with a copy of the store in `dir`.
    pub(crate) fn with_store(self, dir: &Path) -> Self {
        Self { store: Some(dir.to_owned()), ..self }
    }

    /// The same, run under something.
    pub(crate) fn under(self, under: Under) -> Self {
        Self { under, ..self }
    }

    /// The same, with a second provider beside the one that is measured.
    pub(crate) fn beside(self, trouble: Trouble) -> Self {
        Self { trouble, ..self }
    }

    /// What is wrong with the other provider.
    pub(crate) const fn trouble(&self) -> Trouble {
        self.trouble
    }

    /// Whether it publishes outcome events.
    pub(crate) const fn tells(&self) -> bool {
        !matches!(self.program, Program::Bound { event: false })
    }

    /// Whether it can be asked to end: the bound knows no orderly end, and the worker waits for calls that hang.
    pub(crate) fn ends_when_asked(&self) -> bool {
        matches!(self.program, Program::Worker { .. }) && self.trouble != Trouble::Silent
    }

    /// Puts into `dir` what it begins with, on disk and synced, so that nothing of it disturbs the run.
    pub(crate) fn prepare(&self, dir: &Path) -> anyhow::Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        for entry in std::fs::read_dir(store).with_context(|| format!("failed to read {}", store.display()))? {
            let from = entry?.path();
            let to = dir.join(from.file_name().context("a file of a store has no name")?);
            std::fs::copy(&from, &to).with_context(|| format!("failed to copy {}", from.display()))?;
            std::fs::File::open(&to)?.sync_all().context("failed to sync the copy of a store")?;
        }
        Ok(())
    }

    /// Starts it in `dir` against these queues.
    pub(crate) fn start(&self, stage: &Stage, load: &Load, names: &Names, dir: &Path) -> anyhow::Result<Child> {
        let mut command = match &self.program {
            Program::Bound { event } => bound(stage, load, names, *event, self.under)?,
            Program::Worker { binary } => {
                let mut providers = vec![("finpay", stage.provider.base_url("finpay"))];
                if self.trouble != Trouble::Alone {
                    providers.push(("other", stage.provider.base_url("other")));
                }
                let settings = Settings {
                    amqp: Some((stage.broker.url(), names.namespace.clone())),
                    providers,
                    in_flight: load.in_flight,
                    more: stage.worker_settings.clone(),
                };
                worker::command(binary, dir, &settings, self.under)?
            }
        };
        Child::start(&self.name, &mut command, &dir.join("log"))
    }
}

fn bound(stage: &Stage, load: &Load, names: &Names, event: bool, under: Under) -> anyhow::Result<Command> {
    let mut command = under.command(&std::env::current_exe().context("failed to find this program")?);
    command.args(["bound", "--amqp", &stage.broker.url(), "--namespace", &names.namespace]);
    command.args(["--provider", &stage.provider.base_url("finpay")]);
    command.args(["--in-flight", &load.in_flight.to_string(), "--prefetch", &load.bound_prefetch().to_string()]);
    if !event {
        command.arg("--no-event");
    }
    Ok(command)
}
