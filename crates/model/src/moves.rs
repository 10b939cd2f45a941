//! What can happen next.

use engine::{Retry, State, Step, next_step};

use crate::known::Known;
use crate::provider::{Effect, Entry, Heard, Owner, Told};
use crate::system::System;
use crate::time::NOW;
use crate::world::{Intake, Phase, Queue, Relay, Side, World};

/// One thing that happens, whole or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// Time passes.
    Tick,
    /// A process starts, and settles what it finds.
    Start(Side),
    /// Somebody starts another process on the same store.
    StartBeside(Side),
    /// A process dies: what it has not committed is gone. A commit whose answer is lost is a commit, and then this.
    Crash(Side),
    /// A process takes the job that is due.
    Claim(Side),
    /// A drive does what the engine says, as far as it goes without waiting for anybody.
    Step(Side),
    /// A drive gives the job back because the lane stands.
    GiveBack(Side),
    /// A drive commits what it knows.
    Commit(Side),
    /// The first byte of a top-up leaves.
    Leave(Side),
    /// No byte could be sent.
    NotSent(Side),
    /// A top-up arrives and is answered.
    Arrive(u8, Effect, Heard),
    /// A drive waits no longer for the answer.
    GiveUp(Side),
    /// The inquiry is answered.
    Inquired(Side, Inquiry),
    /// The status inquiry is answered.
    Told(Side, Told),
    /// The lane comes to stand.
    Pause,
    /// The lane moves again.
    Resume,
    /// The provider decides about what it holds.
    Decide(Entry),
    /// The provider takes a credit back.
    Refund,
    /// An operator acts on a dead letter.
    Act(Act),
    /// An operator has asked about a dead letter.
    Ask(Told),
    /// An operator records what was said.
    Note,
    /// The store is copied.
    Copy,
    /// The copy is put in the store's place, while nothing runs.
    PutBack,
    /// An operator says that the store knows everything again.
    Reconciled,
    /// A running process notices that.
    Notice(Side),
    /// Somebody changes the account in the configuration.
    Reconfigure,
    /// The producer publishes the job's message again.
    PublishAgain,
    /// The broker delivers the message.
    Deliver,
    /// The intake records the delivery; where `driven` a drive begins at once.
    Accept {
        /// A slot was free.
        driven: bool,
    },
    /// The intake acknowledges the delivery.
    Ack,
    /// The connection to the broker breaks.
    Disconnect,
    /// The relay publishes an event; where `taken` the broker has it.
    Publish {
        /// The broker has it.
        taken: bool,
    },
    /// No queue takes it: it stays in the outbox.
    Return,
    /// The broker confirms it.
    Confirm,
    /// The relay marks it as published.
    Mark,
}

/// How an account inquiry ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inquiry {
    /// With a name.
    Known,
    /// With limits that leave the amount out.
    OutOfRange,
    /// With nothing to go on.
    Nothing,
    /// With nothing, for a fault of ours.
    OurFault,
    /// With a refusal.
    Refused,
    /// With a refusal of the request as wrong.
    Malformed,
}

/// What an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Replays.
    Replay,
    /// Discards.
    Discard,
    /// Takes a discard back.
    Restore,
}

/// Whether the world goes on by it when nothing more goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It happens, and no time passes before.
    Prompt,
    /// It may happen, or not.
    Possible,
    /// It is a fault, or somebody's whim.
    Fault,
    /// Time.
    Time,
}

impl Move {
    /// See [`Kind`]. Answers that use up a budget count as ordinary: rest has to come by the budgets, whatever is answered.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Tick => Kind::Time,
            Self::Crash(_)
            | Self::StartBeside(_)
            | Self::GiveBack(_)
            | Self::Pause
            | Self::Refund
            | Self::Act(_)
            | Self::Ask(_)
            | Self::Copy
            | Self::PutBack
            | Self::Reconciled
            | Self::Reconfigure
            | Self::PublishAgain
            | Self::Disconnect
            | Self::Inquired(_, Inquiry::OurFault)
            | Self::Arrive(_, _, Heard::OurFault)
            | Self::Told(_, Told::OurFault)
            | Self::Publish { taken: false } => Kind::Fault,
            Self::Decide(_) | Self::Notice(_) => Kind::Possible,
            Self::Start(_)
            | Self::Claim(_)
            | Self::Step(_)
            | Self::Commit(_)
            | Self::Leave(_)
            | Self::NotSent(_)
            | Self::Arrive(..)
            | Self::GiveUp(_)
            | Self::Inquired(..)
            | Self::Told(..)
            | Self::Resume
            | Self::Note
            | Self::Deliver
            | Self::Accept { .. }
            | Self::Ack
            | Self::Publish { taken: true }
            | Self::Return
            | Self::Confirm
            | Self::Mark => Kind::Prompt,
        }
    }
}

impl System {
    /// Everything that can happen next in `world`.
    pub fn moves(&self, world: &World, all: &mut Vec<Move>) {
        all.clear();
        for side in Side::BOTH {
            self.of_process(world, side, all);
        }
        self.of_provider(world, all);
        self.of_operators(world, all);
        self.of_edges(world, all);
        if world.faults == Some(0) {
            all.retain(|by| by.kind() != Kind::Fault);
        }
        let calls_are_over = world.processes.iter().any(|process| {
            process.drive.as_ref().is_some_and(|drive| {
                matches!(drive.phase, Phase::Inquiring(0) | Phase::Calling(0) | Phase::Asking(_, 0))
            })
        });
        if !calls_are_over {
            all.push(Move::Tick);
        }
    }

    fn of_process(&self, world: &World, side: Side, all: &mut Vec<Move>) {
        let process = world.process(side);
        if !process.up {
            if process.wanted {
                all.push(Move::Start(side));
            } else if self.scene.two {
                all.push(Move::StartBeside(side));
            }
            return;
        }
        if self.scene.crashes {
            all.push(Move::Crash(side));
        }
        if process.asks.is_some() && world.store.reconcile.is_none() {
            all.push(Move::Notice(side));
        }
        let Some(drive) = &process.drive else {
            let due = world.store.row.as_ref().is_some_and(|row| row.due.is_some_and(|due| due.0 <= NOW));
            if due {
                all.push(Move::Claim(side));
            }
            return;
        };
        match drive.phase {
            Phase::Deciding => {
                all.push(Move::Step(side));
                let step = self.next_step(&drive.known, process.account);
                let calls = matches!(step, Step::Send | Step::Inquire | Step::CheckStatus);
                if world.paused && calls {
                    all.push(Move::GiveBack(side));
                }
            }
            Phase::Recording => {
                all.push(Move::Commit(side));
                if self.sends_early() && matches!(drive.known.job.state, State::Sending { .. }) {
                    all.push(Move::Leave(side));
                }
            }
            Phase::Leaving(age) => {
                // M16: the clocks are read again when the first byte is about to leave.
                let good = !self.scene.waits || age <= self.scene.send_within || self.has_no_fuse();
                if good && world.provider.has_room() {
                    all.push(Move::Leave(side));
                }
                all.push(Move::NotSent(side));
            }
            Phase::Calling(_) => all.push(Move::GiveUp(side)),
            Phase::Inquiring(_) => {
                all.push(Move::Inquired(side, Inquiry::Known));
                all.push(Move::Inquired(side, Inquiry::Nothing));
                all.push(Move::Inquired(side, Inquiry::Refused));
                if self.scene.odd_answers {
                    all.push(Move::Inquired(side, Inquiry::OutOfRange));
                    all.push(Move::Inquired(side, Inquiry::Malformed));
                }
                if self.scene.pauses {
                    all.push(Move::Inquired(side, Inquiry::OurFault));
                }
            }
            Phase::Asking(..) => {
                let facts = self.recorded(world, drive);
                let tellings = world.provider.tellings(facts, &self.scene, process.account);
                all.extend(tellings.into_iter().map(|told| Move::Told(side, told)));
            }
        }
    }

    fn of_provider(&self, world: &World, all: &mut Vec<Move>) {
        for (place, wire) in (0_u8..).zip(&world.provider.wires) {
            // Overdue, it arrives beside the next attempt or never.
            let overdue = wire.left == Some(0);
            let beside = world
                .processes
                .iter()
                .any(|process| process.drive.as_ref().is_some_and(|drive| matches!(drive.phase, Phase::Calling(_))));
            if !overdue || beside {
                let arrivals = world.provider.arrivals(*wire, &self.scene);
                all.extend(arrivals.into_iter().map(|(effect, heard)| Move::Arrive(place, effect, heard)));
            }
        }
        if world.provider.entry == Entry::Held {
            for entry in [Entry::Credited, Entry::Failed, Entry::Cancelled, Entry::None] {
                all.push(Move::Decide(entry));
            }
        }
        if world.provider.entry == Entry::Credited && self.scene.odd_answers && self.scene.operators {
            all.push(Move::Refund);
        }
        if self.scene.pauses {
            all.push(if world.paused { Move::Resume } else { Move::Pause });
        }
    }

    fn of_operators(&self, world: &World, all: &mut Vec<Move>) {
        let runs = world.processes.iter().any(|process| process.up);
        if self.scene.operators && runs && !world.put_back {
            for act in [Act::Replay, Act::Discard, Act::Restore] {
                if let Some(row) = &world.store.row
                    && self.apply(&row.known, &act.event(), world.account).is_ok()
                {
                    all.push(Move::Act(act));
                }
            }
            match (&world.store.row, world.operator) {
                (Some(row), None) if self.may_be_asked(&row.known, world.account) => {
                    let tellings = world.provider.tellings(row.known.facts, &self.scene, world.account);
                    all.extend(tellings.into_iter().map(Move::Ask));
                }
                (_, Some(_)) => all.push(Move::Note),
                _ => {}
            }
        }
        if self.scene.accounts {
            all.push(Move::Reconfigure);
        }
        if self.scene.restores {
            all.push(Move::Copy);
            if !runs && world.backup.is_some() {
                all.push(Move::PutBack);
            }
            if runs && world.store.reconcile.is_some() && !world.put_back && !self.scene.asks_on {
                all.push(Move::Reconciled);
            }
        }
    }

    fn may_be_asked(&self, known: &Known, account: Owner) -> bool {
        let asked = Told::Nothing.to_operator();
        matches!(known.job.state, State::Dead { .. }) && self.apply(known, &asked, account).is_ok()
    }

    fn of_edges(&self, world: &World, all: &mut Vec<Move>) {
        let Queue { ready, more } = world.queue;
        if more > 0 {
            all.push(Move::PublishAgain);
        }
        let process = world.process(Side::A);
        if !process.up {
            return;
        }
        match process.intake {
            Intake::Idle if ready > 0 => all.push(Move::Deliver),
            Intake::Idle => {}
            Intake::Holding { acked } => {
                all.push(Move::Accept { driven: true });
                all.push(Move::Accept { driven: false });
                if self.acks_early() && !acked {
                    all.push(Move::Ack);
                }
            }
            Intake::Recorded => all.push(Move::Ack),
        }
        match process.relay {
            Relay::Idle if world.store.unmarked > 0 => {
                all.push(Move::Publish { taken: true });
                all.push(Move::Publish { taken: false });
            }
            Relay::Idle => {}
            Relay::Published { taken } => {
                all.push(if taken { Move::Confirm } else { Move::Return });
                if self.marks_early() {
                    all.push(Move::Mark);
                }
            }
            Relay::Confirmed => all.push(Move::Mark),
        }
        if process.intake != Intake::Idle || process.relay != Relay::Idle {
            all.push(Move::Disconnect);
        }
    }

    /// What the real engine says to do now.
    pub fn next_step(&self, known: &Known, account: Owner) -> Step {
        next_step(&known.job, self.policy(account), NOW)
    }
}

impl Heard {
    /// Whether it costs the job nothing.
    pub const fn is_free(self) -> bool {
        matches!(self.answer(), engine::Answer::NotExecuted { retry: Retry::Free, .. })
    }
}
