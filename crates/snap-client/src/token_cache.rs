//! One token for all calls, fetched by one request at a time.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Shared, WeakShared};
use tokio::time::Instant;

use crate::{Token, TokenExchange, TokenFailure};

/// After a failed early refresh the token at hand is used this long before the next try.
const EARLY_REFRESH_PAUSE: Duration = Duration::from_secs(5);
/// Exchanges nobody took are forgotten beyond this many: they are records, not state.
const EXCHANGES_KEPT: usize = 128;

pub(crate) type Granted = Result<Token, TokenFailure>;
/// Polled by everyone who waits, so that a caller who gives up stops nobody else.
pub(crate) type Flight = Shared<Pin<Box<dyn Future<Output = Granted> + Send>>>;

/// Where a token comes from.
pub(crate) enum Source {
    /// It is at hand.
    Cached(Token),
    /// It has to be waited for; the token at hand, if any, serves if that fails.
    Flight(Flight),
}

#[derive(Default)]
pub(crate) struct TokenCache(Mutex<Slot>);

#[derive(Default)]
struct Slot {
    current: Option<Token>,
    /// Weak: a flight that everybody left is dead and must not be joined.
    flight: Option<WeakShared<Pin<Box<dyn Future<Output = Granted> + Send>>>>,
    early_refresh_from: Option<Instant>,
    last_serial: u64,
    exchanges: VecDeque<TokenExchange>,
}

impl TokenCache {
    /// The cached token, or the flight to wait for, started by `start` where none is under way.
    pub(crate) fn get<F>(&self, start: impl FnOnce() -> F) -> Source
    where
        F: Future<Output = Granted> + Send + 'static,
    {
        let now = Instant::now();
        let mut slot = self.lock();
        if let Some(token) = slot.usable(now) {
            let refresh_now = token.is_due_for_refresh(now)
                && slot.early_refresh_from.is_none_or(|from| now >= from)
                && slot.flight_under_way().is_none();
            if !refresh_now {
                return Source::Cached(token);
            }
        }
        Source::Flight(slot.join_or_start(start))
    }

    /// As [`Self::get`], for a caller whose token was refused.
    pub(crate) fn replace<F>(&self, stale: &Token, start: impl FnOnce() -> F) -> Source
    where
        F: Future<Output = Granted> + Send + 'static,
    {
        let mut slot = self.lock();
        if slot.current.as_ref().is_some_and(|current| current.is_same_issue(stale)) {
            slot.current = None;
        }
        match slot.usable(Instant::now()) {
            Some(newer) => Source::Cached(newer),
            None => Source::Flight(slot.join_or_start(start)),
        }
    }

    /// A token that is still good, for when a flight failed.
    pub(crate) fn fallback(&self) -> Option<Token> {
        self.lock().usable(Instant::now())
    }

    /// The number of the token about to be made.
    pub(crate) fn next_serial(&self) -> u64 {
        let mut slot = self.lock();
        slot.last_serial += 1;
        slot.last_serial
    }

    /// Ends the flight: what it brought is what everybody gets from now on.
    pub(crate) fn land(&self, granted: &Granted, exchange: TokenExchange) {
        let mut slot = self.lock();
        slot.flight = None;
        match granted {
            Ok(token) => {
                slot.current = Some(token.clone());
                slot.early_refresh_from = None;
            }
            Err(_) => slot.early_refresh_from = Some(Instant::now() + EARLY_REFRESH_PAUSE),
        }
        if slot.exchanges.len() == EXCHANGES_KEPT {
            slot.exchanges.pop_front();
        }
        slot.exchanges.push_back(exchange);
    }

    pub(crate) fn take_exchanges(&self) -> Vec<TokenExchange> {
        self.lock().exchanges.drain(..).collect()
    }

    /// Every change of the slot is complete before the lock is let go, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn usable(&self, now: Instant) -> Option<Token> {
        self.current.as_ref().filter(|token| token.is_usable(now)).cloned()
    }

    fn flight_under_way(&self) -> Option<Flight> {
        self.flight.as_ref().and_then(WeakShared::upgrade)
    }

    fn join_or_start<F>(&mut self, start: impl FnOnce() -> F) -> Flight
    where
        F: Future<Output = Granted> + Send + 'static,
    {
        if let Some(flight) = self.flight_under_way() {
            return flight;
        }
        let flight = start().boxed().shared();
        self.flight = flight.downgrade();
        flight
    }
}
