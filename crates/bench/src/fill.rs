//! Stores with jobs in them, made through the store's own interface, a group at a time.

use std::path::Path;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use outbox::{OpenOptions, Store, StoreError, StoredJob};
use snap_core::Timestamp;
use tokio::time::Instant;

use crate::progress::Progress;
use crate::{clock, sample};

/// Jobs that go through the store together.
const GROUP: u64 = 1_000;

/// What a store is to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    /// Jobs that were accepted and are driven by a process that is gone.
    pub(crate) ready: u64,
    /// Jobs whose top-up may have left when that process went.
    pub(crate) sending: u64,
    /// Jobs that succeeded, their outcomes told.
    pub(crate) finished: u64,
}

/// How far a job is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Ready,
    Sending,
    Finished,
}

/// Makes a store in `dir`, which the worker's configuration will find there.
pub(crate) async fn store(dir: &Path, fill: Fill, progress: &Progress) -> anyhow::Result<()> {
    let options = OpenOptions { exclusive: true, cache_kib: 64 << 10, ..OpenOptions::default() };
    let store = Store::open(&dir.join("worker.db"), clock::now(), &options).context("failed to make a store")?.store;
    let started = Instant::now();
    let mut number = 0;
    for (count, until) in [(fill.finished, Until::Finished), (fill.ready, Until::Ready), (fill.sending, Until::Sending)]
    {
        let mut left = count;
        while left > 0 {
            let group = left.min(GROUP);
            take(&store, number, group, until).await.context("failed to fill a store")?;
            (number, left) = (number + group, left - group);
            progress.says(&format!("filling a store: {number} jobs"));
        }
    }
    store.close().await;
    let seconds = started.elapsed().as_secs_f64();
    progress.line(&format!("  a store with {number} jobs was made in {seconds:.1} s"));
    Ok(())
}

async fn take(store: &Store, first: u64, count: u64, until: Until) -> Result<(), StoreError> {
    let at: Timestamp = clock::now();
    let new = (first..first + count).map(|number| sample::new_job(&format!("STORED-{number:09}"), at)).collect();
    let jobs: Vec<StoredJob> = store.accept(new).await?.into_iter().map(sample::accepted).collect::<Result<_, _>>()?;
    if until == Until::Ready {
        return Ok(());
    }
    let numbered = || (first..).zip(&jobs);
    let intents = numbered().map(|(number, job)| store.record(sample::intent(job, number, at)));
    let sending = try_join_all(intents).await?;
    if until == Until::Sending {
        return Ok(());
    }
    let results = numbered()
        .zip(&sending)
        .map(|((number, job), sent)| store.record(sample::result(job, sent.version, number, at)));
    let recorded = try_join_all(results).await?;
    store.mark_published(recorded.into_iter().flat_map(|record| record.outcomes).collect(), at).await
}
