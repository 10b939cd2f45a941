//! The pattern of a worker: one intake that accepts what is there, many drives, one relay that marks in windows.

use std::sync::Arc;

use outbox::{Accepted, OutcomeId, Store, StoreError, StoredJob};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use crate::rows;

/// Deliveries that an intake takes at most at once.
const BATCH: usize = 64;
/// Events that a relay marks at most at once.
const WINDOW: usize = 256;

/// What becomes of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relay {
    /// It is marked as published.
    Marks,
    /// It waits.
    Waits,
}

/// Takes the jobs from `first` on through their whole life, `concurrency` at a time.
pub(crate) async fn drive(
    store: &Store,
    first: u64,
    jobs: u64,
    concurrency: usize,
    relay: Relay,
) -> Result<(), StoreError> {
    let slots = Arc::new(Semaphore::new(concurrency));
    let (done, marks) = mpsc::channel(WINDOW * 4);
    let mut tasks = JoinSet::new();
    let (marking, mut next, end) = (store.clone(), first, first + jobs);
    tasks.spawn(async move { mark(&marking, marks, relay).await });
    while next < end {
        let mut taken = vec![Arc::clone(&slots).acquire_owned().await.map_err(|_closed| StoreError::Closed)?];
        while taken.len() < BATCH && next + (taken.len() as u64) < end {
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { break };
            taken.push(slot);
        }
        let batch = (next..).take(taken.len()).map(|n| rows::new_job(n, None)).collect();
        next += taken.len() as u64;
        for (accepted, slot) in store.accept(batch).await?.into_iter().zip(taken) {
            let Accepted::New(job) = accepted else { return Err(StoreError::Refused("a key was taken".to_owned())) };
            let (store, done) = (store.clone(), done.clone());
            tasks.spawn(async move {
                let outcomes = one(&store, &job).await?;
                drop(slot);
                done.send(outcomes).await.map_err(|_closed| StoreError::Closed)
            });
        }
        while let Some(ended) = tasks.try_join_next() {
            ended.map_err(|error| StoreError::Refused(error.to_string()))??;
        }
    }
    drop(done);
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| StoreError::Refused(error.to_string()))??;
    }
    Ok(())
}

async fn one(store: &Store, job: &StoredJob) -> Result<Vec<OutcomeId>, StoreError> {
    let intent = store.record(rows::intent(job)).await?;
    Ok(store.record(rows::result(job, intent.version)).await?.outcomes)
}

async fn mark(store: &Store, mut marks: mpsc::Receiver<Vec<OutcomeId>>, relay: Relay) -> Result<(), StoreError> {
    let mut ended = Vec::new();
    while marks.recv_many(&mut ended, WINDOW).await > 0 {
        let window: Vec<OutcomeId> = ended.drain(..).flatten().collect();
        if relay == Relay::Marks {
            store.mark_published(window, rows::at(0)).await?;
        }
    }
    Ok(())
}
