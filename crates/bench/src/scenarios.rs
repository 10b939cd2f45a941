//! How each scenario is measured.

mod backlog;
mod embedded;
mod idle;
mod instructions;
mod recovery;
mod stages;
mod start;
mod stored;

use std::path::PathBuf;

use crate::progress::Progress;
use crate::report::Section;
use crate::scenario::{Kind, Scenario};
use crate::stage::Stage;

/// What every scenario is measured with.
pub(crate) struct Bench {
    /// Broker, provider, directories.
    pub(crate) stage: Stage,
    /// The worker to measure.
    pub(crate) worker: PathBuf,
    /// Another one to compare with.
    pub(crate) rival: Option<PathBuf>,
    /// Rounds of each scenario, where the command line says so.
    pub(crate) rounds: Option<usize>,
    /// Jobs of each run, where the command line says so.
    pub(crate) jobs: Option<u32>,
    /// What is under way.
    pub(crate) progress: Progress,
}

impl Bench {
    /// Measures one scenario.
    ///
    /// # Errors
    /// A contender failed, or the broker or provider did.
    pub(crate) async fn measure(&self, scenario: &Scenario) -> anyhow::Result<Section> {
        self.progress.line(&format!("{}: {}", scenario.name, scenario.about));
        let rounds = self.rounds.unwrap_or(scenario.rounds);
        match scenario.kind {
            Kind::Backlog(load, field) => backlog::measure(self, scenario, load, field, rounds).await,
            Kind::Start => start::measure(self, scenario, rounds).await,
            Kind::Idle => idle::measure(self, scenario).await,
            Kind::Recovery => recovery::measure(self, scenario, rounds).await,
            Kind::Stored => stored::measure(self, scenario, rounds).await,
            Kind::Embedded => embedded::measure(self, scenario, rounds).await,
            Kind::Stages => stages::measure(self, scenario).await,
            Kind::Instructions => instructions::measure(self, scenario).await,
        }
    }
}
