//! What outlives the process: time, the provider, the broker; and the plan, with how far it has come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::Policy;
use outbox::{Store, StoreError};
use testbed::matrix::{Fault as Column, Point};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::disk::File;
use crate::mistake::Mistake;
use crate::namespace::Namespace;
use crate::op::{Heard, Op};
use crate::operator::{self, Asked};
use crate::plan::{Fault, Plan, What, When};
use crate::provider::Ledger;
use crate::queues::Queues;
use crate::scenario::{Message, Outage, Wrong};
use crate::trace::Trace;

/// 2026-11-22T10:00:00+07:00, in Unix milliseconds.
pub(crate) const START: i64 = 1_795_316_400_000;

/// Clocks that are no further apart agree (M17), in milliseconds: a minute, and the second that a `Date` is cut to.
pub(crate) const AGREE_MS: i64 = 61_000;

/// For how long a full disk stays full.
const FULL_FOR: Duration = Duration::from_secs(20);
/// For how long a provider's outage lasts: longer than doubt is asked about.
const OUTAGE: Duration = Duration::from_secs(480);
/// For how long a broker that went down is away.
const DOWN_FOR: Duration = Duration::from_secs(10);

/// The world of one run; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct World(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told at a crash.
    gone: Notify,
    /// Told when something has changed at the broker.
    at_broker: Notify,
}

#[derive(Debug)]
pub(crate) struct State {
    /// True time at the beginning of this life, in Unix milliseconds.
    base: i64,
    /// When this life began.
    born: Option<Instant>,
    /// Boots of the machine so far.
    pub(crate) boot: u32,
    /// How far the wall clock is off, in milliseconds.
    pub(crate) off: i64,
    pub(crate) dice: testbed::Dice,
    /// Calls so far.
    pub(crate) calls: u64,
    /// The store's call that is being done.
    pub(crate) committing: Option<Call>,
    faults: Vec<Fault>,
    /// Faults that took place.
    pub(crate) struck: Vec<Fault>,
    crashed: bool,
    stop: CancellationToken,
    /// There is no room on the disk until then, in true time.
    pub(crate) full_until: Option<i64>,
    /// The store's next command fails.
    pub(crate) disk_fails: Option<When>,
    /// The broker is away until then, in true time.
    broker_back: Option<i64>,
    /// The account that the configuration names.
    pub(crate) account: usize,
    /// The rules of each provider, by that configuration.
    pub(crate) policies: BTreeMap<String, Policy>,
    /// The newest time that the wall clock was ever read at.
    pub(crate) newest: i64,
    /// When no top-up may begin any more, by reference.
    pub(crate) not_after: BTreeMap<String, i64>,
    /// What becomes of the store's file.
    pub(crate) file: Option<File>,
    /// What an operator was shown, and what the provider said of it.
    pub(crate) asked: Vec<Asked>,
    /// The store is to be copied before its next command.
    pub(crate) copy_wanted: bool,
    /// The copy is to be put back before the next life.
    pub(crate) restore_wanted: bool,
    /// The store was put back from a copy.
    pub(crate) restored: bool,
    /// Until an operator ends the asking.
    pub(crate) is_asking: bool,
    /// The scenario is of one message: a fault has hit that one.
    is_one_job: bool,
    /// It is no job, and ends as a dead letter.
    is_dead: bool,
    /// What was last heard of it.
    pub(crate) heard: Heard,
    /// Of top-ups that were answered by another's answer: their own, by reference.
    pub(crate) own_answers: BTreeMap<String, crate::provider::Said>,
    /// A replay is under way.
    pub(crate) replaying: bool,
    /// Replays so far.
    pub(crate) replays: u32,
    /// Cells of the fault matrix.
    pub(crate) hits: Vec<(Point, Column)>,
    pub(crate) ledger: Ledger,
    outage: Outage,
    /// How long a token lives, in seconds, as the provider says it.
    pub(crate) token_lives: &'static str,
    pub(crate) queues: Queues,
    pub(crate) namespace: Namespace,
    pub(crate) trace: Trace,
    pub(crate) mistake: Mistake,
    /// The store of the process that lives.
    pub(crate) store: Option<Store>,
    /// When the last top-up left, in true time.
    pub(crate) top_up_left: i64,
    /// A provider said "known" of a reference that it did not know.
    pub(crate) lied: bool,
    /// Commands of the store that failed by plan, in this life.
    pub(crate) failures: u32,
    /// Whether requests may arrive long after they were given up.
    pub(crate) may_be_late: bool,
}

/// A call that a port is about to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) number: u64,
    op: Op,
}

/// What is left for the port to do with a fault.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Struck {
    /// The call fails in this way.
    pub(crate) error: Option<u8>,
    /// For a provider: how much later it gets there.
    pub(crate) delay: Duration,
    /// For a provider: it arrives, and the process does not live to see it.
    pub(crate) dies_in_flight: bool,
}

impl World {
    pub(crate) fn new(plan: &Plan, mistake: Mistake, told: bool) -> Self {
        let state = State {
            base: START,
            born: None,
            boot: 1,
            off: 0,
            dice: testbed::Dice::seeded(plan.seed ^ 0x5eed),
            calls: 0,
            committing: None,
            faults: plan.faults.clone(),
            struck: Vec::new(),
            crashed: false,
            stop: CancellationToken::new(),
            full_until: None,
            disk_fails: None,
            broker_back: None,
            account: 0,
            policies: BTreeMap::new(),
            newest: 0,
            not_after: plan.scenario.messages.iter().filter_map(not_after).collect(),
            file: None,
            asked: Vec::new(),
            copy_wanted: false,
            restore_wanted: false,
            restored: false,
            is_asking: false,
            is_one_job: plan.scenario.messages.len() == 1,
            is_dead: plan.scenario.messages[0].wrong == Wrong::Malformed,
            heard: Heard::Nothing,
            own_answers: BTreeMap::new(),
            replaying: false,
            replays: 0,
            hits: Vec::new(),
            ledger: Ledger::default(),
            outage: plan.scenario.outage,
            token_lives: if plan.scenario.short_tokens { "7" } else { "900" },
            queues: Queues::of(&plan.scenario, START),
            namespace: Namespace::default(),
            trace: Trace::new(told),
            mistake,
            store: None,
            top_up_left: START,
            lied: false,
            failures: 0,
            may_be_late: !plan.sets_the_clock(),
        };
        Self(Arc::new(Shared { state: Mutex::new(state), gone: Notify::new(), at_broker: Notify::new() }))
    }

    /// Its store, where a process lives.
    pub(crate) fn store(&self) -> Option<Store> {
        self.state().store.clone()
    }

    /// Nothing panics while it holds the state but a test that has failed already.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process begins.
    pub(crate) fn born(&self, stop: CancellationToken) {
        let mut state = self.state();
        (state.born, state.crashed, state.stop) = (Some(Instant::now()), false, stop);
        state.failures = 0;
    }

    /// A process has ended; the next one begins after `pause`. To be called while its time can still be read.
    pub(crate) fn died(&self, pause: Duration) {
        let mut state = self.state();
        state.base = state.now() + millis(pause);
        state.born = None;
        state.store = None;
        state.queues.connection_lost();
        state.trace.note(format_args!("-- the process is gone --"));
    }

    /// Somebody sets the wall clock right, and stops the process in order.
    pub(crate) fn put_clock_right(&self) {
        let mut state = self.state();
        state.off = 0;
        state.stop.cancel();
    }

    /// Resolves at a crash.
    pub(crate) async fn crash(&self) {
        loop {
            let gone = self.0.gone.notified();
            if self.state().crashed {
                return;
            }
            gone.await;
        }
    }

    /// Begins a call: nothing begins after a crash.
    pub(crate) async fn call(&self, op: Op) -> Call {
        self.alive().await;
        let mut state = self.state();
        state.calls += 1;
        let number = state.calls;
        let now = state.now();
        state.trace.note(format_args!("{now} {number} {op:?}"));
        Call { number, op }
    }

    /// Resolves at once, or never where the process is gone.
    pub(crate) async fn alive(&self) {
        if self.state().crashed {
            std::future::pending::<()>().await;
        }
    }

    /// Lets the plan strike on one side of a call.
    pub(crate) async fn strike(&self, call: Call, when: When) -> Struck {
        let mut struck = Struck::default();
        while let Some(fault) = self.take(call, when) {
            match fault.what {
                What::Crash => self.die().await,
                What::Boot => {
                    self.state().boot += 1;
                    self.die().await;
                }
                What::Account => {
                    self.state().account ^= 1;
                    self.die().await;
                }
                What::Fence if call.op.is_of_provider() => operator::fence(self).await,
                What::CheckAsked if call.op.is_outside() => operator::ask(self).await,
                What::CheckTold if call.op.is_outside() => operator::tell(self).await,
                What::Fence | What::CheckAsked | What::CheckTold => {}
                What::FileGone => {
                    let mut state = self.state();
                    state.file = state.file.or(Some(File::IsToGo));
                }
                What::Copy => self.state().copy_wanted = true,
                What::Restore => {
                    self.state().restore_wanted = true;
                    self.die().await;
                }
                What::CrashInFlight if call.op.is_of_provider() && when == When::Before => {
                    struck.dies_in_flight = true;
                }
                What::CrashInFlight => self.die().await,
                What::Error(kind) => struck.error = Some(kind),
                What::Delay(by) if call.op.is_of_provider() => struck.delay = by,
                What::Delay(by) => tokio::time::sleep(by).await,
                // Every timer that is due meanwhile fires together.
                What::Freeze(by) => tokio::time::advance(by).await,
                What::Stop => self.state().stop.cancel(),
                What::ClockSet(by) => self.state().off += by,
                What::Sleep(by) => {
                    self.state().base += millis(by);
                    self.0.at_broker.notify_waiters();
                }
                What::DiskFull => self.state().disk_fills(),
                What::DiskFails => self.state().disk_fails = Some(when),
                What::Again => {
                    let mut state = self.state();
                    let now = state.now();
                    state.queues.again(now);
                    drop(state);
                    self.0.at_broker.notify_waiters();
                }
                What::Adopt(cut_off) => {
                    let mut state = self.state();
                    let now = state.now();
                    if state.namespace.give(now) {
                        state.broker_back = Some(now + millis(cut_off));
                        state.queues.connection_lost();
                        state.queues.generation += 1;
                    }
                    drop(state);
                    self.0.at_broker.notify_waiters();
                }
                What::BrokerDown => {
                    let mut state = self.state();
                    state.broker_back = Some(state.now() + millis(DOWN_FOR));
                    state.queues.connection_lost();
                    state.queues.generation += 1;
                    drop(state);
                    self.0.at_broker.notify_waiters();
                }
            }
        }
        self.alive().await;
        struck
    }

    /// Waits until something has changed at the broker.
    pub(crate) async fn at_broker(&self) {
        self.0.at_broker.notified().await;
    }

    fn take(&self, call: Call, when: When) -> Option<Fault> {
        let mut state = self.state();
        let place = state.faults.iter().position(|fault| (fault.at, fault.when) == (call.number, when))?;
        let fault = state.faults.remove(place);
        state.trace.note(format_args!("   !! {fault}"));
        state.struck.push(fault);
        if let Some(column) = call.op.column(fault.what, when) {
            let point = match (state.is_asking, state.is_one_job) {
                (true, _) => Some(Point::Restored),
                (false, true) => call.op.point(when, fault.what, state.heard, state.is_dead),
                (false, false) => state.replaying.then_some(Point::HalfReplayed),
            };
            state.hits.extend(point.map(|point| (point, column)));
        }
        Some(fault)
    }

    /// Takes the process down; does not come back.
    pub(crate) async fn die(&self) {
        self.state().crashed = true;
        self.0.gone.notify_waiters();
        std::future::pending().await
    }
}

impl State {
    /// True time, in Unix milliseconds.
    pub(crate) fn now(&self) -> i64 {
        self.base + self.born.map_or(0, |born| millis(born.elapsed()))
    }

    /// The store was put back from a copy: whatever was ever sent is sent once more by its producers.
    pub(crate) fn was_restored(&mut self) {
        (self.restored, self.is_asking) = (true, true);
        let now = self.now();
        self.queues.all_again(now);
    }

    /// The other store begins: whatever was ever sent is sent once more by its producers.
    pub(crate) fn was_given(&mut self) {
        self.namespace.is_others = true;
        self.was_restored();
        self.is_asking = self.mistake != Mistake::AdoptWithoutAsking;
    }

    /// From now on there is no room, for a while.
    pub(crate) fn disk_fills(&mut self) {
        self.full_until = Some(self.now() + millis(FULL_FOR));
    }

    /// A command fails by plan, and this of it is so.
    pub(crate) fn disk_failed(&mut self, what: &str) -> StoreError {
        self.failures += 1;
        StoreError::Failed(format!("the disk failed, and {what}"))
    }

    /// Whether there is no room; that there is some again is told once.
    pub(crate) fn disk_is_full(&self) -> bool {
        self.full_until.is_some_and(|until| self.now() < until)
    }

    /// Whether an orderly stop has begun.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// What the provider suffers from at this time.
    pub(crate) fn outage(&self) -> Outage {
        if self.now() < START + millis(OUTAGE) { self.outage } else { Outage::None }
    }

    pub(crate) fn broker_is_down(&self) -> bool {
        self.broker_back.is_some_and(|back| self.now() < back)
    }

    /// A duration between the two.
    pub(crate) fn span(&mut self, from: Duration, to: Duration) -> Duration {
        Duration::from_millis(u64::try_from(millis(self.dice.span(from, to))).unwrap_or(0))
    }
}

fn not_after(message: &Message) -> Option<(String, i64)> {
    Some((message.reference.clone(), message.not_after()?))
}

/// From milliseconds that may have passed already.
pub(crate) fn span(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
