//! How processes begin and end, and what is left of them.

use engine::{Event, State};

use crate::effects::Writer;
use crate::known::Moment;
use crate::property::Broken;
use crate::provider::Wire;
use crate::scene::Assumption;
use crate::system::System;
use crate::time::NOW;
use crate::world::{Intake, Mark, Process, Relay, Side, World};

impl System {
    /// The process starts: what it finds being driven is nobody's any more.
    pub(crate) fn start(&self, world: &mut World, side: Side, broken: &mut Broken) {
        if world.put_back {
            world.put_back = false;
            if !self.trusts_old_copies() {
                let standing = world.store.reconcile;
                let since = standing.filter(|_| self.keeps_first_restore()).map_or(Moment::PRESENT, |mark| mark.since);
                // What an earlier copy did not know is unknown still.
                let newest = world.store.newest;
                let known_until = standing.map_or(newest, |mark| Moment(mark.known_until.0.min(newest.0)));
                world.store.reconcile = Some(Mark { since, known_until });
            }
        }
        let (asks, account) = (world.store.reconcile, world.account);
        *world.process_mut(side) = Process { up: true, wanted: true, asks, account, ..Process::default() };
        let Some(row) = &world.store.row else { return };
        let known = row.known.clone();
        if self.start_forgets() {
            return;
        }
        if matches!(known.job.state, State::Sending { .. }) {
            // Whoever drove it may still be about to send. Left out: that what leaves now takes effect after the quiet
            // period that begins here.
            for other in &mut world.processes {
                if let Some(drive) = &mut other.drive {
                    drive.lives = Some(self.scene.quiet_but_for(Assumption::NoLaterZombie));
                }
            }
            for wire in &mut world.provider.wires {
                wire.left = Some(wire.left.map_or(self.scene.quiet, |left| left.min(self.scene.quiet)));
            }
            if let Some(known) = self.legal(&known, &Event::Restarted, account, broken) {
                let due = known.job.due_at();
                self.write_as(world, known, Writer::Worker, due, broken);
            }
        } else if known.job.state.is_open() && row.due.is_none() {
            self.write_as(world, known, Writer::Worker, Some(NOW), broken);
        }
    }

    pub(crate) fn crash(&self, world: &mut World, side: Side) {
        world.disconnect(side);
        self.hang_up(world, side);
        let drove = world.process_mut(side).drive.take();
        if let (Some(drive), Some(row)) = (drove, &mut world.store.row)
            && drive.fresh
            && row.known.facts.open
        {
            // For the onlooker the attempt ends here; the engine learns of it at the next start.
            row.known.facts.attempt_ended(true);
        }
        world.process_mut(side).up = false;
    }

    /// Nobody waits any more for what a process has sent.
    pub(crate) fn hang_up(&self, world: &mut World, side: Side) {
        for wire in world.provider.wires.iter_mut().filter(|wire| wire.caller == Some(side)) {
            let quiet = self.scene.quiet_but_for(Assumption::NoLaterArrival);
            *wire = Wire { caller: None, left: Some(wire.left.unwrap_or(quiet)), ..*wire };
        }
    }

    /// A process whose job was taken over long ago sends nothing any more.
    pub(crate) fn end_of_zombies(&self, world: &mut World) {
        for side in Side::BOTH {
            let drive = &mut world.process_mut(side).drive;
            if let Some(left) = drive.as_mut().and_then(|drive| drive.lives.as_mut()) {
                *left = left.saturating_sub(1);
                if *left == 0 && !self.scene.waits {
                    *drive = None;
                    self.hang_up(world, side);
                }
            }
        }
    }
}

impl World {
    /// What the process held of the broker's comes again.
    pub(crate) fn disconnect(&mut self, side: Side) {
        let process = self.process_mut(side);
        let holds = matches!(process.intake, Intake::Holding { acked: false } | Intake::Recorded);
        process.intake = Intake::Idle;
        process.relay = Relay::Idle;
        if holds {
            self.queue.ready += 1;
        }
    }
}
