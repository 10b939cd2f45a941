//! How many jobs may wait in the store for a standing lane before intake leaves the rest to the broker.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A standing lane takes this many times its slots: a pause must not turn the store into the queue.
const TIMES_SLOTS: usize = 16;

#[derive(Debug)]
pub(super) struct Parking {
    waiting: AtomicUsize,
    limit: usize,
}

impl Parking {
    pub(super) fn new(slots: usize) -> Self {
        Self { waiting: AtomicUsize::new(0), limit: slots.saturating_mul(TIMES_SLOTS) }
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < self.limit
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }

    pub(super) fn add(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Claimed jobs may have come from elsewhere (a due retry), so the count is held at zero, and set to it where nothing
    /// due was left.
    pub(super) fn remove(&self, taken: usize, drained: bool) {
        if drained {
            self.waiting.store(0, Ordering::Relaxed);
            return;
        }
        let mut waiting = self.waiting.load(Ordering::Relaxed);
        while let Err(now) = self.waiting.compare_exchange_weak(
            waiting,
            waiting.saturating_sub(taken),
            Ordering::Relaxed,
            Ordering::Relaxed,
        ) {
            waiting = now;
        }
    }
}
