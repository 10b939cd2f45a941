//! Who competes: each in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::child::Child;
use crate::queues::Names;
use crate::scenario::Load;
use crate::stage::Stage;
use crate::worker::{self, Settings, Sync};

/// A program under a name; the same program under two names tells how much of a difference is noise.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    /// How the tables call it.
    pub(crate) name: String,
    /// What runs.
    pub(crate) program: Program,
}

/// What runs.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// The flow without durability.
    Bound {
        /// Whether it publishes outcomes; else it only acknowledges.
        event: bool,
    },
    /// The worker.
    Worker {
        /// Which one.
        binary: PathBuf,
        /// How long its flushes take.
        sync: Sync,
    },
}

impl Contender {
    /// A contender.
    pub(crate) fn new(name: &str, program: Program) -> Self {
        Self { name: name.to_owned(), program }
    }

    /// Whether it publishes outcome events.
    pub(crate) const fn tells(&self) -> bool {
        !matches!(self.program, Program::Bound { event: false })
    }

    /// Whether it is the worker, which ends in order when it is asked to.
    pub(crate) const fn is_worker(&self) -> bool {
        matches!(self.program, Program::Worker { .. })
    }

    /// Starts it in `dir` against these queues.
    pub(crate) fn start(&self, stage: &Stage, load: &Load, names: &Names, dir: &Path) -> anyhow::Result<Child> {
        let mut command = match &self.program {
            Program::Bound { event } => bound(stage, load, names, *event)?,
            Program::Worker { binary, sync } => {
                let settings = Settings {
                    amqp: Some((stage.broker.url(), names.namespace.clone())),
                    providers: vec![("finpay", stage.provider.base_url("finpay"))],
                    in_flight: load.in_flight,
                    more: stage.worker_settings.clone(),
                };
                worker::command(binary, dir, &settings, *sync)?
            }
        };
        Child::start(&self.name, &mut command, &dir.join("log"))
    }
}

fn bound(stage: &Stage, load: &Load, names: &Names, event: bool) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("failed to find this program")?);
    command.args(["bound", "--amqp", &stage.broker.url(), "--namespace", &names.namespace]);
    command.args(["--provider", &stage.provider.base_url("finpay")]);
    command.args(["--in-flight", &load.in_flight.to_string(), "--prefetch", &load.bound_prefetch().to_string()]);
    if !event {
        command.arg("--no-event");
    }
    Ok(command)
}
