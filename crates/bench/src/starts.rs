//! From the start of a process to its first job, and to the first outcome.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::contender::Contender;
use crate::queues::QueueKind;
use crate::run::{all_done, backlog, end, first_taken};
use crate::scenario::Load;
use crate::scenarios::Bench;
use crate::stage::Stage;
use crate::stats::Spread;
use crate::table::Table;

/// One job waits for it.
const ONE: Load = Load { jobs: 1, in_flight: 64, latency: Duration::ZERO, queues: QueueKind::Classic };

/// One start.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Start {
    /// To the first job taken from the queue, in milliseconds.
    pub(crate) taken_ms: f64,
    /// To the last outcome that was waited for, in milliseconds.
    pub(crate) told_ms: f64,
}

/// The starts of one contender.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Starts {
    name: String,
    starts: Vec<Start>,
}

impl Starts {
    /// To the first job taken, in milliseconds.
    pub(crate) fn taken_ms(&self) -> Option<Spread> {
        Spread::of(self.starts.iter().map(|start| start.taken_ms))
    }
}

/// Starts each contender so often, in turn, with one job in the queue; `told` outcomes are waited for.
pub(crate) async fn starts(
    bench: &Bench,
    contenders: &[(Contender, u64)],
    rounds: usize,
) -> anyhow::Result<Vec<Starts>> {
    let mut all: Vec<Starts> =
        contenders.iter().map(|(contender, _)| Starts { name: contender.name.clone(), starts: Vec::new() }).collect();
    // One more than counted: the first of each is the warm-up.
    for round in 0..=rounds {
        for ((contender, told), starts) in contenders.iter().zip(&mut all) {
            bench.progress.says(&format!("start {round} of {rounds}, {}", contender.name));
            let dir = bench.stage.directory(&format!("start-{:012x}", testbed::random() >> 16))?;
            let one = start(&bench.stage, contender, *told, &dir).await?;
            std::fs::remove_dir_all(&dir)?;
            if round > 0 {
                starts.starts.push(one);
            }
        }
    }
    Ok(all)
}

async fn start(stage: &Stage, contender: &Contender, told: u64, dir: &Path) -> anyhow::Result<Start> {
    let (names, waiting) = backlog(stage, contender, &ONE).await?;
    contender.prepare(dir)?;
    stage.calm().await?;
    let spawned = Instant::now();
    let mut child = contender.start(stage, &ONE, &names, dir)?;
    first_taken(stage, &names, waiting, &mut child).await?;
    let taken = spawned.elapsed();
    let ended = all_done(stage, contender, told, &names, &mut child).await?;
    end(contender, child)?;
    stage.desk.clear(&names).await?;
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    Ok(Start { taken_ms: ms(taken), told_ms: ms(ended - spawned) })
}

/// As a table.
pub(crate) fn table(all: &[Starts], told: &str) -> String {
    let mut table = Table::new(&["", "to the first job taken, ms", told]);
    for starts in all {
        let show = |spread: Option<Spread>| spread.map_or_else(String::new, |spread| spread.show(0));
        let told = Spread::of(starts.starts.iter().map(|start| start.told_ms));
        table.row([starts.name.clone(), show(starts.taken_ms()), show(told)]);
    }
    table.render()
}
