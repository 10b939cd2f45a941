//! Interleaved rounds: each runs every contender once, in an order that moves on, so that a slow minute of the machine
//! meets all of them; ratios are taken within a round.

use anyhow::Context as _;
use serde::Serialize;

use crate::contender::Contender;
use crate::progress::Progress;
use crate::run::{Run, run};
use crate::scenario::Load;
use crate::stage::Stage;
use crate::stats::Spread;

/// What one contender did, round by round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Results {
    /// Its name.
    pub(crate) name: String,
    /// Its runs.
    pub(crate) runs: Vec<Run>,
}

impl Results {
    /// The spread of one figure.
    pub(crate) fn spread(&self, figure: impl Fn(&Run) -> f64) -> Option<Spread> {
        Spread::of(self.runs.iter().map(figure))
    }

    /// The spread of one figure's ratio to another contender's in the same round.
    pub(crate) fn ratio(&self, to: &Self, figure: impl Fn(&Run) -> f64) -> Option<Spread> {
        Spread::of(self.runs.iter().zip(&to.runs).map(|(run, other)| figure(run) / figure(other)))
    }
}

/// A load with what all contenders did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// What was asked.
    pub(crate) load: Load,
    /// What they did; the first is what the others are compared with.
    pub(crate) contenders: Vec<Results>,
}

impl Comparison {
    /// A contender by its name.
    pub(crate) fn of(&self, name: &str) -> Option<&Results> {
        self.contenders.iter().find(|results| results.name == name)
    }

    /// Runs in which somebody was paid twice, or not, or was not told.
    pub(crate) fn wrong(&self) -> u64 {
        self.contenders.iter().flat_map(|results| &results.runs).map(|run| run.double_credits + run.lost).sum()
    }
}

/// Runs a warm-up, then the rounds.
pub(crate) async fn compare(
    stage: &Stage,
    scenario: &str,
    load: &Load,
    contenders: &[Contender],
    rounds: usize,
    progress: &Progress,
) -> anyhow::Result<Comparison> {
    let mut results: Vec<Results> =
        contenders.iter().map(|contender| Results { name: contender.name.clone(), runs: Vec::new() }).collect();
    // The first run of a program pays for pages and code that later ones find in memory.
    let warm_up = Load { jobs: (load.jobs / 10).max(load.in_flight).min(load.jobs), ..*load };
    for contender in contenders {
        progress.says(&format!("{scenario}: warm-up, {}", contender.name));
        once(stage, contender, &warm_up).await.with_context(|| format!("scenario {scenario}, warm-up"))?;
    }
    for round in 0..rounds {
        for place in 0..contenders.len() {
            let at = (round + place) % contenders.len();
            progress.says(&format!("{scenario}: round {} of {rounds}, {}", round + 1, contenders[at].name));
            let done = once(stage, &contenders[at], load).await;
            let done = done.with_context(|| format!("scenario {scenario}, round {}", round + 1))?;
            progress.ran(&contenders[at].name, &done);
            results[at].runs.push(done);
        }
    }
    Ok(Comparison { scenario: scenario.to_owned(), load: *load, contenders: results })
}

async fn once(stage: &Stage, contender: &Contender, load: &Load) -> anyhow::Result<Run> {
    let dir = stage.directory(&format!("run-{:012x}", testbed::random() >> 16))?;
    let done = run(stage, contender, load, &dir).await?;
    std::fs::remove_dir_all(&dir).with_context(|| format!("failed to remove {}", dir.display()))?;
    Ok(done)
}
