//! What must hold, whatever happens. Judged from the provider's side and the onlooker's notes, not from what the engine
//! thinks of itself.

use engine::{MoneyState, State};

use crate::provider::Entry;
use crate::world::{Intake, World};

/// A rule of which a violation is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Property {
    /// One reference, one credit.
    CreditedOnce,
    /// What is recorded as succeeded was credited, with our amount.
    SuccessIsPaid,
    /// What is recorded as rejected was not credited and never will be.
    RejectedIsUnpaid,
    /// What is recorded as never sent or proven unpaid was not credited and never will be.
    ProvenIsUnpaid,
    /// A top-up leaves after its intent is on disk (M1).
    IntentFirst,
    /// A top-up leaves while no other attempt may still take effect or has.
    NothingBesideAnother,
    /// After a doubt nothing is sent again without two late "not found" in a row (M4).
    ResentOnProof,
    /// What ended changes by an operator's hand only.
    EndedStays,
    /// A copy that is not the store's any more writes nothing (M10).
    StaleWritesNothing,
    /// What came back to a drive that was fenced off is recorded (M16).
    LateIsKept,
    /// What was published is at the broker or in the store.
    NothingIsLost,
    /// An open job is driven or due, or a start will find it.
    NothingIsForgotten,
    /// What came to rest has its event in the same instant.
    OutcomeHasItsEvent,
    /// What is marked as published is at the broker.
    MarkedIsPublished,
    /// The engine takes every event that its own step leads to.
    EveryStepIsLegal,
    /// Without further faults everything comes to rest: there is no circle, and no end elsewhere.
    ComesToRest,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::CreditedOnce,
        Self::SuccessIsPaid,
        Self::RejectedIsUnpaid,
        Self::ProvenIsUnpaid,
        Self::IntentFirst,
        Self::NothingBesideAnother,
        Self::ResentOnProof,
        Self::EndedStays,
        Self::StaleWritesNothing,
        Self::LateIsKept,
        Self::NothingIsLost,
        Self::NothingIsForgotten,
        Self::OutcomeHasItsEvent,
        Self::MarkedIsPublished,
        Self::EveryStepIsLegal,
        Self::ComesToRest,
    ];

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Properties that a step or an instant breaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Broken(u16);

impl Broken {
    /// Notes that one is broken unless `holds`.
    pub const fn unless(&mut self, holds: bool, property: Property) {
        if !holds {
            self.0 |= property.bit();
        }
    }

    /// One of `among` that is broken.
    pub fn any_of(self, among: &[Property]) -> Option<Property> {
        among.iter().copied().find(|property| self.0 & property.bit() != 0)
    }
}

/// What does not hold at this instant.
pub fn instant(world: &World, broken: &mut Broken) {
    let provider = &world.provider;
    broken.unless(provider.credits <= 1, Property::CreditedOnce);
    let Some(row) = &world.store.row else {
        let held = world.processes.iter().any(|process| process.intake == Intake::Holding { acked: false });
        // A store that was put back has forgotten it: only producers can keep what they published.
        broken.unless(world.queue.ready > 0 || held || world.store.reconcile.is_some(), Property::NothingIsLost);
        return;
    };
    let paid_well = provider.credits == 1 && matches!(provider.entry, Entry::Credited | Entry::Refunded);
    let unpaid = provider.credits == 0 && provider.entry != Entry::Held;
    match row.known.job.state {
        State::Succeeded => broken.unless(paid_well, Property::SuccessIsPaid),
        State::Rejected { .. } => broken.unless(unpaid, Property::RejectedIsUnpaid),
        _ => {}
    }
    // Until an older copy has been asked about, it may say anything.
    if world.store.reconcile.is_none() && !world.put_back {
        match row.known.job.evidence.money {
            MoneyState::NeverSent | MoneyState::ProvenUnpaid => broken.unless(unpaid, Property::ProvenIsUnpaid),
            MoneyState::ProvenPaid => broken.unless(provider.credits == 1, Property::SuccessIsPaid),
            MoneyState::MaybeSent | MoneyState::Returned => {}
        }
    }
    broken.unless(!row.untold, Property::OutcomeHasItsEvent);
    let running = world.processes.iter().all(|process| process.up || !process.wanted);
    let driven = world
        .processes
        .iter()
        .any(|process| process.drive.as_ref().is_some_and(|drive| drive.fresh || drive.ends_late(&row.known)));
    let found = !running || driven || row.due.is_some() || !row.known.job.state.is_open();
    broken.unless(found, Property::NothingIsForgotten);
}
