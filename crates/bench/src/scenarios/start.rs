//! How fast it starts, with nothing stored.

use super::Bench;
use crate::bars::Bar;
use crate::contender::Contender;
use crate::report::Section;
use crate::scenario::Scenario;
use crate::starts::{starts, table};

/// Measures it.
pub(super) async fn measure(bench: &Bench, scenario: &Scenario, rounds: usize) -> anyhow::Result<Section> {
    let contenders = [(Contender::bound_ev("bound-ev"), 1), (Contender::worker("worker", &bench.worker), 1)];
    let all = starts(bench, &contenders, rounds).await?;
    let taken = all.last().and_then(|starts| starts.taken_ms()).map(|spread| spread.median / 1000.0);
    let bar = Bar::at_most("start to first job, s", taken, 0.25, 0.05);
    let text = table(&all, "to its outcome, ms");
    Ok(Section::new(scenario, all, text).with_bars([bar]))
}
