//! What each move does. Whatever is durable changes in one place, `write_as`.

use engine::{Answer, Event, Late, LateAnswer, MoneyState, State, Step};
use snap_core::{Amount, Timestamp};

use crate::known::{Known, Moment};
use crate::moves::{Inquiry, Kind, Move};
use crate::property::{Broken, Property, instant};
use crate::provider::{Entry, Heard, Owner, Told, Wire};
use crate::scene::Memory;
use crate::system::System;
use crate::time::NOW;
use crate::world::{Asked, Drive, Intake, Mark, Phase, Relay, Row, Side, World};

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    Worker,
    Operator,
    /// A drive that was fenced off, with what came back to it.
    Fenced,
}

impl System {
    /// The world after a move, and what it broke.
    pub fn after(&self, world: &World, what: Move) -> (World, Broken) {
        let mut next = world.clone();
        let mut broken = Broken::default();
        if what.kind() == Kind::Fault {
            next.faults = next.faults.map(|left| left - 1);
        }
        self.perform(&mut next, what, &mut broken);
        next.settle(&self.scene);
        instant(&next, &mut broken);
        (next, broken)
    }

    fn perform(&self, world: &mut World, what: Move, broken: &mut Broken) {
        match what {
            Move::Tick => {
                world.tick(&self.scene);
                self.end_of_zombies(world);
            }
            Move::Start(side) | Move::StartBeside(side) => self.start(world, side, broken),
            Move::Crash(side) => self.crash(world, side),
            Move::Claim(side) => self.claim(world, side, broken),
            Move::Step(side) => self.step(world, side, broken),
            Move::GiveBack(side) => self.give_back(world, side, NOW, broken),
            Move::Commit(side) => self.commit(world, side, broken),
            Move::Leave(side) => self.leave(world, side, broken),
            Move::NotSent(side) => {
                let too_old = world.process(side).drive.as_ref().is_some_and(|drive| {
                    matches!(drive.phase, Phase::Leaving(age) if self.scene.waits && age > self.scene.send_within)
                });
                let answer = if too_old { Answer::NotSent } else { NOT_SENT };
                self.heard(world, side, &Event::TopUp(answer), too_old, broken);
            }
            Move::Arrive(place, effect, heard) => {
                let wire = world.provider.wires.remove(usize::from(place));
                world.provider.arrive(wire, effect, &self.scene);
                if let Some(side) = wire.caller {
                    self.heard(world, side, &Event::TopUp(self.reads(heard)), heard.is_free(), broken);
                }
            }
            Move::GiveUp(side) => {
                self.hang_up(world, side);
                self.heard(world, side, &Event::TopUp(Heard::Nothing.answer()), false, broken);
            }
            Move::Inquired(side, inquiry) => self.inquired(world, side, inquiry, broken),
            Move::Told(side, told) => {
                let Some(Phase::Asking(asked, _)) = world.process(side).drive.as_ref().map(|drive| drive.phase) else {
                    return;
                };
                let told = if told == Told::Anothers && self.believes_anothers() { Told::NotFound } else { told };
                self.heard(world, side, &told.event(asked), told == Told::OurFault, broken);
            }
            Move::Pause => world.paused = true,
            Move::Resume => world.paused = false,
            Move::Decide(entry) => {
                world.provider.entry = entry;
                if entry == Entry::Credited {
                    world.provider.credits = (world.provider.credits + 1).min(2);
                }
            }
            Move::Refund => world.provider.entry = Entry::Refunded,
            Move::Act(act) => {
                let Some(row) = &world.store.row else { return };
                if let Ok(known) = self.apply(&row.known, &act.event(), world.account) {
                    self.write_as(world, known, Writer::Operator, None, broken);
                }
            }
            Move::Ask(said) => world.operator = Some(Asked { said, fresh: true }),
            Move::Note => self.note(world, broken),
            Move::Copy => world.backup = Some(Box::new(world.store.clone())),
            Move::PutBack => {
                if let Some(copy) = world.backup.take() {
                    world.store = *copy;
                    world.put_back = true;
                    world.operator = None;
                    // Nothing in the copy is as young as that.
                    world.tick(&self.scene);
                }
            }
            Move::Reconfigure => world.account = world.account.other(),
            Move::Notice(side) => world.process_mut(side).asks = world.store.reconcile,
            Move::Reconciled => self.reconciled(world, broken),
            Move::PublishAgain => {
                world.queue.more -= 1;
                world.queue.ready += 1;
            }
            Move::Deliver => {
                world.queue.ready -= 1;
                world.process_mut(Side::A).intake = Intake::Holding { acked: false };
            }
            Move::Accept { driven } => self.accept(world, driven, broken),
            Move::Ack => {
                let intake = &mut world.process_mut(Side::A).intake;
                *intake = if *intake == Intake::Recorded { Intake::Idle } else { Intake::Holding { acked: true } };
            }
            Move::Disconnect => world.disconnect(Side::A),
            Move::Publish { taken } => world.process_mut(Side::A).relay = Relay::Published { taken },
            Move::Return => world.process_mut(Side::A).relay = Relay::Idle,
            Move::Confirm => world.process_mut(Side::A).relay = Relay::Confirmed,
            Move::Mark => {
                let relay = world.process(Side::A).relay;
                broken.unless(relay != Relay::Published { taken: false }, Property::MarkedIsPublished);
                world.process_mut(Side::A).relay = Relay::Idle;
                world.store.unmarked = world.store.unmarked.saturating_sub(1);
            }
        }
    }

    fn claim(&self, world: &mut World, side: Side, broken: &mut Broken) {
        let (asks, account) = (world.process(side).asks, world.process(side).account);
        let Some(row) = &world.store.row else { return };
        let known = row.known.clone();
        if let Some(mark) = asks
            && must_ask_first(&known, mark.since.0)
        {
            if let Some(known) = self.legal(&known, &Event::StoreRestored, account, broken) {
                let due = known.job.due_at();
                self.write_as(world, known, Writer::Worker, due, broken);
            }
            return;
        }
        world.outdate();
        if let Some(row) = &mut world.store.row {
            row.due = None;
        }
        world.process_mut(side).drive = Some(Drive::begins(known));
    }

    fn step(&self, world: &mut World, side: Side, broken: &mut Broken) {
        let Some(drive) = world.process(side).drive.clone() else { return };
        let step = self.next_step(&drive.known, world.process(side).account);
        let mut to = |phase| {
            if let Some(drive) = &mut world.process_mut(side).drive {
                drive.phase = phase;
            }
        };
        match step {
            Step::Rest => world.process_mut(side).drive = None,
            Step::WaitUntil(at) => self.give_back(world, side, at, broken),
            Step::Inquire => to(Phase::Inquiring(self.scene.timeout)),
            Step::CheckStatus => to(Phase::Asking(Moment::PRESENT, self.scene.timeout)),
            Step::Send => self.heard(world, side, &Event::SendStarted, false, broken),
            Step::Expire => self.heard(world, side, &Event::Expired, false, broken),
            Step::OtherAccount => self.heard(world, side, &Event::OtherAccount, false, broken),
        }
    }

    fn give_back(&self, world: &mut World, side: Side, due: Timestamp, broken: &mut Broken) {
        let Some(drive) = world.process_mut(side).drive.take() else { return };
        self.write(world, side, drive, Some(due), broken);
    }

    /// A drive learns something; it is not on disk yet.
    fn heard(&self, world: &mut World, side: Side, event: &Event, free: bool, broken: &mut Broken) {
        let Some(mut drive) = world.process_mut(side).drive.take() else { return };
        if *event == Event::SendStarted {
            let facts = drive.known.facts;
            broken.unless(!drive.fresh || !facts.doubt, Property::ResentOnProof);
        }
        if matches!(event, Event::TopUp(_)) && self.scene.memory == Memory::Remembers {
            // What is overdue arrives before the next attempt is answered or never.
            world.provider.wires.retain(|wire| wire.left != Some(0));
        }
        drive.heard = match event {
            Event::TopUp(answer) => Some(Late::TopUp(*answer)),
            Event::Checked { answer, .. } => Some(Late::Status(*answer)),
            _ => None,
        };
        let account = world.process(side).account;
        match self.legal(&drive.known, event, account, broken) {
            Some(known) => {
                drive.gives_back = free && !matches!(known.job.state, State::Unconfirmed { .. });
                drive.gives_back |= free && matches!(event, Event::Checked { .. });
                drive.known = known;
                drive.phase = Phase::Recording;
                world.process_mut(side).drive = Some(drive);
            }
            // As live: the job is left as it is stored.
            None => world.process_mut(side).drive = None,
        }
    }

    fn inquired(&self, world: &mut World, side: Side, inquiry: Inquiry, broken: &mut Broken) {
        let least = Amount::parse_strict("20000.00").expect("an amount");
        let event = match inquiry {
            Inquiry::Known => Event::Inquired { customer_name: None, fee: None, min: None, max: None },
            Inquiry::OutOfRange => Event::Inquired { customer_name: None, fee: None, min: Some(least), max: None },
            Inquiry::Nothing => Event::InquiryFailed(engine::Retry::Counted(None)),
            Inquiry::OurFault => Event::InquiryFailed(engine::Retry::Free),
            Inquiry::Refused => Event::InquiryRefused,
            Inquiry::Malformed => Event::InquiryWrong,
        };
        self.heard(world, side, &event, inquiry == Inquiry::OurFault, broken);
        if let Some(drive) = &mut world.process_mut(side).drive
            && matches!(drive.known.job.state, State::Inquired { .. })
        {
            // It rides along with the intent.
            drive.phase = Phase::Deciding;
        }
    }

    fn commit(&self, world: &mut World, side: Side, broken: &mut Broken) {
        let Some(drive) = world.process_mut(side).drive.take() else { return };
        let sending = matches!(drive.known.job.state, State::Sending { .. });
        let due =
            if drive.gives_back { Some(NOW) } else { drive.known.job.due_at().filter(|due| *due > NOW && !sending) };
        let goes_on = due.is_none() && drive.known.job.state.is_open();
        let phase = if sending { Phase::Leaving(0) } else { Phase::Deciding };
        let on = Drive { phase, fresh: true, heard: None, ..drive.clone() };
        if self.write(world, side, drive, due, broken) && goes_on {
            world.process_mut(side).drive = Some(on);
        }
    }

    fn leave(&self, world: &mut World, side: Side, broken: &mut Broken) {
        let zombie = world.process(side).drive.as_ref().and_then(|drive| drive.lives);
        let open = world.store.row.as_ref().is_some_and(|row| row.known.facts.open);
        // One whose job was taken over sends what was on disk before.
        broken.unless(open || zombie.is_some(), Property::IntentFirst);
        let provider = &world.provider;
        let alone = provider.wires.iter().all(|wire| wire.left == Some(0))
            && matches!(provider.entry, Entry::None | Entry::Failed | Entry::Cancelled);
        broken.unless(alone || self.scene.memory == Memory::Remembers, Property::NothingBesideAnother);
        // What leaves takes its time, however late it leaves.
        let left = if self.scene.waits { zombie.map(|left| left.max(1)) } else { zombie };
        let account = world.process(side).account;
        world.provider.wires.push(Wire { caller: Some(side), left, account });
        if let Some(drive) = &mut world.process_mut(side).drive {
            drive.phase = Phase::Calling(self.scene.timeout);
        }
    }

    fn note(&self, world: &mut World, broken: &mut Broken) {
        let (Some(asked), Some(row)) = (world.operator.take(), &world.store.row) else { return };
        if !asked.fresh {
            // The version fence: somebody else was there meanwhile.
            return;
        }
        if let Ok(known) = self.apply(&row.known, &asked.said.to_operator(), world.account) {
            self.write_as(world, known, Writer::Operator, None, broken);
        }
    }

    /// As the command: whatever was not asked about since then is marked, and then the mark goes.
    fn reconciled(&self, world: &mut World, broken: &mut Broken) {
        let Some(Mark { since, .. }) = world.store.reconcile else { return };
        if let Some(row) = &world.store.row {
            let known = row.known.clone();
            let rests = matches!(known.job.state, State::Dead { .. } | State::Discarded { .. })
                && known.job.evidence.money != MoneyState::Returned
                && known.job.evidence.last_ended_at.is_none_or(|ended| ended < since.0);
            if (must_ask_first(&known, since.0) || rests)
                && let Ok(known) = self.apply(&known, &Event::StoreRestored, world.account)
            {
                let due = known.job.due_at();
                self.write_as(world, known, Writer::Operator, due, broken);
            }
        }
        world.store.reconcile = None;
    }

    fn accept(&self, world: &mut World, driven: bool, broken: &mut Broken) {
        let process = world.process_mut(Side::A);
        process.intake =
            if process.intake == (Intake::Holding { acked: true }) { Intake::Idle } else { Intake::Recorded };
        let asks = process.asks;
        let free = process.drive.is_none();
        if let Some(row) = &world.store.row {
            // Its outcome is told again to who sent it again.
            if row.known.job.state.is_final() && !matches!(row.known.job.state, State::Discarded { .. }) {
                world.store.unmarked = (world.store.unmarked + 1).min(2);
            }
            return;
        }
        let mut known = self.scene.fresh();
        let mut due = Some(NOW);
        if let Some(mark) = asks {
            if !self.takes_unknown_for_new() {
                known.job = known.job.perhaps_sent_since(mark.known_until.0);
            }
            let account = world.process(Side::A).account;
            if let Some(marked) = self.legal(&known, &Event::StoreRestored, account, broken) {
                due = marked.job.due_at();
                known = marked;
            }
        } else if driven && free {
            due = None;
            world.process_mut(Side::A).drive = Some(Drive::begins(known.clone()));
        }
        world.store.row = Some(Row { known, due: due.map(Moment), untold: false });
    }

    /// The engine takes it; where it does not, that is a defect.
    pub(crate) fn legal(&self, known: &Known, event: &Event, at: Owner, broken: &mut Broken) -> Option<Known> {
        let applied = self.apply(known, event, at);
        broken.unless(applied.is_ok(), Property::EveryStepIsLegal);
        applied.ok()
    }

    /// A drive's copy becomes the store's, where it still is (M10); true where it was written.
    fn write(&self, world: &mut World, side: Side, drive: Drive, due: Option<Timestamp>, broken: &mut Broken) -> bool {
        if !drive.fresh && !self.writes_stale() {
            self.write_late(world, side, &drive, broken);
            return false;
        }
        broken.unless(drive.fresh, Property::StaleWritesNothing);
        debug_assert!(world.process(side).drive.is_none(), "who writes has been taken out");
        self.write_as(world, drive.known, Writer::Worker, due, broken);
        true
    }

    /// What came back to a drive that was fenced off is recorded on the job as it is now.
    fn write_late(&self, world: &mut World, side: Side, drive: &Drive, broken: &mut Broken) {
        let Some(said) = drive.heard else { return };
        if self.drops_what_comes_late() {
            broken.unless(false, Property::LateIsKept);
            return;
        }
        let Some(row) = &world.store.row else { return };
        let event = Event::Late(LateAnswer { said, later: drive.later, same_number: false });
        let account = world.process(side).account;
        let before = row.known.job.clone();
        let Some(known) = self.legal(&row.known.clone(), &event, account, broken) else { return };
        if matches!(said, Late::Status(_)) && known.job == before {
            // It says nothing new: recorded, it would only fence off who asks now.
            return;
        }
        let due = known.job.due_at().filter(|_| !matches!(known.job.state, State::Sending { .. }));
        self.write_as(world, known, Writer::Fenced, due, broken);
    }

    /// One transaction: the state, when it is due, and the event that tells of its end.
    pub(crate) fn write_as(
        &self,
        world: &mut World,
        known: Known,
        writer: Writer,
        due: Option<Timestamp>,
        broken: &mut Broken,
    ) {
        world.outdate();
        let Some(row) = &mut world.store.row else { return };
        let before = &row.known.job.state;
        let changed = *before != known.job.state;
        if changed && matches!(known.job.state, State::Sending { .. }) {
            for drive in world.processes.iter_mut().filter_map(|process| process.drive.as_mut()) {
                drive.later = true;
            }
        }
        broken.unless(writer != Writer::Worker || before.is_open() || !changed, Property::EndedStays);
        // An operator takes a discard back; what succeeded or was rejected nobody takes back.
        let stays = !matches!(before, State::Succeeded | State::Rejected { .. }) || !changed;
        broken.unless(stays || writer == Writer::Fenced, Property::EndedStays);
        let ends = changed && !known.job.state.is_open();
        row.untold = ends && self.events_apart();
        if ends && self.scene.edges && !row.untold {
            world.store.unmarked = (world.store.unmarked + 1).min(2);
        }
        let rests = !known.job.state.is_open();
        // An operator's event leaves it due by what the engine says.
        let due = if writer == Writer::Operator { known.job.due_at() } else { due };
        row.due = due.filter(|_| !rests).map(Moment);
        row.known = known;
    }
}

const NOT_SENT: Answer = Answer::NotExecuted { sent: false, retry: engine::Retry::Counted(None) };

/// As the worker's: whether the job may be sent without having been asked about since the store came back.
fn must_ask_first(known: &Known, since: Timestamp) -> bool {
    matches!(known.job.state, State::Ready { .. } | State::Inquired { .. } | State::Unconfirmed { .. })
        && known.job.evidence.last_ended_at.is_none_or(|ended| ended < since)
}
