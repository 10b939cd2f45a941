//! A job's whole life in the store, with what the writer's thread does for it.

use std::time::Duration;

use futures_util::future::try_join_all;
use outbox::{OpenOptions, OutcomeId, Store, StoreError};
use tokio::runtime::Builder;

use crate::steps::{AT, Failure};

#[path = "../../bench/src/sample.rs"]
mod sample;

/// Jobs that go through the store together, as they do at 64 in flight.
const GROUP: u32 = 64;

/// Accepts so many jobs in groups, records the intent and the result of each, and marks what came of them as published.
pub(crate) fn life(times: u32) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().build()?;
    let dir = tempfile::tempdir()?;
    // It looks for room by the clock: what depends on how long this takes has no place in a count.
    let hour = Duration::from_secs(3600);
    let options = OpenOptions { exclusive: true, look_for_room_every: hour, ..OpenOptions::default() };
    let store = Store::open(&dir.path().join("guard.db"), AT, &options)?.store;
    let lived = runtime.block_on(async {
        for first in (0..times).step_by(GROUP as usize) {
            group(&store, first..times.min(first.saturating_add(GROUP))).await?;
        }
        Ok::<(), StoreError>(())
    });
    runtime.block_on(store.close());
    Ok(lived?)
}

async fn group(store: &Store, numbers: std::ops::Range<u32>) -> Result<(), StoreError> {
    let numbers: Vec<u64> = numbers.map(u64::from).collect();
    let new = numbers.iter().map(|number| sample::new_job(&format!("BENCH-{number:09}"), AT)).collect();
    let accepted = store.accept(new).await?;
    let jobs = accepted.into_iter().map(sample::accepted).collect::<Result<Vec<_>, _>>()?;
    let intents = jobs.iter().zip(&numbers).map(|(job, number)| store.record(sample::intent(job, *number, AT)));
    let intents = try_join_all(intents).await?;
    let results = jobs
        .iter()
        .zip(&numbers)
        .zip(&intents)
        .map(|((job, number), intent)| store.record(sample::result(job, intent.version, *number, AT)));
    let outcomes: Vec<OutcomeId> =
        try_join_all(results).await?.into_iter().flat_map(|recorded| recorded.outcomes).collect();
    store.mark_published(outcomes, AT).await
}
