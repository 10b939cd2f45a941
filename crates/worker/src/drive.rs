//! The only loop: ask the engine for the next step, do it, record what happened, until the job waits or rests.
//!
//! What is read-only (the inquiry) is recorded together with the intent that follows it, so a job costs three commits:
//! accepted, sending, ended. Cancellation is looked at between steps only: a request that has left is waited for.

use std::sync::Arc;
use std::time::Duration;

use engine::{Answer, DeadReason, Event, Noticed, Retry, State, StatusAnswer, Step, apply, next_step};
use outbox::{Store, StoreError, StoredJob};
use snap_client::By;
use snap_core::{Service, Timestamp};
use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use crate::account;
use crate::clock::Clock;
use crate::custody::Custody;
use crate::full::wait_for_room;
use crate::lane::{Change, Lane, Moment, Signal, Slot};
use crate::late;
use crate::notes::Notes;
use crate::provider::{self, Called, Reading};
use crate::telemetry::metrics::Metrics;

/// What every drive needs.
#[derive(Debug)]
pub struct Driver {
    /// The judge.
    pub store: Store,
    /// Time and randomness.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// No new step is begun after this.
    pub shutdown: CancellationToken,
    /// The store failed: the process has to end, and recovery decides from what is on disk.
    pub fatal: CancellationToken,
    /// There may be outcomes to publish.
    pub published: Arc<tokio::sync::Notify>,
    /// Whether the namespace is this store's (M13).
    pub custody: Arc<Custody>,
}

/// A job waits so long for its store's custody before it makes room for another, and so long until it tries again.
const CUSTODY_PATIENCE: Duration = Duration::from_secs(5);

/// Why a drive lets go of its job.
enum Stop {
    /// It is recorded when the job is due again, or that it rests.
    LetGo,
    /// Nothing was written: the next start of the process finds the job.
    Leave,
    /// Somebody else changed the job meanwhile; what is stored stands.
    Fenced,
}

/// Whether a drive may start calls on a standing lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An ordinary drive.
    Work,
    /// The one job that finds out whether the lane may move again.
    Probe,
}

impl Driver {
    /// Drives one claimed job in a task of its own.
    pub fn start(self: &Arc<Self>, tracker: &TaskTracker, slot: Slot, job: StoredJob, purpose: Purpose) {
        // Boxed: a drive is some kilobytes, and on its way into its task it is moved several times.
        tracker.spawn(Box::pin(Arc::clone(self).drive(slot, job, purpose)));
    }

    /// Drives one claimed job until it waits or rests.
    async fn drive(self: Arc<Self>, slot: Slot, job: StoredJob, purpose: Purpose) {
        let lane = Arc::clone(slot.lane());
        let mut guard = EndsProbe { driver: &self, lane: &lane, purpose, asked: false };
        let mut driving = Driving::new(&self, &lane, job, purpose);
        let stop = driving.run().await;
        if matches!(stop, Stop::Fenced) {
            let reference = &driving.job.request.partner_reference_no;
            info!(%reference, "the job was changed elsewhere; what is stored stands");
            if let Some(called) = &driving.unrecorded
                && let Err(error) = late::record(&self, &lane, reference, called).await
            {
                error!(%reference, %error, "the store failed");
                self.fatal.cancel();
            }
        }
        guard.asked = driving.asked;
        drop(guard);
        drop(slot);
    }
}

/// However a drive ends, the lane learns that its probe is over. A drive that panics takes the process down: its job is
/// claimed and nobody drives it, and the next start settles that.
struct EndsProbe<'a> {
    driver: &'a Driver,
    lane: &'a Lane,
    purpose: Purpose,
    asked: bool,
}

impl Drop for EndsProbe<'_> {
    fn drop(&mut self) {
        if self.purpose == Purpose::Probe {
            self.lane.probe_ended(self.driver.clock.now(), self.asked);
        }
        if std::thread::panicking() {
            error!(provider = %self.lane.name, "a drive panicked");
            self.driver.fatal.cancel();
        }
    }
}

struct Driving<'a> {
    driver: &'a Driver,
    lane: &'a Arc<Lane>,
    job: StoredJob,
    purpose: Purpose,
    notes: Notes,
    /// The token was refused once in this drive and has been refreshed.
    refreshed: bool,
    /// A provider call was made.
    asked: bool,
    /// What was heard last and is not on disk: evidence, whoever has the job by now (M16).
    unrecorded: Option<Called>,
    /// The right to call: from the first call on, until what it told is to be recorded.
    caller: Option<SemaphorePermit<'a>>,
}

impl<'a> Driving<'a> {
    fn new(driver: &'a Driver, lane: &'a Arc<Lane>, job: StoredJob, purpose: Purpose) -> Self {
        let notes = Notes::of(&job.job.state);
        Self { driver, lane, job, purpose, notes, refreshed: false, asked: false, unrecorded: None, caller: None }
    }

    async fn run(&mut self) -> Stop {
        loop {
            let now = self.driver.clock.now();
            let step = next_step(&self.job.job, &self.lane.policy, self.noticed(now));
            debug!(reference = %self.job.request.partner_reference_no, ?step, "next step");
            let stepped = match step {
                Step::Rest => return Stop::LetGo,
                Step::WaitUntil(at) => match self.clocks_agree_again(now).await {
                    true => Ok(()),
                    false => return self.let_go(at).await,
                },
                Step::Expire => self.expire().await,
                Step::OtherAccount => self.other_account(now).await,
                Step::Inquire | Step::Send | Step::CheckStatus => self.call(step).await,
            };
            match stepped {
                Ok(()) => {}
                Err(stop) => return stop,
            }
        }
    }

    /// Whether the job waited for the clocks to agree, and they do now.
    async fn clocks_agree_again(&self, now: Timestamp) -> bool {
        let waits = matches!(self.job.job.state, State::Ready { .. } | State::Inquired { .. })
            && self.noticed(now).is_undecided(&self.job.job);
        if waits {
            provider::hear_clock_again(self.driver, self.lane).await;
        }
        waits && !self.noticed(self.driver.clock.now()).is_doubted
    }

    /// Too late by our clock, which the provider's may contradict (M17).
    async fn expire(&mut self) -> Result<(), Stop> {
        provider::hear_clock(self.driver, self.lane).await;
        let now = self.driver.clock.now();
        if next_step(&self.job.job, &self.lane.policy, self.noticed(now)) != Step::Expire {
            return Ok(());
        }
        self.happened_and_recorded(Event::Expired, now).await
    }

    /// One provider call, with everything that has to stand before it.
    async fn call(&mut self, step: Step) -> Result<(), Stop> {
        self.may_call().await?;
        if step != Step::CheckStatus {
            self.may_begin().await?;
        }
        self.wait_for_caller().await?;
        // What queued behind other jobs asks for no token where the lane has come to stand meanwhile (M9).
        self.may_call().await?;
        self.lane.turn().await;
        // The token is had before the intent is recorded, so that a refused token hardly ever meets an intent.
        let token = match self.lane.client.token(self.driver.clock.wall()).await {
            Ok(token) => {
                provider::note_token_calls(self.driver, self.lane);
                token
            }
            Err(failure) => {
                provider::note_token_calls(self.driver, self.lane);
                self.asked = true;
                self.observe(provider::token_signal(&failure), Service::AccessToken, Some(&failure.to_string()));
                return Err(self.wait_a_little().await);
            }
        };
        // Any of this may have taken a while: what was right before need not be now.
        self.may_call().await?;
        let now = self.noticed(self.driver.clock.now());
        if next_step(&self.job.job, &self.lane.policy, now) != step {
            return Ok(());
        }
        match step {
            Step::Send => self.send(&token).await,
            Step::Inquire => self.inquire(&token).await,
            _ => self.check(&token).await,
        }
    }

    /// Whether a call may begin: not after the shutdown, and on a standing lane only as its probe.
    async fn may_call(&mut self) -> Result<(), Stop> {
        if self.driver.shutdown.is_cancelled() || self.driver.fatal.is_cancelled() {
            return Err(Stop::Leave);
        }
        if self.lane.is_paused() && self.purpose == Purpose::Work {
            self.lane.parked();
            return Err(self.let_go(self.driver.clock.now()).await);
        }
        Ok(())
    }

    /// M15: what may be the answer to an earlier request is forgotten, and asked again by the same rules as any other call.
    async fn may_ask_again(&mut self) -> Result<(), Stop> {
        self.asked = true;
        self.may_call().await?;
        self.lane.turn().await;
        self.may_call().await
    }

    /// Whether something new may begin (M13): only while the namespace is known to be this store's. It costs the job nothing.
    async fn may_begin(&mut self) -> Result<(), Stop> {
        let Driver { custody, clock, .. } = self.driver;
        if !custody.may_begin(clock) {
            // The next job may call meanwhile: doubts are settled all the same.
            self.caller = None;
            tokio::select! {
                biased;
                () = self.driver.shutdown.cancelled() => return Err(Stop::Leave),
                () = self.driver.fatal.cancelled() => return Err(Stop::Leave),
                () = custody.opened(clock, CUSTODY_PATIENCE) => {}
            }
            if !custody.may_begin(clock) {
                return Err(self.let_go(clock.now().plus(CUSTODY_PATIENCE)).await);
            }
        }
        if custody.must_ask(&self.job) {
            return Err(self.let_go(clock.now()).await);
        }
        Ok(())
    }

    /// Waits for one of the lane's callers to be free.
    async fn wait_for_caller(&mut self) -> Result<(), Stop> {
        if self.caller.is_none() {
            self.caller = tokio::select! {
                biased;
                caller = self.lane.caller() => Some(caller),
                () = self.driver.shutdown.cancelled() => return Err(Stop::Leave),
            };
        }
        Ok(())
    }

    async fn inquire(&mut self, token: &snap_client::Token) -> Result<(), Stop> {
        let mut called = provider::inquire(self.driver, self.lane, token, &self.job, By::Any).await;
        if called.reading.ask_again {
            self.may_ask_again().await?;
            called = provider::inquire(self.driver, self.lane, token, &self.job, By::New).await;
        }
        let free = called.reading.event == Event::InquiryFailed(Retry::Free);
        let again = self.observed(token, &called).await;
        self.happened(&called)?;
        if matches!(self.job.job.state, State::Inquired { .. }) {
            // Rides along with the intent: an inquiry is free to repeat.
            return Ok(());
        }
        if free && !again {
            return Err(self.wait_a_little().await);
        }
        self.commit_result().await
    }

    /// M14: only the account that it was sent to could tell, and that is not configured any more.
    async fn other_account(&mut self, now: Timestamp) -> Result<(), Stop> {
        let names = match self.driver.store.accounts().await {
            Ok(names) => names,
            Err(error) => return Err(self.stopped(&error)),
        };
        let words = |account: Option<engine::Account>| {
            account.map_or_else(|| "an account that is not known".to_owned(), |account| account::words(account, &names))
        };
        let (theirs, ours) = (words(self.job.job.evidence.account), words(self.lane.policy.account));
        let why = format!("it may have been paid by {theirs}; section {} names {ours} now", self.lane.name);
        self.notes.dies_of(Some(why));
        self.happened_and_recorded(Event::OtherAccount, now).await
    }

    async fn send(&mut self, token: &snap_client::Token) -> Result<(), Stop> {
        let request = match provider::top_up_request(self.driver, self.lane, &self.job) {
            Ok(request) => request,
            Err(why) => {
                warn!(reference = %self.job.request.partner_reference_no, why, "the top-up cannot be built");
                let at = self.driver.clock.now();
                self.notes.detail(why);
                return self.happened_and_recorded(Event::InquiryWrong, at).await;
            }
        };
        // It may have passed while this drive waited for its turn or for the token, or while the machine slept.
        let (started, began) = (self.driver.clock.now(), self.driver.clock.boottime());
        if next_step(&self.job.job, &self.lane.policy, self.noticed(started)) != Step::Send {
            return Ok(());
        }
        if !self.driver.custody.may_begin(&self.driver.clock) || self.driver.custody.must_ask(&self.job) {
            return Ok(());
        }
        let before = self.job.clone();
        self.apply(&Event::SendStarted, started)?;
        self.notes.started(&request, started);
        // M1: the intent is on disk, synced, before the first byte leaves.
        match self.record(None).await {
            Ok(()) => {}
            Err(StoreError::Full | StoreError::Busy) => {
                // Nothing was recorded and nothing is sent: go on from before when there is room again.
                self.job = before;
                self.notes.forget_intent();
                tokio::select! {
                    biased;
                    () = wait_for_room(&self.driver.store) => return Ok(()),
                    () = self.driver.shutdown.cancelled() => return Err(Stop::Leave),
                }
            }
            Err(error) => return Err(self.stopped(&error)),
        }
        let called = {
            let fuse = || held_back(self.driver, self.lane, &self.job, began);
            provider::send(self.driver, self.lane, token, &self.job, request, &fuse).await
        };
        let free = matches!(
            called.reading.event,
            Event::TopUp(Answer::NotSent | Answer::NotExecuted { retry: Retry::Free, .. })
        );
        let again = self.observed(token, &called).await;
        self.happened(&called)?;
        self.unrecorded = Some(called);
        if free && !again && self.job.job.state.name() == "ready" {
            return Err(self.wait_a_little().await);
        }
        self.commit_result().await
    }

    async fn check(&mut self, token: &snap_client::Token) -> Result<(), Stop> {
        let mut called = provider::check(self.driver, self.lane, token, &self.job, By::Any).await;
        if called.reading.ask_again {
            self.may_ask_again().await?;
            called = provider::check_again(self.driver, self.lane, token, &self.job, &called).await;
        }
        let free = matches!(called.reading.event, Event::Checked { answer: StatusAnswer::Nothing(Retry::Free), .. });
        let again = self.observed(token, &called).await;
        self.happened(&called)?;
        self.unrecorded = Some(called);
        if free && !again {
            return Err(self.wait_a_little().await);
        }
        self.commit_result().await
    }

    /// Tells the lane what a call told, and refreshes a refused token once; true where trying again at once makes sense.
    async fn observed(&mut self, token: &snap_client::Token, called: &Called) -> bool {
        self.asked = true;
        let Reading { signal, token_refused, detail, .. } = &called.reading;
        let Some(fault) = token_refused else {
            self.observe(*signal, called.service, detail.as_deref());
            return false;
        };
        if self.refreshed {
            self.observe(Signal::Fault(*fault), called.service, detail.as_deref());
            return false;
        }
        self.refreshed = true;
        let refreshed = self.lane.client.refresh_token(token, self.driver.clock.wall()).await;
        provider::note_token_calls(self.driver, self.lane);
        match refreshed {
            Ok(_) => true,
            Err(failure) => {
                self.observe(provider::token_signal(&failure), Service::AccessToken, Some(&failure.to_string()));
                false
            }
        }
    }

    fn observe(&self, signal: Signal, service: Service, detail: Option<&str>) {
        let now = self.driver.clock.now();
        match self.lane.observe(signal, service, now) {
            Change::Paused => {
                let cause = self.lane.pause().map_or("", |pause| pause.cause.as_str());
                warn!(provider = %self.lane.name, cause, detail, "the lane stands; its jobs wait");
            }
            Change::Resumed => info!(provider = %self.lane.name, "the lane moves again"),
            Change::None => {}
        }
    }

    fn apply(&mut self, event: &Event, at: Timestamp) -> Result<(), Stop> {
        let jitter = self.driver.clock.jitter();
        let noticed = self.noticed(at);
        match apply(&self.job.job, &self.lane.policy, event, noticed, jitter) {
            Ok(job) => {
                self.notes.event(event, at);
                self.job.job = job;
                Ok(())
            }
            Err(illegal) => {
                // A defect: the stored state stands, and nothing more is done to this job until a restart.
                error!(reference = %self.job.request.partner_reference_no, %illegal, "an illegal event; the job is left as stored");
                Err(Stop::Leave)
            }
        }
    }

    /// By every clock, with what the lane's provider says of ours.
    fn noticed(&self, at: Timestamp) -> Noticed {
        let noticed = self.driver.clock.noticed(at);
        let is_doubted = self.lane.witness.is_doubted_at(Moment { wall: noticed.wall, counted: at });
        let noticed = Noticed { is_doubted, ..noticed };
        if !self.job.job.evidence.forgotten {
            return noticed;
        }
        // M14: until it is known which accounts were in use nothing is decided.
        match self.driver.custody.others_were_used(&self.lane.name) {
            Some(others_were_used) => Noticed { others_were_used, ..noticed },
            None => Noticed { is_doubted: true, ..noticed },
        }
    }

    fn happened(&mut self, called: &Called) -> Result<(), Stop> {
        self.notes.answered(called);
        self.apply(&called.reading.event, called.ended_at)
    }

    async fn happened_and_recorded(&mut self, event: Event, at: Timestamp) -> Result<(), Stop> {
        self.apply(&event, at)?;
        self.commit_result().await
    }

    /// Records what happened; a result waits for room rather than being dropped.
    async fn commit_result(&mut self) -> Result<(), Stop> {
        let due = self.job.job.due_at().filter(|due| *due > self.driver.clock.now());
        match self.record_result(due).await {
            Ok(()) if due.is_some() || !self.job.job.state.is_open() => Err(Stop::LetGo),
            Ok(()) => Ok(()),
            Err(error) => Err(self.stopped(&error)),
        }
    }

    /// Gives the job back until `at`.
    async fn let_go(&mut self, at: Timestamp) -> Stop {
        match self.record_result(Some(at)).await {
            Ok(()) => Stop::LetGo,
            Err(error) => self.stopped(&error),
        }
    }

    /// After a fault that costs the job nothing: back to the store for one initial pause.
    async fn wait_a_little(&mut self) -> Stop {
        let at = self.driver.clock.now().plus(self.lane.policy.retry.initial);
        self.let_go(at).await
    }

    async fn record_result(&mut self, due: Option<Timestamp>) -> Result<(), StoreError> {
        // The next job may call while this one is recorded.
        self.caller = None;
        loop {
            match self.record(due).await {
                Err(StoreError::Full | StoreError::Busy) => wait_for_room(&self.driver.store).await,
                other => return other,
            }
        }
    }

    /// One transaction: state, history, attempts, outcome. `due`: when the job is to be claimed again, where this drive
    /// lets go of it.
    async fn record(&mut self, due: Option<Timestamp>) -> Result<(), StoreError> {
        let now = self.driver.clock.now();
        let record = self.notes.record(&self.job, due, now, &self.driver.clock);
        let ended = !record.outcomes.is_empty();
        let recorded = self.driver.store.record(record).await?;
        self.job.version = recorded.version;
        self.job.attempts = recorded.attempts;
        self.notes.recorded(&mut self.job);
        self.unrecorded = None;
        if ended {
            self.driver.published.notify_one();
            count_end(self.driver, &self.lane.name, &self.job);
        }
        if let Some(at) = due {
            self.lane.due(at);
        }
        Ok(())
    }

    fn stopped(&self, error: &StoreError) -> Stop {
        match error {
            StoreError::Fenced { .. } => Stop::Fenced,
            error => {
                // M12: what could not be recorded is unknown; the process ends and recovery decides from the disk.
                error!(%error, "the store failed");
                self.driver.fatal.cancel();
                Stop::Leave
            }
        }
    }
}

/// Why an intent that began at this time since boot is no good any more (M16): looked at when its first byte is about to leave.
fn held_back(driver: &Driver, lane: &Lane, job: &StoredJob, began: Duration) -> Option<String> {
    if driver.fatal.is_cancelled() {
        return Some("the store failed meanwhile".to_owned());
    }
    if !driver.custody.may_begin(&driver.clock) {
        return Some("the namespace is not known to be this store's any more".to_owned());
    }
    let age = driver.clock.boottime().saturating_sub(began);
    if age > lane.send_within {
        let (age, good) = (age.as_millis(), lane.send_within.as_millis());
        return Some(format!("its intent is {age} ms old, and is good for {good} ms"));
    }
    job.job.not_after.filter(|at| driver.clock.wall() > *at).map(|_passed| "its notAfter has passed".to_owned())
}

/// Counts and tells that a job came to rest.
pub(crate) fn count_end(driver: &Driver, provider: &str, job: &StoredJob) {
    let state = job.job.state.name();
    driver.metrics.job_finished(provider, state);
    let (reference, money) = (&job.request.partner_reference_no, job.job.evidence.money.as_str());
    match job.job.state {
        State::Dead { reason: DeadReason::DoubleCreditSuspected } => {
            driver.metrics.double_credit_suspected(provider);
            error!(%reference, provider, money, "two attempts of this job look paid: the provider has to say how often it was");
        }
        State::Dead { reason } => {
            warn!(%reference, provider, reason = reason.as_str(), money, "the job needs a person")
        }
        _ => debug!(%reference, provider, state, money, "the job came to rest"),
    }
}

#[cfg(test)]
mod tests;
