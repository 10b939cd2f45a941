//! Two stores on one namespace (M13, M16): who may send one top-up, whoever is frozen, cut off, killed, or given the namespace.
//!
//! Beside the other scenes, which look at one store through the real engine, this one looks at what stands between two: the mark
//! at the broker, how long what was seen of it is good for, the fuse of an intent, and the asking of a store that takes over.
//! Each is written down here once more, with its times in ticks; a store's job is no more than what matters for that. The worker's
//! own custodian is held by its unit tests, the simulation (`What::Adopt`) and the stories.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// No top-up begins so long after the mark was seen.
const FRESH: u8 = 2;
/// Nor leaves so long after its intent.
const SEND_WITHIN: u8 = 1;
/// It takes effect by then after it left.
const CALL: u8 = 1;
/// "Not found" is no proof so long after the last moment at which something may have been under way.
const QUIET: u8 = 1;
/// A producer sends its message so often in all.
const COPIES: u8 = 2;

/// A mistake in the custody of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// A worker takes whatever the mark says.
    NoMark,
    /// A top-up begins however long ago the mark was seen.
    NoFreshness,
    /// An intent leaves however old it is.
    NoFuse,
    /// A store that takes over does not ask first.
    AdoptsWithoutAsking,
    /// Its quiet period counts from the taking over, not from when the other store can have nothing under way any more.
    QuietFromAdoption,
    /// What it had taken in before, and never sent, it sends without asking.
    AsksAboutUnknownKeysOnly,
    /// A worker goes by the mark that it saw before it had the hold.
    LooksBeforeTheHold,
    /// An operator does not wait until no worker has the hold, nor keeps it.
    AdoptsWithoutTheHold,
}

impl Slip {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::NoMark,
        Self::NoFreshness,
        Self::NoFuse,
        Self::AdoptsWithoutAsking,
        Self::QuietFromAdoption,
        Self::AsksAboutUnknownKeysOnly,
        Self::LooksBeforeTheHold,
        Self::AdoptsWithoutTheHold,
    ];
}

/// What a store knows of the one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Known {
    #[default]
    Nothing,
    /// Nothing of it was sent.
    Unsent,
    /// An intent is on disk, so many ticks old, and has not left.
    Intended(u8),
    /// It left, and nobody has answered.
    Sent,
    /// Perhaps sent: "not found" is a proof after so many ticks.
    Doubt(u8),
    /// It ended.
    Paid,
}

/// A store, and its process where there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Store {
    known: Known,
    /// It asks about keys that it does not know: as if one had been sent until so many ticks from now.
    asks: Option<u8>,
    runs: bool,
    frozen: bool,
    /// It saw that the mark is its own, which is good for so many ticks, and waits for the hold.
    looked: Option<u8>,
    /// It has the hold.
    connected: bool,
    /// What it has seen of its mark is good for so many ticks.
    fresh: u8,
    /// It has the message, and has not acknowledged it.
    holds: bool,
    /// A top-up of it is under way, and arrives within so many ticks.
    flight: Option<u8>,
}

/// A taking over that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Adopting {
    by: usize,
    /// The store asks about everything.
    written: bool,
}

/// Everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct World {
    mark: Option<usize>,
    /// An operator gives it to this store, and has the hold meanwhile.
    adopting: Option<Adopting>,
    stores: [Store; 2],
    /// Messages that wait at the broker, and that were ever sent.
    queued: u8,
    sent: u8,
    credits: u8,
}

/// What may happen, to a store where it has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Time goes on.
    Tick,
    /// A producer sends.
    Publish,
    /// A worker starts.
    Start(usize),
    /// It is gone at once.
    Kill(usize),
    /// It stands still.
    Freeze(usize),
    /// It goes on.
    Thaw(usize),
    /// The broker loses it.
    CutOff(usize),
    /// It looks whose the namespace is; also again.
    Look(usize),
    /// It takes the hold.
    Hold(usize),
    /// It takes a message.
    Take(usize),
    /// It records the message, and acknowledges it.
    Record(usize),
    /// It records an intent.
    Intend(usize),
    /// The top-up leaves, or is held back.
    Leave(usize),
    /// A top-up of it arrives.
    Arrive(usize),
    /// It asks the provider.
    Ask(usize),
    /// An operator wants to give it the namespace: what its worker would do, nobody does meanwhile.
    Adopt(usize),
    /// It asks about everything, from when on the other one can have nothing under way any more.
    Write(usize),
    /// The mark names it.
    Give(usize),
    /// The operator thinks better of it, or is lost.
    LetBe(usize),
}

/// What an exploration found.
#[derive(Debug)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Moves that were tried.
    pub transitions: u64,
    /// A shortest way to a second credit.
    pub paid_twice: Option<Vec<Move>>,
}

/// Goes through every state, or until something is paid twice.
///
/// # Panics
/// Where there are more states than `u32` counts.
#[must_use]
pub fn explore(slip: Option<Slip>) -> Explored {
    let first = World::default();
    let mut known = HashMap::from([(first, 0_u32)]);
    let mut ways: Vec<(u32, Move)> = vec![(0, Move::Tick)];
    let (mut level, mut transitions) = (vec![(0_u32, first)], 0);
    while !level.is_empty() {
        let mut next = Vec::new();
        for (number, world) in level {
            for by in moves() {
                let Some(after) = world.after(by, slip) else { continue };
                transitions += 1;
                if after.credits > 1 {
                    let way = way_to(&ways, number, by);
                    return Explored { states: known.len(), transitions, paid_twice: Some(way) };
                }
                if let Entry::Vacant(place) = known.entry(after) {
                    let fresh = u32::try_from(ways.len()).expect("fewer states than u32 counts");
                    place.insert(fresh);
                    ways.push((number, by));
                    next.push((fresh, after));
                }
            }
        }
        level = next;
    }
    Explored { states: known.len(), transitions, paid_twice: None }
}

fn way_to(ways: &[(u32, Move)], last: u32, by: Move) -> Vec<Move> {
    let (mut way, mut here) = (vec![by], last);
    while here != 0 {
        let (parent, by) = ways[here as usize];
        way.push(by);
        here = parent;
    }
    way.reverse();
    way
}

fn moves() -> impl Iterator<Item = Move> {
    let of_a_store = [
        Move::Start,
        Move::Kill,
        Move::Freeze,
        Move::Thaw,
        Move::CutOff,
        Move::Look,
        Move::Hold,
        Move::Take,
        Move::Record,
        Move::Intend,
        Move::Leave,
        Move::Arrive,
        Move::Ask,
        Move::Adopt,
        Move::Write,
        Move::Give,
        Move::LetBe,
    ];
    let each = (0..2).flat_map(move |store| of_a_store.map(|by| by(store)));
    [Move::Tick, Move::Publish].into_iter().chain(each)
}

impl World {
    /// `None`: it cannot happen now.
    fn after(mut self, by: Move, slip: Option<Slip>) -> Option<Self> {
        match by {
            Move::Tick => self.tick()?,
            Move::Publish => {
                if self.sent == COPIES {
                    return None;
                }
                (self.sent, self.queued) = (self.sent + 1, self.queued + 1);
            }
            Move::Start(store) => self.start(store)?,
            Move::Kill(store) => {
                self.stores[store].runs.then_some(())?;
                self.ends(store);
            }
            Move::Freeze(store) => {
                let its = &mut self.stores[store];
                (its.runs && !its.frozen).then_some(())?;
                its.frozen = true;
            }
            Move::Thaw(store) => {
                let its = &mut self.stores[store];
                its.frozen.then_some(())?;
                its.frozen = false;
            }
            Move::CutOff(store) => {
                let Store { connected, looked, .. } = self.stores[store];
                (connected || looked.is_some()).then_some(())?;
                self.loses_connection(store);
            }
            Move::Arrive(store) => {
                self.stores[store].flight.take()?;
                self.credits += 1;
            }
            Move::Adopt(store) => self.adopt(store, slip)?,
            Move::Write(store) => self.write(store, slip)?,
            Move::Give(store) => {
                self.adopting.filter(|adopting| adopting.by == store && adopting.written)?;
                (self.adopting, self.mark) = (None, Some(store));
            }
            Move::LetBe(store) => {
                self.adopting.filter(|adopting| adopting.by == store)?;
                self.adopting = None;
            }
            Move::Look(store) => self.look(store, slip)?,
            Move::Hold(store) => self.hold(store, slip)?,
            Move::Take(_) | Move::Record(_) | Move::Intend(_) | Move::Leave(_) | Move::Ask(_) => {
                self.works(by, slip)?
            }
        }
        Some(self)
    }

    /// What is under way arrives before its time is over.
    fn tick(&mut self) -> Option<()> {
        for its in &mut self.stores {
            if its.flight == Some(0) {
                return None;
            }
            its.flight = its.flight.map(|left| left - 1);
            its.fresh = its.fresh.saturating_sub(1);
            its.looked = its.looked.map(|left| left.saturating_sub(1));
            its.asks = its.asks.map(|left| left.saturating_sub(1));
            its.known = match its.known {
                // Older is all the same.
                Known::Intended(age) => Known::Intended((age + 1).min(SEND_WITHIN + 1)),
                Known::Doubt(left) => Known::Doubt(left.saturating_sub(1)),
                known => known,
            };
        }
        Some(())
    }

    /// What a process left is perhaps sent.
    fn start(&mut self, store: usize) -> Option<()> {
        let its = &mut self.stores[store];
        // Whoever takes over has the store to themselves.
        (!its.runs && self.adopting.is_none_or(|adopting| adopting.by != store)).then_some(())?;
        (its.runs, its.fresh) = (true, 0);
        if matches!(its.known, Known::Intended(_) | Known::Sent) {
            its.known = Known::Doubt(CALL + QUIET);
        }
        Some(())
    }

    fn ends(&mut self, store: usize) {
        self.loses_connection(store);
        let its = &mut self.stores[store];
        (its.runs, its.frozen, its.fresh, its.looked) = (false, false, 0, None);
    }

    fn loses_connection(&mut self, store: usize) {
        let its = &mut self.stores[store];
        (its.connected, its.looked) = (false, None);
        self.queued += u8::from(std::mem::take(&mut its.holds));
    }

    /// Whose is it? The first to come has it; a stranger ends.
    fn look(&mut self, store: usize, slip: Option<Slip>) -> Option<()> {
        let is_awake = self.stores[store].runs && !self.stores[store].frozen;
        is_awake.then_some(())?;
        let mark = *self.mark.get_or_insert(store);
        let its = &mut self.stores[store];
        if mark != store && slip != Some(Slip::NoMark) {
            self.ends(store);
        } else if its.connected {
            its.fresh = FRESH;
        } else {
            its.looked = Some(FRESH);
        }
        Some(())
    }

    /// One has it at a time. The mark is looked at again: it may have been given away since.
    fn hold(&mut self, store: usize, slip: Option<Slip>) -> Option<()> {
        let its = &mut self.stores[store];
        let looked = its.looked.filter(|_| its.runs && !its.frozen)?;
        let is_free = self.stores.iter().all(|its| !its.connected);
        (is_free && (self.adopting.is_none() || slip == Some(Slip::AdoptsWithoutTheHold))).then_some(())?;
        let its = &mut self.stores[store];
        (its.looked, its.connected, its.fresh) = (None, true, looked.max(its.fresh));
        if slip == Some(Slip::LooksBeforeTheHold) { Some(()) } else { self.look(store, slip) }
    }

    /// Beside a worker that has the hold it is refused.
    fn adopt(&mut self, store: usize, slip: Option<Slip>) -> Option<()> {
        let is_held = self.stores.iter().any(|its| its.connected) && slip != Some(Slip::AdoptsWithoutTheHold);
        let is_free = self.mark.is_some_and(|mark| mark != store) && self.adopting.is_none() && !is_held;
        (is_free && !self.stores[store].runs).then_some(())?;
        self.adopting = Some(Adopting { by: store, written: false });
        Some(())
    }

    /// Before the mark is given away: whatever becomes of it, the store asks.
    fn write(&mut self, store: usize, slip: Option<Slip>) -> Option<()> {
        let adopting = self.adopting.as_mut().filter(|adopting| adopting.by == store && !adopting.written)?;
        adopting.written = true;
        let its = &mut self.stores[store];
        if slip == Some(Slip::AdoptsWithoutAsking) {
            return Some(());
        }
        let others = if slip == Some(Slip::QuietFromAdoption) { 0 } else { FRESH + SEND_WITHIN + CALL };
        its.asks = Some(others);
        if !matches!(its.known, Known::Nothing | Known::Paid) && slip != Some(Slip::AsksAboutUnknownKeysOnly) {
            its.known = Known::Doubt(others + QUIET);
        }
        Some(())
    }

    /// What a process does that is awake.
    fn works(&mut self, by: Move, slip: Option<Slip>) -> Option<()> {
        let (Move::Take(store) | Move::Record(store) | Move::Intend(store) | Move::Leave(store) | Move::Ask(store)) =
            by
        else {
            return None;
        };
        let its = &mut self.stores[store];
        (its.runs && !its.frozen).then_some(())?;
        match (by, its.known) {
            (Move::Take(_), _) if its.connected && !its.holds && self.queued > 0 => {
                self.queued -= 1;
                its.holds = true;
            }
            (Move::Record(_), known) if its.holds => {
                its.holds = false;
                if known == Known::Nothing {
                    its.known = its.asks.map_or(Known::Unsent, |others| Known::Doubt(others + QUIET));
                }
            }
            (Move::Intend(_), Known::Unsent) if its.fresh > 0 || slip == Some(Slip::NoFreshness) => {
                its.known = Known::Intended(0);
            }
            (Move::Leave(_), Known::Intended(age)) => {
                if age > SEND_WITHIN && slip != Some(Slip::NoFuse) {
                    its.known = Known::Unsent;
                } else {
                    (its.known, its.flight) = (Known::Sent, Some(CALL));
                }
            }
            // An answer, or the end of the call without one.
            (Move::Ask(_), Known::Sent) if its.flight.is_none() => its.known = Known::Doubt(QUIET),
            (Move::Ask(_), Known::Doubt(_)) if self.credits > 0 => its.known = Known::Paid,
            (Move::Ask(_), Known::Doubt(0)) => its.known = Known::Unsent,
            _ => return None,
        }
        Some(())
    }
}
