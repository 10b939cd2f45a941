//! What a job costs when a million others are stored.

use serde_json::json;

use super::Bench;
use crate::bars::Bar;
use crate::contender::Contender;
use crate::fill::{self, Fill};
use crate::queues::QueueKind;
use crate::report::Section;
use crate::rounds::compare;
use crate::scenario::{Load, Scenario};
use crate::starts::{starts, table};

const FEW: u64 = 10_000;
const MANY: u64 = 1_000_000;
const LOAD: Load = Load { jobs: 10_000, in_flight: 64, latency: std::time::Duration::ZERO, queues: QueueKind::Classic };
/// Starts of each.
const STARTS: usize = 3;

/// Measures throughput, CPU, memory and start with few and with many finished jobs in the store.
pub(super) async fn measure(bench: &Bench, scenario: &Scenario, rounds: usize) -> anyhow::Result<Section> {
    let load = Load { jobs: bench.jobs.unwrap_or(LOAD.jobs), ..LOAD };
    let (few, many) = (bench.stage.directory("few")?, bench.stage.directory("many")?);
    let filled = async |dir, finished| fill::store(dir, Fill { ready: 0, sending: 0, finished }, &bench.progress).await;
    filled(&few, FEW).await?;
    filled(&many, MANY).await?;
    let contenders = [
        Contender::worker("10,000 stored", &bench.worker).with_store(&few),
        Contender::worker("1,000,000 stored", &bench.worker).with_store(&many),
    ];
    let comparison = compare(&bench.stage, scenario.name, &load, &contenders, rounds, &bench.progress).await?;
    let starts = starts(bench, &contenders.map(|contender| (contender, 1)), STARTS).await?;
    for dir in [few, many] {
        std::fs::remove_dir_all(dir)?;
    }
    let ratio = |figure: fn(&crate::run::Run) -> f64| {
        let [few, many] = comparison.contenders.as_slice() else { return None };
        many.ratio(few, figure).map(|spread| spread.median)
    };
    let bars = [
        Bar::at_least("jobs/s, 1,000,000 ÷ 10,000 stored", ratio(|run| run.jobs_per_second), 0.8, 0.95),
        Bar::at_most("CPU a job, 1,000,000 ÷ 10,000 stored", ratio(|run| run.cpu_ms.contender), 1.3, 1.1),
    ];
    let section = Section::of_comparison(scenario, &comparison, bars.into_iter().flatten().collect());
    Ok(section.and(&json!({ "starts": starts }), &table(&starts, "to its outcome, ms")))
}
