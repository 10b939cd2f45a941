//! Everything that takes part, at one instant.

use std::hash::Hash;

use engine::{DeadReason, Late, State};
use snap_core::Timestamp;

use crate::known::{Known, Moment};
use crate::provider::{Owner, Provider};
use crate::scene::Scene;
use crate::time::{NOW, ticks};

/// One of two worker processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The first; the only one in most scenes.
    A,
    /// The second, on the same store.
    B,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// Its place in arrays.
    pub const fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
}

/// One instant.
#[derive(Clone, Debug, Hash)]
pub struct World {
    /// What is on disk.
    pub store: Store,
    /// An older copy of it.
    pub backup: Option<Box<Store>>,
    /// The copy was put back, and no process has noticed yet.
    pub put_back: bool,
    /// The worker processes.
    pub processes: [Process; 2],
    /// The other side of the money.
    pub provider: Provider,
    /// The account that the configuration names: a process takes it at its start.
    pub account: Owner,
    /// The lane stands.
    pub paused: bool,
    /// An operator who has asked about a dead letter and has not recorded the answer yet.
    pub operator: Option<Asked>,
    /// The broker's queue of jobs.
    pub queue: Queue,
    /// Faults that may still happen; `None`: any number.
    pub faults: Option<u8>,
}

/// What is on disk: of the job, and beside it.
#[derive(Clone, Debug, Hash)]
pub struct Store {
    /// The job.
    pub row: Option<Row>,
    /// Outcome events that are not marked as published.
    pub unmarked: u8,
    /// When the newest job in it was accepted, any other: as long as a process runs, just now.
    pub newest: Moment,
    /// The store may have forgotten something.
    pub reconcile: Option<Mark>,
}

/// That the store was put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Since when it asks first.
    pub since: Moment,
    /// Until when it knows every key.
    pub known_until: Moment,
}

impl Mark {
    fn tick(&mut self, long: u8) {
        self.since.tick(u8::MAX);
        self.known_until.tick(long);
    }
}

/// The job on disk.
#[derive(Clone, Debug, Hash)]
pub struct Row {
    /// What is known.
    pub known: Known,
    /// When it is to be claimed; `None`: somebody drives it, or it rests.
    pub due: Option<Moment>,
    /// It came to rest and no event tells of it.
    pub untold: bool,
}

/// A worker process.
#[derive(Clone, Debug, Default, Hash)]
pub struct Process {
    /// It runs.
    pub up: bool,
    /// Somebody started it, and whatever supervises it starts it again.
    pub wanted: bool,
    /// The account that it sends to and asks.
    pub account: Owner,
    /// It asks before it sends (M12). As it was at its start.
    pub asks: Option<Mark>,
    /// It drives the job.
    pub drive: Option<Drive>,
    /// It holds a delivery.
    pub intake: Intake,
    /// It tells the broker of an outcome.
    pub relay: Relay,
}

/// A drive: all of it is lost in a crash.
#[derive(Clone, Debug, Hash)]
pub struct Drive {
    /// Its copy of the job.
    pub known: Known,
    /// Its copy's version is the store's. Only that decides whether it may write (M10), so the number itself is not kept.
    pub fresh: bool,
    /// What it is at.
    pub phase: Phase,
    /// What it heard costs the job nothing: it gives the job back.
    pub gives_back: bool,
    /// What it has heard of the provider and not recorded: evidence, whoever has the job by now.
    pub heard: Option<Late>,
    /// Somebody else has begun an attempt since it took the job.
    pub later: bool,
    /// Its job was taken over: ticks in which what it was about to send may still leave.
    pub lives: Option<u8>,
}

impl Drive {
    /// Its attempt is the one that is out, and its end will be recorded, late.
    pub fn ends_late(&self, known: &Known) -> bool {
        let out = matches!(self.phase, Phase::Leaving(_) | Phase::Calling(_)) || self.heard.is_some();
        matches!(known.job.state, State::Sending { .. }) && out && !self.later
    }

    /// One that begins.
    pub const fn begins(known: Known) -> Self {
        Self { known, fresh: true, phase: Phase::Deciding, gives_back: false, heard: None, later: false, lives: None }
    }
}

/// What a drive is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It asks the engine next.
    Deciding,
    /// The account inquiry is under way; so many ticks are left of its time.
    Inquiring(u8),
    /// The intent is on disk and no byte has left, for so many ticks; counted where that may last.
    Leaving(u8),
    /// The top-up is under way; so many ticks are left of its time.
    Calling(u8),
    /// The status inquiry is under way, asked then; so many ticks are left of its time.
    Asking(Moment, u8),
    /// Something happened, and is not on disk.
    Recording,
}

/// An operator's question that was answered and not recorded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// What the provider said.
    pub said: crate::provider::Told,
    /// See [`Drive::fresh`].
    pub fresh: bool,
}

/// The job's messages at the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Queue {
    /// Copies that wait.
    pub ready: u8,
    /// Copies that the producer may still publish.
    pub more: u8,
}

/// What the intake is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Intake {
    /// Nothing.
    #[default]
    Idle,
    /// It holds a delivery; where `acked` the broker has let go of it.
    Holding {
        /// Acknowledged already.
        acked: bool,
    },
    /// The delivery is on disk and not acknowledged.
    Recorded,
}

/// What the relay is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Relay {
    /// Nothing.
    #[default]
    Idle,
    /// An event was published; whether the broker has it is not known here.
    Published {
        /// The broker has it.
        taken: bool,
    },
    /// The broker has confirmed it.
    Confirmed,
}

impl World {
    /// Where a scene begins.
    pub fn first(scene: &Scene) -> Self {
        let mut processes = [Process::default(), Process::default()];
        (processes[0].up, processes[0].wanted) = (true, true);
        let (row, queue) = if scene.edges {
            (None, Queue { ready: 1, more: scene.copies })
        } else {
            let row = Row { known: scene.fresh(), due: Some(Moment::PRESENT), untold: false };
            (Some(row), Queue { ready: 0, more: scene.copies })
        };
        let mut store = Store { row, unmarked: 0, newest: Moment::PRESENT, reconcile: None };
        if let Some(row) = &mut store.row
            && scene.died
        {
            (row.known.job.state, row.due) = (State::Dead { reason: DeadReason::RequestRefused }, None);
        }
        let backup = scene.died.then(|| Box::new(store.clone()));
        Self {
            store,
            backup,
            put_back: false,
            faults: scene.faults,
            processes,
            provider: Provider::default(),
            account: Owner::A,
            paused: false,
            operator: None,
            queue,
        }
    }

    /// The state on disk.
    pub fn state(&self) -> Option<&State> {
        self.store.row.as_ref().map(|row| &row.known.job.state)
    }

    /// The process on that side.
    pub const fn process(&self, side: Side) -> &Process {
        &self.processes[side.index()]
    }

    /// The process on that side.
    pub const fn process_mut(&mut self, side: Side) -> &mut Process {
        &mut self.processes[side.index()]
    }

    /// The store has a new version of the job: nobody else's copy is the store's any more.
    pub fn outdate(&mut self) {
        for process in &mut self.processes {
            if let Some(drive) = &mut process.drive {
                drive.fresh = false;
            }
        }
        if let Some(asked) = &mut self.operator {
            asked.fresh = false;
        }
    }

    /// All has come to rest: the job ended or stands before a person, and whoever has to know knows.
    pub fn at_rest(&self) -> bool {
        let rests = self.state().is_some_and(|state| !state.is_open());
        rests
            && self.store.unmarked == 0
            && self.queue.ready == 0
            && !self.put_back
            && self.processes.iter().all(|process| {
                process.drive.is_none() && process.intake == Intake::Idle && process.relay == Relay::Idle
            })
            && self.processes[0].up
    }

    /// Forgets what no rule looks at any more, so that the same situation is the same state.
    pub fn settle(&mut self, scene: &Scene) {
        let horizon = scene.horizon();
        let mut rows: Vec<&mut Row> = Vec::with_capacity(2);
        rows.extend(self.store.row.as_mut());
        rows.extend(self.backup.as_mut().and_then(|store| store.row.as_mut()));
        for row in rows {
            crate::time::settle_job(&mut row.known.job, horizon);
            if let Some(due) = &mut row.due {
                crate::time::floor(&mut due.0, 0);
            }
        }
        for process in &mut self.processes {
            if let Some(drive) = &mut process.drive {
                crate::time::settle_job(&mut drive.known.job, horizon);
            }
        }
        self.provider.settle();
        if scene.restores {
            self.settle_order(scene);
        }
        self.settle_what_is_known(scene);
    }

    /// What a store knows matters only where it does not know the job.
    fn settle_what_is_known(&mut self, scene: &Scene) {
        if !scene.restores || self.processes.iter().any(|process| process.up) {
            self.store.newest = Moment::PRESENT;
        }
        let known = self.store.row.is_some();
        for store in [Some(&mut self.store), self.backup.as_deref_mut()].into_iter().flatten() {
            if store.row.is_some() {
                store.newest = Moment::PRESENT;
                store.reconcile.iter_mut().for_each(|mark| mark.known_until = Moment::PRESENT);
            }
        }
        for mark in self.processes.iter_mut().filter_map(|process| process.asks.as_mut()).filter(|_| known) {
            mark.known_until = Moment::PRESENT;
        }
    }

    /// When attempts ended is compared with when the store was put back, however long ago: of what is older than any
    /// period only the order is kept.
    fn settle_order(&mut self, scene: &Scene) {
        let oldest = NOW.minus(ticks(scene.window));
        let mut old: Vec<&mut Timestamp> = Vec::new();
        for store in [Some(&mut self.store), self.backup.as_deref_mut()].into_iter().flatten() {
            old.extend(store.reconcile.as_mut().map(|mark| &mut mark.since.0));
            old.extend(store.row.as_mut().and_then(|row| row.known.job.evidence.last_ended_at.as_mut()));
        }
        for process in &mut self.processes {
            old.extend(process.asks.as_mut().map(|mark| &mut mark.since.0));
            old.extend(process.drive.as_mut().and_then(|drive| drive.known.job.evidence.last_ended_at.as_mut()));
        }
        old.retain(|time| **time < oldest);
        let mut order: Vec<Timestamp> = old.iter().map(|time| **time).collect();
        order.sort_unstable();
        order.dedup();
        for time in old {
            let rank = order.iter().rev().position(|other| other == time).unwrap_or(0);
            *time = oldest.minus(ticks(u8::try_from(rank + 1).unwrap_or(u8::MAX)));
        }
    }

    /// One tick passes for everything that is stored or remembered.
    pub fn tick(&mut self, scene: &Scene) {
        let most = scene.quiet + scene.timeout + 1;
        let long = scene.horizon().long;
        for store in [Some(&mut self.store), self.backup.as_deref_mut()].into_iter().flatten() {
            if let Some(row) = &mut store.row {
                row.known.tick(most);
                if let Some(due) = &mut row.due {
                    due.tick(long);
                }
            }
            store.newest.tick(long);
            if let Some(mark) = &mut store.reconcile {
                mark.tick(long);
            }
        }
        for process in &mut self.processes {
            if let Some(mark) = &mut process.asks {
                mark.tick(long);
            }
            if let Some(drive) = &mut process.drive {
                drive.known.tick(most);
                match &mut drive.phase {
                    Phase::Inquiring(left) | Phase::Calling(left) => *left -= 1,
                    Phase::Asking(asked, left) => {
                        asked.tick(long);
                        *left -= 1;
                    }
                    // Counted from its beginning: what is older than it may be is one age.
                    Phase::Leaving(age) if scene.waits => *age = (*age + 1).min(scene.send_within + 1),
                    Phase::Deciding | Phase::Leaving(_) | Phase::Recording => {}
                }
            }
        }
        self.provider.tick(scene);
    }
}
