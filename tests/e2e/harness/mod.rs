//! What the stories are told with: a broker, a provider and a worker of the test's own, and the oracle that judges them.
//!
//! Nothing here shares code with the worker, except that the simulator is the library the worker can also serve.

pub(crate) mod amqp;
pub(crate) mod blow;
pub(crate) mod gate;
pub(crate) mod job;
pub(crate) mod sim;
pub(crate) mod stage;
pub(crate) mod store;
pub(crate) mod verdict;
pub(crate) mod witness;
pub(crate) mod worker;

use std::future::Future;
use std::time::{Duration, Instant};

pub(crate) use amqp::{Outcomes, Producer};
pub(crate) use gate::{Gate, Hold};
pub(crate) use job::Job;
pub(crate) use sim::Sim;
pub(crate) use stage::Stage;
pub(crate) use testbed::{Broker, Dice, Leash, eventually, eventually_now, free_port, http, random, setting};
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
