//! What the end-to-end tests and the benchmarks stand on: a RabbitMQ node of their own, processes that are gone when
//! their owner is, free ports, what a process costs, and the count of which fault has hit what.
//!
//! For tests and benchmarks only: what cannot go on panics, and says what it saw. Nothing here knows the worker.

mod broker;
mod dice;
pub mod http;
mod leash;
pub mod matrix;
mod net;
pub mod power;
pub mod process;
mod wait;

pub use broker::Broker;
pub use dice::Dice;
pub use leash::Leash;
pub use net::{free_port, random};
pub use wait::{eventually, eventually_now};

/// A setting of this run, from the environment; an empty one is none.
pub fn setting(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one reader of a test run's own settings")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
