//! How fast it starts when the one before it was killed in the middle of much.

use super::Bench;
use crate::contender::Contender;
use crate::fill::{self, Fill};
use crate::report::Section;
use crate::scenario::Scenario;
use crate::starts::{starts, table};

/// Jobs that were accepted and not begun.
const READY: u64 = 5_000;
/// Jobs whose top-up may have left.
const SENDING: u64 = 5_000;

/// Measures it beside a start with an empty store.
pub(super) async fn measure(bench: &Bench, scenario: &Scenario, rounds: usize) -> anyhow::Result<Section> {
    let store = bench.stage.directory("unfinished")?;
    fill::store(&store, Fill { ready: READY, sending: SENDING, finished: 0 }, &bench.progress).await?;
    let contenders = [
        (Contender::worker("empty store", &bench.worker), 1),
        // Those that may have left are asked about later than anybody waits here.
        (Contender::worker("10,000 unfinished", &bench.worker).with_store(&store), 1 + READY),
    ];
    let all = starts(bench, &contenders, rounds).await?;
    std::fs::remove_dir_all(&store)?;
    let text = table(&all, "to all outcomes (1 or 5,001), ms");
    Ok(Section::new(scenario, all, text))
}
