//! One loop a lane: starts what is due, probes a standing lane, and notices what operators and other processes changed.

use std::sync::Arc;
use std::time::Duration;

use engine::{Event, State};
use outbox::{LanePause, PauseCause, Reconcile, Resume, StoreError, StoredJob};
use snap_core::Timestamp;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::drive::{Driver, Purpose};
use crate::full::{until_written, wait_for_room};
use crate::lane::{Cause, Change, Gate, Lane};
use crate::restored::{Restored, as_it_may_stand};
use crate::transition::Transition;

/// Changes by other processes are noticed within this time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Jobs claimed by one transaction.
const CLAIM: usize = 64;

/// Runs one lane until the driver's shutdown.
#[derive(Debug)]
pub struct Wake {
    /// The lane.
    pub lane: Arc<Lane>,
    /// What drives its jobs.
    pub driver: Arc<Driver>,
    /// Owns the drives.
    pub tracker: TaskTracker,
    /// Whether the store may have forgotten what was sent (M12).
    pub restored: Restored,
}

impl Wake {
    /// Reads how the lane stood: an operator's pause outlives the process, a fault's is found out anew. To be awaited
    /// before the first job is taken.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn prepare(&self) -> Result<Kept, StoreError> {
        let mut kept = Kept::default();
        let stored = self.driver.store.lane(&self.lane.name).await?;
        if let Some(LanePause { cause: PauseCause::Fault(_), .. }) = stored.pause {
            let store = &self.driver.store;
            let resumed = until_written(store, || store.resume_lane(&self.lane.name, Resume::Probe, None)).await?;
            kept.version = resumed.version;
        }
        self.look(&mut kept).await?;
        Ok(kept)
    }

    /// Starts what is due, until the shutdown.
    pub async fn run(self, mut kept: Kept) {
        let mut looked = tokio::time::Instant::now();
        while !self.driver.shutdown.is_cancelled() && !self.driver.fatal.is_cancelled() {
            let turn = async {
                self.keep_pause(&mut kept).await?;
                if looked.elapsed() >= LOOK_EVERY {
                    looked = tokio::time::Instant::now();
                    self.look(&mut kept).await?;
                }
                self.start_due().await
            };
            match turn.await {
                Ok(()) => {}
                Err(StoreError::Full | StoreError::Busy) => {
                    tokio::select! {
                        biased;
                        () = wait_for_room(&self.driver.store) => self.lane.look_again(),
                        () = self.driver.shutdown.cancelled() => return,
                    }
                }
                Err(error) => {
                    error!(provider = %self.lane.name, %error, "the store failed");
                    self.driver.fatal.cancel();
                    return;
                }
            }
            let next = self.lane.next_wake().map(|at| self.driver.clock.instant(at));
            let tick = looked + LOOK_EVERY;
            tokio::select! {
                biased;
                () = self.lane.work() => {}
                () = tokio::time::sleep_until(next.map_or(tick, |next| next.min(tick))) => {}
                () = self.driver.shutdown.cancelled() => {}
                () = self.driver.fatal.cancelled() => {}
            }
        }
    }

    async fn start_due(&self) -> Result<(), StoreError> {
        let now = self.driver.clock.now();
        if self.lane.is_paused() {
            if self.lane.take_probe(now) {
                self.probe(now).await?;
            }
            return Ok(());
        }
        self.lane.due_passed(now);
        // A lane that comes to stand meanwhile gives its jobs back due at once: they are left alone until it moves.
        while !self.lane.is_paused() && self.lane.take_backlog() {
            let free = self.lane.free_slots().min(CLAIM);
            if free == 0 {
                // Whoever frees a slot wakes this loop, since the mark stands again.
                self.lane.mark_backlog();
                return Ok(());
            }
            let jobs = self.driver.store.claim_due(&self.lane.name, self.driver.clock.now(), free).await?;
            let drained = jobs.len() < free;
            self.lane.claimed(jobs.len(), drained);
            for job in jobs {
                self.start(job, Purpose::Work).await?;
            }
            if !drained {
                self.lane.mark_backlog();
            } else if let Some(at) = self.driver.store.next_due(&self.lane.name).await? {
                self.lane.due(at);
            }
        }
        Ok(())
    }

    async fn probe(&self, now: Timestamp) -> Result<(), StoreError> {
        let claimed = self.driver.store.claim_due(&self.lane.name, now, 1).await;
        if claimed.is_err() {
            self.lane.probe_ended(now, false);
        }
        match claimed?.pop() {
            Some(job) => {
                self.lane.claimed(1, false);
                info!(provider = %self.lane.name, reference = %job.request.partner_reference_no, "one job tries whether the lane may move");
                self.start(job, Purpose::Probe).await
            }
            None => {
                self.lane.probe_ended(now, false);
                Ok(())
            }
        }
    }

    async fn start(&self, job: StoredJob, purpose: Purpose) -> Result<(), StoreError> {
        if let Some(mark) = self.restored.mark()
            && must_ask_first(&job, mark.since)
        {
            if purpose == Purpose::Probe {
                self.lane.probe_ended(self.driver.clock.now(), false);
            }
            return self.ask_first(job, &mark).await;
        }
        match self.lane.any_slot() {
            Some(slot) => {
                self.driver.start(&self.tracker, slot, job, purpose);
                Ok(())
            }
            None => {
                // Intake took the slot meanwhile.
                let now = self.driver.clock.now();
                match until_written(&self.driver.store, || self.driver.store.release(job.id, job.version, now)).await {
                    Ok(_) | Err(StoreError::Fenced { .. }) => {}
                    Err(error) => return Err(error),
                }
                if purpose == Purpose::Probe {
                    self.lane.probe_ended(now, false);
                }
                self.lane.parked();
                Ok(())
            }
        }
    }

    /// M12: what this store says about the job may be old; it is asked about before anything is sent.
    async fn ask_first(&self, job: StoredJob, mark: &Reconcile) -> Result<(), StoreError> {
        let now = self.driver.clock.now();
        let event = Event::StoreRestored;
        let job = StoredJob { job: as_it_may_stand(&job, mark), ..job };
        let counts_from = Some(mark.since);
        let asking = Transition { counts_from, ..Transition::of(&job, &self.lane.policy, now) };
        let Ok(record) = asking.record(&event, &self.driver.clock) else { return Ok(()) };
        if let Some(at) = record.due_at {
            self.lane.due(at);
        }
        match until_written(&self.driver.store, || self.driver.store.record(record.clone())).await {
            Ok(_) | Err(StoreError::Fenced { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What operators and other processes changed.
    async fn look(&self, kept: &mut Kept) -> Result<(), StoreError> {
        self.lane.client.close_idle();
        self.restored.look(&self.driver.store).await?;
        let stored = self.driver.store.lane(&self.lane.name).await?;
        if stored.version != kept.version {
            kept.version = stored.version;
            match stored.pause {
                Some(LanePause { cause: PauseCause::Operator { .. }, at, .. }) => {
                    warn!(provider = %self.lane.name, "an operator paused the lane");
                    kept.cause = Some(Cause::Operator);
                    self.driver.metrics.lane_paused(&self.lane.name, Cause::Operator.as_str());
                    self.lane.with_gate(|gate| {
                        gate.operator_paused(at);
                        Change::Paused
                    });
                }
                Some(_) => {}
                None => {
                    kept.cause = None;
                    self.driver.metrics.lane_resumed(&self.lane.name);
                    if self.lane.with_gate(Gate::operator_resumed) == Change::Resumed {
                        info!(provider = %self.lane.name, "an operator resumed the lane");
                    }
                }
            }
        }
        if !self.lane.is_paused()
            && self.driver.store.next_due(&self.lane.name).await?.is_some_and(|due| due <= self.driver.clock.now())
        {
            self.lane.look_again();
        }
        Ok(())
    }

    /// Keeps the store's picture of the lane true, for `provider list` and for the next start.
    async fn keep_pause(&self, kept: &mut Kept) -> Result<(), StoreError> {
        let pause = self.lane.pause();
        let cause = pause.as_ref().map(|pause| pause.cause.clone());
        let probe_at = pause.as_ref().and_then(|pause| pause.next_probe);
        if (&cause, probe_at) == (&kept.cause, kept.probe_at) {
            return Ok(());
        }
        let stored = match &pause {
            Some(pause) => match pause.cause {
                Cause::Operator => return Ok(()),
                Cause::Fault(fault) => {
                    let pause =
                        LanePause { cause: PauseCause::Fault(fault), at: pause.since, probe_at: pause.next_probe };
                    self.driver.store.pause_lane(&self.lane.name, pause, None).await?
                }
            },
            None => self.driver.store.resume_lane(&self.lane.name, Resume::Probe, None).await?,
        };
        // Where an operator came before us, the next look has still to see it.
        if !matches!(stored.pause, Some(LanePause { cause: PauseCause::Operator { .. }, .. })) {
            kept.version = stored.version;
        }
        (kept.cause, kept.probe_at) = (cause, probe_at);
        match &kept.cause {
            Some(cause) => self.driver.metrics.lane_paused(&self.lane.name, cause.as_str()),
            None => self.driver.metrics.lane_resumed(&self.lane.name),
        }
        Ok(())
    }
}

/// What the loop last wrote to, or read from, the store about the lane.
#[derive(Debug, Default)]
pub struct Kept {
    version: i64,
    cause: Option<Cause>,
    probe_at: Option<Timestamp>,
}

/// Whether the job may be sent without having been asked about since the store came back.
pub(crate) fn must_ask_first(job: &StoredJob, since: Timestamp) -> bool {
    matches!(job.job.state, State::Ready { .. } | State::Inquired { .. } | State::Unconfirmed { .. })
        && job.job.evidence.last_ended_at.is_none_or(|ended| ended < since)
}
