//! What every run stands on: a broker, a provider, a directory on the disk to measure, and a connection of our own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use testbed::{Broker, Leash, process};
use tokio::time::{Instant, sleep};

use crate::cli::Cli;
use crate::provider::Provider;
use crate::queues::Desk;

/// The broker counts as calm when it used less than this share of a core …
const CALM: f64 = 0.04;
/// … over this span.
const LOOK: Duration = Duration::from_millis(200);
/// The machine has nothing else to do when others used less than this share of a core over a longer span.
const QUIET: f64 = 0.1;
const LONG_LOOK: Duration = Duration::from_millis(500);
/// It is not waited for longer than this: a machine that never rests shows in the figures as noise.
const CALM_LIMIT: Duration = Duration::from_secs(8);

/// Broker, provider, directory.
pub(crate) struct Stage {
    /// The private node.
    pub(crate) broker: Broker,
    /// The simulator.
    pub(crate) provider: Provider,
    /// Our own connection.
    pub(crate) desk: Desk,
    /// Keys for the worker's configuration beyond what a scenario sets.
    pub(crate) worker_settings: Vec<(String, String)>,
    /// How long a run waits for a machine that has nothing else to do.
    pub(crate) patience: Duration,
    dir: TempDir,
    _leash: Leash,
}

impl Stage {
    /// Starts everything.
    pub(crate) async fn set(cli: &Cli) -> anyhow::Result<Self> {
        ensure!(
            Broker::is_installed(),
            "RabbitMQ is not installed\nhint: install its server (apt-get install rabbitmq-server); its service need not run"
        );
        let mut builder = tempfile::Builder::new();
        builder.prefix("bench-");
        let dir = match &cli.dir {
            Some(parent) => builder.tempdir_in(parent),
            None => builder.tempdir(),
        };
        let dir = dir.context("failed to make a directory for the stores\nhint: name one with --dir")?;
        let leash = Leash::tie(&format!("sleep 1; rm -rf '{}'", dir.path().display()));
        let broker = Broker::start();
        let provider = Provider::start(dir.path()).await?;
        let desk = Desk::open(&broker.url()).await?;
        let (worker_settings, patience) = (cli.settings.clone(), cli.patience);
        Ok(Self { broker, provider, desk, worker_settings, patience, dir, _leash: leash })
    }

    /// A new directory for one run.
    pub(crate) fn directory(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.dir.path().join(name);
        std::fs::create_dir(&path).with_context(|| format!("failed to make {}", path.display()))?;
        Ok(path)
    }

    /// Where the runs' directories are.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The broker's process.
    pub(crate) fn broker_pid(&self) -> anyhow::Result<u32> {
        self.broker.pid().context("the broker does not run")
    }

    /// Waits until the broker has done what it was left with, and, as long as there is patience, until the machine has
    /// nothing else to do.
    pub(crate) async fn calm(&self) -> anyhow::Result<()> {
        let pid = self.broker_pid()?;
        let started = Instant::now();
        let mut before = process::cpu(pid).unwrap_or_default();
        while started.elapsed() < CALM_LIMIT {
            sleep(LOOK).await;
            let now = process::cpu(pid).unwrap_or_default();
            if now.saturating_sub(before).as_secs_f64() < CALM * LOOK.as_secs_f64() {
                break;
            }
            before = now;
        }
        self.quiet().await;
        Ok(())
    }

    async fn quiet(&self) {
        let started = Instant::now();
        let mut before = process::cpu_of_machine().unwrap_or_default();
        while started.elapsed() < self.patience {
            sleep(LONG_LOOK).await;
            let now = process::cpu_of_machine().unwrap_or_default();
            if now.saturating_sub(before).as_secs_f64() < QUIET * LONG_LOOK.as_secs_f64() {
                break;
            }
            before = now;
        }
    }
}
