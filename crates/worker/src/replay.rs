//! Works off replay plans: lets their items go, one after the other, and stops where the plan says so.
//!
//! Nothing here sends: an item becomes due again by [`engine::Event::Replayed`], and the engine asks first where it has to.
//! Whoever works a plan off reads and writes the store alone, so several may do it at once: a running worker, a command,
//! and whoever starts after a crash. Decision 0010.

mod act;
pub mod brake;
pub mod verdict;

use std::collections::BTreeMap;
use std::time::Duration;

use outbox::{NewAudit, Plan, PlanId, PlanPause, PlanState, PlanStep, Store, StoreError, Total};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::full::wait_for_room;
pub use act::carried;
use brake::{Allowance, Stop};
pub use verdict::{Rules, Verdict, verdict};

/// New plans are noticed, and items looked at that are under way, within this time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two steps of a fast plan.
const STEP_EVERY: Duration = Duration::from_millis(50);
/// Items under way that are looked at at once, and how often in one turn.
const LOOK: u64 = 256;
const LOOKS: u32 = 8;

/// Works off plans, in this process.
#[derive(Debug)]
pub struct Replayer {
    store: Store,
    clock: Clock,
    rules: Rules,
    /// Where the look at the items under way goes on.
    seen: BTreeMap<PlanId, u64>,
}

impl Replayer {
    /// One that has looked at nothing yet.
    #[must_use]
    pub const fn new(store: Store, clock: Clock, rules: Rules) -> Self {
        Self { store, clock, rules, seen: BTreeMap::new() }
    }

    /// Works off every plan that comes, until `shutdown`; a store that failed cancels `fatal`.
    pub async fn run(mut self, shutdown: CancellationToken, fatal: CancellationToken) {
        while !shutdown.is_cancelled() && !fatal.is_cancelled() {
            let pause = match self.turn().await {
                Ok(pause) => pause,
                Err(StoreError::Full | StoreError::Busy) => {
                    tokio::select! {
                        biased;
                        () = wait_for_room(&self.store) => {}
                        () = shutdown.cancelled() => return,
                    }
                    LOOK_EVERY
                }
                Err(error @ (StoreError::Failed(_) | StoreError::Closed)) => {
                    error!(%error, "the store failed");
                    fatal.cancel();
                    return;
                }
                Err(error) => {
                    warn!(%error, "a replay plan cannot go on for now");
                    LOOK_EVERY
                }
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => {}
                () = fatal.cancelled() => {}
            }
        }
    }

    /// Does what is to be done now for every plan; answers when to come back.
    ///
    /// # Errors
    /// A store that failed, is closed, or has no room for now.
    pub async fn turn(&mut self) -> Result<Duration, StoreError> {
        let plans = self.store.open_plans().await?;
        self.seen.retain(|id, _| plans.iter().any(|plan| plan.id == *id));
        let mut pause = LOOK_EVERY;
        for plan in plans {
            let id = plan.id.0;
            match self.work(plan).await {
                Ok(next) => pause = pause.min(next),
                Err(error @ (StoreError::Full | StoreError::Busy | StoreError::Failed(_) | StoreError::Closed)) => {
                    return Err(error);
                }
                // Of this one only: the others go on.
                Err(error) => warn!(plan = id, %error, "a replay plan cannot go on for now"),
            }
        }
        Ok(pause)
    }

    /// Does what is to be done now for one plan; answers when to come back.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn work(&mut self, mut plan: Plan) -> Result<Duration, StoreError> {
        if self.settle(plan.id).await? {
            let Some(now) = self.store.plan(plan.id).await? else { return Ok(LOOK_EVERY) };
            plan = now;
            match plan.state {
                PlanState::Done => info!(plan = plan.id.0, succeeded = plan.counts.succeeded, "a replay plan is done"),
                PlanState::Paused => warn!(plan = plan.id.0, "a replay plan stands"),
                _ => {}
            }
        }
        if plan.state != PlanState::Running {
            return Ok(LOOK_EVERY);
        }
        if let Some(stop) = brake::after(&plan) {
            self.pause(&plan, stop).await?;
            return Ok(LOOK_EVERY);
        }
        match brake::allowance(&plan, now_us(&self.clock)) {
            Allowance::Later(pause) => Ok(pause.clamp(STEP_EVERY, LOOK_EVERY)),
            Allowance::Now { items, next_at_us, canary_passed } => {
                self.step(&plan, items, next_at_us, canary_passed).await?;
                Ok(STEP_EVERY)
            }
        }
    }

    /// Notes what came to rest; whether anything did. Many items under way are looked at over several turns.
    async fn settle(&mut self, id: PlanId) -> Result<bool, StoreError> {
        let seen = self.seen.entry(id).or_default();
        let mut ended = 0;
        for _ in 0..LOOKS {
            let settled = self.store.settle_plan(id, *seen, LOOK, self.clock.now()).await?;
            ended += settled.ended;
            *seen = settled.next.unwrap_or_default();
            if settled.next.is_none() {
                break;
            }
        }
        Ok(ended > 0)
    }

    async fn step(&self, plan: &Plan, items: u64, next_at_us: i64, canary_passed: bool) -> Result<(), StoreError> {
        let waiting = self.store.waiting_plan_items(plan.id, items).await?;
        let (mut acts, mut stop) = (Vec::with_capacity(waiting.len()), None);
        let mut released = plan.released;
        for item in &waiting {
            let (act, lane) = self.act(plan, item).await?;
            if let Some(provider) = lane {
                if self.store.lane(&provider).await?.pause.is_some() {
                    stop = Some(Stop::new(PlanPause::Lane, format!("the lane of {provider} stands")));
                    break;
                }
                released = released.plus(Total::from_minor(item.amount.map_or(0, |amount| amount.minor().into())));
                if let Some(over) = brake::over(plan, released) {
                    stop = Some(over);
                    break;
                }
            }
            acts.push((item.no, act));
        }
        // What stops the next one is found again at the next turn, by the plan as it is then.
        if acts.is_empty() {
            return match stop {
                Some(stop) => self.pause(plan, stop).await,
                None => Ok(()),
            };
        }
        let (at, version) = (self.clock.now(), plan.version);
        let step = PlanStep { plan: plan.id, version, at, next_at_us, canary_passed, acts };
        self.store.step_plan(step).await?;
        Ok(())
    }

    async fn pause(&self, plan: &Plan, stop: Stop) -> Result<(), StoreError> {
        let Stop { cause, detail } = stop;
        let audit = NewAudit {
            at: self.clock.now(),
            by: "worker".to_owned(),
            action: "plan_stopped".to_owned(),
            subject: format!("plan {}", plan.id),
            reason: format!("{}: {detail}", cause.as_str()),
            detail: json!({ "waiting": plan.counts.waiting }),
        };
        if self.store.pause_plan(plan.id, Some(plan.version), cause, detail.clone(), audit).await? {
            warn!(plan = plan.id.0, cause = cause.as_str(), detail, "a replay plan stands");
        }
        Ok(())
    }
}

fn now_us(clock: &Clock) -> i64 {
    clock.now().as_millis().saturating_mul(1000)
}
