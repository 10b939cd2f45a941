//! Whether the store can be written, as the threads of one handle see it together.

use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::Notify;

use crate::StoreError;

/// Whether the store can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Yes.
    Writable,
    /// There is no room: no intents, results only (M12). It comes back by itself.
    Full,
    /// No, for good: end the process.
    Failed {
        /// Why.
        detail: String,
    },
}

/// The shared state behind [`Health`].
#[derive(Debug)]
pub(crate) struct HealthState {
    health: RwLock<Health>,
    changed: Notify,
    facts: Mutex<Facts>,
}

#[derive(Debug, Default)]
struct Facts {
    /// A write found no room, and none has been made since.
    hit: bool,
    /// Free space is below the limit.
    low: bool,
    failed: Option<String>,
}

impl HealthState {
    pub(crate) fn new() -> Self {
        Self { health: RwLock::new(Health::Writable), changed: Notify::new(), facts: Mutex::default() }
    }

    pub(crate) fn current(&self) -> Health {
        self.health().clone()
    }

    /// Waits until it is as `wanted`.
    pub(crate) async fn when(&self, wanted: impl Fn(&Health) -> bool) -> Health {
        loop {
            // It hears of every change from here on.
            let changed = self.changed.notified();
            let health = self.current();
            if wanted(&health) {
                return health;
            }
            changed.await;
        }
    }

    fn health(&self) -> RwLockReadGuard<'_, Health> {
        self.health.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error that commands are refused with at once: all of them, or those that need room.
    pub(crate) fn refusal(&self, needs_room: bool) -> Option<StoreError> {
        match &*self.health() {
            Health::Writable => None,
            Health::Full => needs_room.then_some(StoreError::Full),
            Health::Failed { detail } => Some(StoreError::Failed(detail.clone())),
        }
    }

    /// A write found no room.
    pub(crate) fn hit_the_end(&self) {
        self.change(|facts| facts.hit = true);
    }

    /// Room was found again after [`HealthState::hit_the_end`].
    pub(crate) fn found_room(&self) {
        self.change(|facts| facts.hit = false);
    }

    /// Free space is below its limit, or not.
    pub(crate) fn set_low(&self, low: bool) {
        self.change(|facts| facts.low = low);
    }

    /// Whether a write found no room, and none has been made since.
    pub(crate) fn has_hit_the_end(&self) -> bool {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).hit
    }

    /// Whether free space was below its limit when last looked at.
    pub(crate) fn is_low(&self) -> bool {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).low
    }

    /// Nothing may be written any more.
    pub(crate) fn fail(&self, detail: &str) {
        self.change(|facts| {
            if facts.failed.is_none() {
                tracing::error!(detail, "the store has failed");
                facts.failed = Some(detail.to_owned());
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Facts)) {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut facts);
        let health = match &facts.failed {
            Some(detail) => Health::Failed { detail: detail.clone() },
            None if facts.hit || facts.low => Health::Full,
            None => Health::Writable,
        };
        if *self.health() != health {
            tracing::info!(?health, "the store's health changed");
            *self.health.write().unwrap_or_else(PoisonError::into_inner) = health;
            self.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_refuses_what_needs_room_and_failed_refuses_all_for_good() {
        let health = HealthState::new();
        assert_eq!(health.refusal(true), None);
        health.hit_the_end();
        health.set_low(true);
        assert_eq!((health.refusal(true), health.refusal(false)), (Some(StoreError::Full), None));
        health.found_room();
        assert_eq!(health.current(), Health::Full);
        health.set_low(false);
        assert_eq!(health.current(), Health::Writable);
        health.fail("disk I/O error");
        health.fail("later");
        health.found_room();
        let failed = StoreError::Failed("disk I/O error".to_owned());
        assert_eq!((health.refusal(true), health.refusal(false)), (Some(failed.clone()), Some(failed)));
    }
}
