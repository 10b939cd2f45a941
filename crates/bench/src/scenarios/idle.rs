//! What it costs to do nothing.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::Bench;
use crate::contender::Contender;
use crate::queues::QueueKind;
use crate::report::Section;
use crate::run::{all_done, backlog, end};
use crate::scenario::{Load, Scenario};
use crate::table::Table;
use crate::used::Used;

/// It is watched for this long …
const SPAN: Duration = Duration::from_secs(30);
/// … after it has done one job and rested.
const REST: Duration = Duration::from_secs(3);
const ONE: Load = Load { jobs: 1, in_flight: 64, latency: Duration::ZERO, queues: QueueKind::Classic };

/// Watches a worker that waits for jobs.
pub(super) async fn measure(bench: &Bench, scenario: &Scenario) -> anyhow::Result<Section> {
    let stage = &bench.stage;
    let worker = Contender::worker("worker", &bench.worker);
    let dir = stage.directory("idle")?;
    let (names, _) = backlog(stage, &worker, &ONE).await?;
    let mut child = worker.start(stage, &ONE, &names, &dir)?;
    all_done(stage, &worker, 1, &names, &mut child).await?;
    bench.progress.says("watching a worker that has nothing to do");
    sleep(REST).await;
    let first = Used::read(child.pid(), stage)?;
    sleep(SPAN).await;
    let last = Used::read(child.pid(), stage)?;
    end(&worker, child)?;
    stage.desk.clear(&names).await?;
    std::fs::remove_dir_all(&dir)?;

    let share = |used: Duration| used.as_secs_f64() / (last.at - first.at).as_secs_f64() * 100.0;
    let (worker, broker) = (share(last.contender_since(&first)), share(last.broker_since(&first)));
    let mut table = Table::new(&["", "% of one core"]);
    table.row(["worker".to_owned(), format!("{worker:.3}")]);
    table.row(["broker".to_owned(), format!("{broker:.3}")]);
    let figures = json!({ "workerPercentOfACore": worker, "brokerPercentOfACore": broker, "seconds": SPAN.as_secs() });
    Ok(Section::new(scenario, figures, table.render()))
}
