//! One provider's stream of work: places, turns to call, pauses, probes, the rate limit. Decides *whether* a job may be driven now; the
//! engine decides what is done with it.

mod gate;
mod pace;
mod witness;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::Policy;
use parking::Parking;
use snap_client::SnapClient;
use snap_core::{Profile, Service, Timestamp};
use std::sync::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

pub use gate::{Cause, Change, Gate, Pause, Signal};
use pace::Pace;
pub(crate) use witness::Moment;
pub use witness::Witness;

mod parking;

/// One provider's lane.
#[derive(Debug)]
pub struct Lane {
    /// The provider's name in the configuration.
    pub name: Arc<str>,
    /// Its rules on the wire.
    pub profile: Arc<Profile>,
    /// Its rules for decisions.
    pub policy: Policy,
    /// For how long an intent is good.
    pub send_within: std::time::Duration,
    /// Its connections.
    pub client: SnapClient,
    /// What its answers say of our clock.
    pub witness: Witness,
    /// Jobs driven at a time: those that call and those that wait for the disk before and after it.
    slots: Arc<Semaphore>,
    /// Jobs that call at a time.
    callers: Semaphore,
    gate: Mutex<Gate>,
    pace: Pace,
    parking: Parking,
    work: Notify,
    room: Arc<Notify>,
    /// There may be due jobs in the store that nobody drives.
    backlog: AtomicBool,
    /// When the next waiting job is due, as far as this process knows.
    next_due: Mutex<Option<Timestamp>>,
}

/// So many more jobs are driven for each one that may call: while some are recorded others call, however slow the disk.
const MORE_PER_CALLER: usize = 3;
/// And no more than so many: a disk of 10 ms a flush keeps some 200 jobs waiting at 5,000 a second.
const MORE_MAX: usize = 512;

/// The right to drive one job of a lane; the next one may start when it is dropped.
#[derive(Debug)]
pub struct Slot {
    lane: Arc<Lane>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slot {
    /// The lane it belongs to.
    pub fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.lane.room.notify_waiters();
        if self.lane.backlog.load(Ordering::Acquire) {
            self.lane.work.notify_one();
        }
    }
}

/// What a lane needs to be built.
#[derive(Debug)]
pub struct LaneParts {
    /// The provider's name in the configuration.
    pub name: Arc<str>,
    /// Its rules on the wire.
    pub profile: Arc<Profile>,
    /// Its rules for decisions.
    pub policy: Policy,
    /// For how long an intent is good.
    pub send_within: std::time::Duration,
    /// Its connections.
    pub client: SnapClient,
    /// Jobs that may have a request under way at a time.
    pub max_in_flight: usize,
    /// Requests per second; 0 is no limit.
    pub rate_limit: u32,
    /// Whether it may move, at the start.
    pub gate: Gate,
}

/// Jobs driven at a time where so many may call.
fn driven(max_in_flight: usize) -> usize {
    max_in_flight + max_in_flight.saturating_mul(MORE_PER_CALLER).min(MORE_MAX)
}

impl Lane {
    /// A lane at rest. `room` is told whenever a slot becomes free in any lane.
    pub fn new(parts: LaneParts, room: Arc<Notify>) -> Self {
        let LaneParts { name, profile, policy, send_within, client, max_in_flight, rate_limit, gate } = parts;
        Self {
            name,
            profile,
            policy,
            send_within,
            client,
            witness: Witness::default(),
            slots: Arc::new(Semaphore::new(driven(max_in_flight))),
            callers: Semaphore::new(max_in_flight),
            gate: Mutex::new(gate),
            pace: Pace::per_second(rate_limit),
            parking: Parking::new(max_in_flight),
            work: Notify::new(),
            room,
            backlog: AtomicBool::new(true),
            next_due: Mutex::new(None),
        }
    }

    /// A slot for a job that has just arrived; `None` where the lane is full or stands.
    pub fn try_slot(self: &Arc<Self>) -> Option<Slot> {
        if self.is_paused() {
            return None;
        }
        self.any_slot()
    }

    /// A slot whether the lane stands or not: for a probe.
    pub(crate) fn any_slot(self: &Arc<Self>) -> Option<Slot> {
        let permit = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        Some(Slot { lane: Arc::clone(self), permit: Some(permit) })
    }

    /// How many jobs could be started now.
    pub fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }

    /// Whether intake may bring another job: it could be driven, or there is parking left while the lane stands.
    pub fn has_room(&self) -> bool {
        if self.is_paused() { self.parking.has_room() } else { self.free_slots() > 0 }
    }

    /// Whether a slot can be expected soon: it does not stand, and nothing of it waits in the store for one.
    pub fn moves_freely(&self) -> bool {
        !self.is_paused() && self.parking.is_empty()
    }

    /// A job of this lane waits in the store without a slot.
    pub fn parked(&self) {
        self.parking.add();
        self.look_again();
    }

    /// There may be something due in the store.
    pub fn look_again(&self) {
        self.backlog.store(true, Ordering::Release);
        self.work.notify_one();
    }

    /// Sets the mark that something may be due, without waking the loop.
    pub(crate) fn mark_backlog(&self) {
        self.backlog.store(true, Ordering::Release);
    }

    /// A job of this lane is due at `at`.
    pub(crate) fn due(&self, at: Timestamp) {
        let mut next = self.next_due.lock().expect("nothing panics while it holds the due time");
        if next.is_none_or(|next| at < next) {
            *next = Some(at);
            self.work.notify_one();
        }
    }

    /// Marks the backlog where the next due time has come.
    pub(crate) fn due_passed(&self, now: Timestamp) {
        let mut next = self.next_due.lock().expect("nothing panics while it holds the due time");
        if next.is_some_and(|next| next <= now) {
            *next = None;
            self.mark_backlog();
        }
    }

    /// When the loop has to look by itself: a job is due, or a probe.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        let gate = self.gate();
        match gate.pause() {
            Some(_) => gate.next_probe(),
            None => *self.next_due.lock().expect("nothing panics while it holds the due time"),
        }
    }

    /// Takes the mark that something may be due; whoever takes it has to look.
    pub(crate) fn take_backlog(&self) -> bool {
        self.backlog.swap(false, Ordering::AcqRel)
    }

    /// `taken` parked jobs were claimed; `drained` where no due job was left.
    pub(crate) fn claimed(&self, taken: usize, drained: bool) {
        self.parking.remove(taken, drained);
    }

    /// Waits until there may be something to do.
    pub(crate) async fn work(&self) {
        self.work.notified().await;
    }

    /// Whether the lane stands.
    pub fn is_paused(&self) -> bool {
        self.gate().pause().is_some()
    }

    /// Why the lane stands.
    pub fn pause(&self) -> Option<Pause> {
        self.gate().pause().cloned()
    }

    /// Takes note of what a call of `service` told.
    pub fn observe(&self, signal: Signal, service: Service, now: Timestamp) -> Change {
        let change = self.gate().observe(signal, service, now);
        self.after(change);
        change
    }

    /// Changes the gate by an operator's word.
    pub(crate) fn with_gate(&self, act: impl FnOnce(&mut Gate) -> Change) -> Change {
        let change = act(&mut self.gate());
        self.after(change);
        change
    }

    /// Whether one job may try now although the lane stands.
    pub(crate) fn take_probe(&self, now: Timestamp) -> bool {
        self.gate().take_probe(now)
    }

    /// The probe ended; `asked` where it got as far as asking the provider.
    pub(crate) fn probe_ended(&self, now: Timestamp, asked: bool) {
        self.gate().probe_ended(now, asked);
        self.work.notify_one();
    }

    /// Waits until one more job of the lane may call, in the order of asking. To be kept from the job's inquiry to the
    /// answer of its top-up.
    pub async fn caller(&self) -> SemaphorePermit<'_> {
        self.callers.acquire().await.expect("nobody closes it")
    }

    /// Waits for the rate limit's next turn.
    pub async fn turn(&self) {
        self.pace.turn().await;
    }

    /// Takes the rate limit's next turn without waiting for it: whoever comes next waits the longer.
    pub fn skip_turn(&self) {
        self.pace.skip();
    }

    fn after(&self, change: Change) {
        match change {
            Change::None => {}
            // The lane's loop has to learn when the first probe is due.
            Change::Paused => self.work.notify_one(),
            Change::Resumed => {
                self.look_again();
                self.room.notify_waiters();
            }
        }
    }

    fn gate(&self) -> std::sync::MutexGuard<'_, Gate> {
        self.gate.lock().expect("nothing panics while it holds the gate")
    }
}
