//! What ended long ago is forgotten, step by step, beside the work: details first, keys only where the settings say so.

use std::time::Duration;

use outbox::{JobId, Store, StoreError, Swept};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::clock::Clock;
use crate::config::Retention;

/// A step is followed by a pause of at least this, and of so many times what it took: most of the writer's time is for
/// the work, and the more of it is used the slower this goes.
const PAUSE: Duration = Duration::from_millis(5);
const REST: u32 = 4;
/// Between two passes: a share of the shortest horizon, within these bounds. What stays is looked through again each time.
const SHARE: u32 = 50;
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Forgets what is past its time.
#[derive(Debug)]
pub struct Forgetting {
    /// Where it stands.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// For how long.
    pub retention: Retention,
}

impl Forgetting {
    /// Passes through the store, again and again, until `shutdown`; a failure of the store cancels `fatal`.
    pub async fn run(self, shutdown: CancellationToken, fatal: CancellationToken) {
        let Some(wait) = wait(self.retention) else { return };
        loop {
            let pass = async {
                self.shrink(&shutdown).await?;
                self.forget(&shutdown).await
            };
            match pass.await {
                // Where there is no room, and where another process holds the store, the next pass goes on.
                Ok(()) | Err(StoreError::Full | StoreError::Busy | StoreError::Closed) => {}
                Err(error) => {
                    error!(%error, "the store failed");
                    fatal.cancel();
                    return;
                }
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => {}
                () = shutdown.cancelled() => return,
                () = fatal.cancelled() => return,
            }
        }
    }

    async fn shrink(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        let Some(keep) = self.retention.details else { return Ok(()) };
        let (now, mut pass) = (self.clock.now(), Pass::default());
        while !shutdown.is_cancelled() {
            let step = self.store.shrink_some(now.minus(keep), now, pass.after).await?;
            if pass.is_over(step).await {
                break;
            }
        }
        if pass.done > 0 {
            info!(jobs = pass.done, "jobs that ended long ago are without details now");
        }
        Ok(())
    }

    async fn forget(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        let Some(keep) = self.retention.keys else { return Ok(()) };
        let (before, mut pass) = (self.clock.now().minus(keep), Pass::default());
        while !shutdown.is_cancelled() {
            let step = self.store.forget_some(before, pass.after).await?;
            if pass.is_over(step).await {
                break;
            }
        }
        if pass.done > 0 {
            info!(jobs = pass.done, "keys of jobs that ended long ago are forgotten");
        }
        Ok(())
    }
}

/// One way through the store.
struct Pass {
    after: Option<JobId>,
    done: u64,
    began: Instant,
}

impl Default for Pass {
    fn default() -> Self {
        Self { after: None, done: 0, began: Instant::now() }
    }
}

impl Pass {
    /// Counts a step, and pauses before the next one where there is one.
    async fn is_over(&mut self, step: Swept) -> bool {
        self.done += step.done;
        self.after = step.next;
        if self.after.is_some() {
            tokio::time::sleep(PAUSE.max(self.began.elapsed() * REST)).await;
            self.began = Instant::now();
        }
        self.after.is_none()
    }
}

fn wait(retention: Retention) -> Option<Duration> {
    let shortest = [retention.details, retention.keys].into_iter().flatten().min()?;
    Some((shortest / SHARE).clamp(SHORTEST_WAIT, LONGEST_WAIT))
}
