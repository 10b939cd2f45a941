//! The wall clock and randomness of the run that this thread plays.

use std::cell::RefCell;

use snap_core::Timestamp;
use worker::clock::Source;

use crate::mistake::Mistake;
use crate::world::World;

thread_local! {
    static PLAYED: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Reads the world that is played on the calling thread.
#[derive(Debug)]
pub(crate) struct Played;

impl Played {
    /// Plays `world` on this thread until the next one.
    pub(crate) fn world(world: &World) {
        PLAYED.set(Some(world.clone()));
    }

    fn with<T>(read: impl FnOnce(&World) -> T) -> T {
        PLAYED.with_borrow(|world| read(world.as_ref().expect("a world is played on this thread")))
    }
}

impl Source for Played {
    fn wall(&self) -> Timestamp {
        Self::with(|world| {
            let mut state = world.state();
            let wall = state.now() + state.off;
            state.newest = state.newest.max(wall);
            Timestamp::from_millis(if state.mistake == Mistake::NewestTime { state.newest } else { wall })
        })
    }

    fn boottime(&self) -> std::time::Duration {
        Self::with(|world| {
            let state = world.state();
            let fast = if state.mistake == Mistake::BoottimeRuns { 100 } else { 1 };
            std::time::Duration::from_millis(state.now().unsigned_abs().saturating_mul(fast))
        })
    }

    fn boot(&self) -> String {
        Self::with(|world| world.state().boot.to_string())
    }

    fn random(&self) -> u64 {
        Self::with(|world| world.state().dice.roll())
    }
}
