//! What the stories are told with: a broker, a provider and a worker of the test's own, and the oracle that judges them.
//!
//! Nothing here shares code with the worker, except that the simulator is the library the worker can also serve.

pub(crate) mod amqp;
pub(crate) mod gate;
pub(crate) mod job;
pub(crate) mod sim;
pub(crate) mod stage;
pub(crate) mod verdict;
pub(crate) mod worker;

use std::future::Future;
use std::time::{Duration, Instant};

pub(crate) use amqp::{Outcomes, Producer};
pub(crate) use gate::{Gate, Hold};
pub(crate) use job::Job;
pub(crate) use sim::Sim;
pub(crate) use stage::Stage;
pub(crate) use testbed::{Broker, Leash, eventually, eventually_now, free_port, http, random, setting};
pub(crate) use verdict::Verdict;
pub(crate) use worker::WorkerProc;

/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(25);

/// Asserts that `look` stays true for the whole of `span`.
pub(crate) async fn holds_for<F, Fut>(span: Duration, what: &str, mut look: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let started = Instant::now();
    while started.elapsed() < span {
        assert!(look().await, "no longer true after {:?}: {what}", started.elapsed());
        tokio::time::sleep(GLANCE).await;
    }
}

/// Whether the long forms were asked for (`tests/run --long`).
pub(crate) fn long() -> bool {
    setting("E2E_LONG").is_some()
}

/// A sequence of random numbers that can be played again: `E2E_SEED=… tests/run`.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// Takes the seed of the environment, or a new one, and prints it so that a failure can be repeated.
    pub(crate) fn new(story: &str) -> Self {
        let seed = setting("E2E_SEED").and_then(|text| text.parse().ok()).unwrap_or_else(random);
        eprintln!("{story}: E2E_SEED={seed}");
        Self { state: seed }
    }

    /// The next number (splitmix64).
    pub(crate) fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A duration between the two.
    pub(crate) fn span(&mut self, from: Duration, to: Duration) -> Duration {
        let width = u64::try_from((to - from).as_micros()).unwrap().max(1);
        from + Duration::from_micros(self.roll() % width)
    }
}
