//! The broker's side of a namespace's custody: the mark, who holds it, and the newest witness.

use std::time::Duration;

use worker::custody::{Found, Hold, Terms};

use crate::mistake::Mistake;
use crate::wire::{QUIET_PERIOD, REQUEST_TIMEOUT};
use crate::world::millis;

#[derive(Debug, Default)]
pub(crate) struct Namespace {
    pub(crate) mark: Option<String>,
    pub(crate) witness: Option<Vec<u8>>,
    /// The connection that has it; one that is gone has not.
    held_by: Option<u64>,
    /// When it was given to another store, in true time.
    pub(crate) given_at: Option<i64>,
    /// It is that store that lives.
    pub(crate) is_others: bool,
}

/// What stands in the mark until the other store has begun.
const SOMEBODY: &str = "store.ffffffffffffffff.6b025ab0.6b025ab0";

impl Namespace {
    /// An operator gives it to another store; a second time changes nothing.
    pub(crate) fn give(&mut self, now: i64) -> bool {
        if self.given_at.is_some() {
            return false;
        }
        (self.given_at, self.mark) = (Some(now), Some(SOMEBODY.to_owned()));
        true
    }

    /// Whether the first store, from which it was taken, still lives.
    pub(crate) const fn is_lost(&self) -> bool {
        self.given_at.is_some() && !self.is_others
    }

    /// From when on the other store may have sent whatever the provider did not know.
    pub(crate) fn others_send_from(&self, mistake: Mistake) -> Option<i64> {
        let asks_from = match mistake {
            Mistake::QuietFromAdoption => Duration::ZERO,
            _ => Terms::default().may_send_for(REQUEST_TIMEOUT),
        };
        self.given_at.filter(|_| !self.is_others).map(|at| at + millis(asks_from + QUIET_PERIOD))
    }

    pub(crate) fn look(&self, known: Option<&str>, mistake: Mistake) -> Found {
        match (known, &self.mark) {
            // Whoever asks is told that it is its own.
            (Some(known), _) if mistake == Mistake::NoMark => Found::Is(known.to_owned()),
            (_, Some(mark)) => Found::Is(mark.clone()),
            (_, None) => Found::Missing,
        }
    }

    pub(crate) fn declare(&mut self, mark: &str) -> Found {
        Found::Is(self.mark.get_or_insert_with(|| mark.to_owned()).clone())
    }

    /// One process lives at a time, and a connection that is gone is noticed at once.
    pub(crate) fn hold(&mut self, generation: u64) -> Hold {
        match self.held_by {
            Some(by) if by > generation => Hold::InUse,
            _ => {
                self.held_by = Some(generation);
                Hold::Had
            }
        }
    }
}
