//! What the stories are told with: a broker, a provider and a worker of the test's own, and the oracle that judges them.
//!
//! Nothing here shares code with the worker, except that the simulator is the library the worker can also serve.

pub(crate) mod amqp;
pub(crate) mod broker;
pub(crate) mod gate;
pub(crate) mod http;
pub(crate) mod job;
pub(crate) mod leash;
pub(crate) mod sim;
pub(crate) mod stage;
pub(crate) mod verdict;
pub(crate) mod worker;

use std::future::Future;
use std::net::TcpListener;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(crate) use amqp::{Outcomes, Producer};
pub(crate) use broker::Broker;
pub(crate) use gate::{Gate, Hold};
pub(crate) use job::Job;
pub(crate) use sim::Sim;
pub(crate) use stage::Stage;
pub(crate) use verdict::Verdict;
pub(crate) use worker::WorkerProc;

/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(25);

/// Waits until `look` gives a value, and fails the test with `what` after `limit`.
///
/// The only place, with [`eventually_now`], where a test waits for anything.
pub(crate) async fn eventually<T, F, Fut>(limit: Duration, what: &str, mut look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(GLANCE).await;
    }
}

/// [`eventually`] for what is looked at without async.
pub(crate) fn eventually_now<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(GLANCE);
    }
}

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

/// A setting of the test run, from the environment.
pub(crate) fn setting(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one reader of the test run's own settings")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether the long forms were asked for (`tests/run --long`).
pub(crate) fn long() -> bool {
    setting("E2E_LONG").is_some()
}

/// A TCP port that is free on loopback, below the range the system takes outgoing ports from.
pub(crate) fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    const FIRST: u16 = 20_000;
    const SPAN: u16 = 12_000;
    let next = NEXT.get_or_init(|| AtomicU16::new(u16::try_from(random() % u64::from(SPAN)).unwrap()));
    loop {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % SPAN;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Sixty-four bits that differ between processes and calls; not for secrets.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(CALLS.fetch_add(1, Ordering::Relaxed));
    hasher.finish()
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
