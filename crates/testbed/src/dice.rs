//! Random numbers that can be played again.

use std::time::Duration;

use crate::{random, setting};

/// A sequence of random numbers that can be played again: `E2E_SEED=… tests/run`.
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Takes the seed of the environment, or a new one, and prints it so that a failure can be repeated.
    pub fn new(story: &str) -> Self {
        let seed = setting("E2E_SEED").and_then(|text| text.parse().ok()).unwrap_or_else(random);
        eprintln!("{story}: E2E_SEED={seed}");
        Self::seeded(seed)
    }

    /// The sequence of this seed.
    pub const fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number (splitmix64).
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one, which is not 0.
    ///
    /// # Panics
    /// It is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("a usize fits");
        usize::try_from(self.roll() % end).expect("it is below a usize")
    }

    /// A duration between the two.
    ///
    /// # Panics
    /// They are centuries apart.
    pub fn span(&mut self, from: Duration, to: Duration) -> Duration {
        let width = u64::try_from((to - from).as_micros()).expect("less than centuries").max(1);
        from + Duration::from_micros(self.roll() % width)
    }
}
