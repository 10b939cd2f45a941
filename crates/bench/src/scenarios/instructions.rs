//! Instructions a job of whole processes, with everything that happens on a job's way: AMQP, HTTP, JSON, store. The one
//! figure that does not depend on what else the machine does.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::Bench;
use crate::bars::Bar;
use crate::contender::Contender;
use crate::queues::QueueKind;
use crate::refs::instructions;
use crate::report::Section;
use crate::run::{all_done, backlog, lost};
use crate::scenario::{Load, Scenario};
use crate::table::Table;
use crate::under::Under;

/// Jobs of the run that is taken off: the start of the process, and what is prepared at first use.
const FEW: u32 = 500;
/// And of the other one.
const MANY: u32 = 3_500;
/// The worker's instructions a job ÷ those of the flow without durability. 1.34 was measured, the same within 0.01.
const LIMIT: f64 = 1.4;
/// A process under valgrind may take this long to end.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// Counts both, each with few and with many jobs.
pub(super) async fn measure(bench: &Bench, scenario: &Scenario) -> anyhow::Result<Section> {
    if !Under::Counter.is_possible() {
        return Ok(Section::skipped(scenario, "valgrind is not installed (apt-get install valgrind)"));
    }
    let many = bench.jobs.unwrap_or(MANY).max(2 * FEW);
    let mut table = Table::new(&["", "thousand instructions a job"]);
    let (mut counted, mut wrong) = (Vec::new(), 0);
    for contender in [Contender::bound_ev("bound-ev"), Contender::worker("worker", &bench.worker)] {
        let contender = contender.under(Under::Counter);
        let mut counts = [0; 2];
        for (count, jobs) in counts.iter_mut().zip([FEW, many]) {
            bench.progress.says(&format!("{}: {}, {jobs} jobs", scenario.name, contender.name));
            let dir = bench.stage.directory(&format!("count-{:012x}", testbed::random() >> 16))?;
            let (all, odd) = run(bench, &contender, jobs, &dir).await?;
            (*count, wrong) = (all, wrong + odd);
            std::fs::remove_dir_all(&dir).with_context(|| format!("failed to remove {}", dir.display()))?;
        }
        ensure!(counts[1] > counts[0], "{} took no more instructions for {many} jobs than for {FEW}", contender.name);
        let a_job = (counts[1] - counts[0]) / u64::from(many - FEW);
        table.row([contender.name.clone(), (a_job / 1000).to_string()]);
        counted.push((contender.name.clone(), a_job));
    }
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
    let ratio = match counted.as_slice() {
        [(_, bound), (_, worker)] if *bound > 0 => Some(*worker as f64 / *bound as f64),
        _ => None,
    };
    let figures: Vec<_> = counted.iter().map(|(name, a_job)| json!({ "name": name, "aJob": a_job })).collect();
    let bar = Bar::at_most("instructions a job ÷ bound-ev", ratio, LIMIT, 1.2);
    Ok(Section::new(scenario, figures, table.render()).with_bars([bar]).with_wrong(wrong))
}

/// One backlog; all instructions of the process, and how many jobs were paid or told wrongly.
async fn run(bench: &Bench, contender: &Contender, jobs: u32, dir: &Path) -> anyhow::Result<(u64, u64)> {
    let stage = &bench.stage;
    let load = Load { jobs, in_flight: 64, latency: Duration::ZERO, queues: QueueKind::Classic };
    let (names, _) = backlog(stage, contender, &load).await?;
    let mut child = contender.start(stage, &load, &names, dir)?;
    all_done(stage, contender, u64::from(jobs), &names, &mut child).await?;
    let said = child.last_words(STOP_LIMIT)?;
    let (ledger, told) = (stage.provider.ledger()?, stage.desk.collect(&names).await?);
    stage.desk.clear(&names).await?;
    let count = instructions(&said).with_context(|| format!("valgrind told no count; its log:\n{said}"))?;
    Ok((count, ledger.double_credits + lost(contender, jobs, &ledger, &told)))
}
