//! The whole worker in one process, on a time of its own, over ports that fail by plan.
//!
//! The real drive, intake, relay, wake, supervisor, token cache and outbox; what is played is the world around them: the
//! wall clock, the provider's network, the broker, and what stands between a command and the disk. One plan is one run, to
//! the last call: a seed that fails can be played again.
//!
//! It must not know how the worker decides: [`play`] judges by the provider's ledger, what is stored, and what was told.

mod broker;
mod disk;
mod judge;
mod mistake;
mod namespace;
mod op;
mod operator;
mod plan;
mod provider;
mod queues;
mod run;
mod scenario;
mod source;
mod sweep;
mod trace;
mod wire;
mod world;

pub use mistake::Mistake;
pub use plan::{Fault, Plan, What, When};
pub use run::{Run, play, play_with};
pub use scenario::{Customer, Message, Outage, Scenario, Wrong};
pub use sweep::{Swept, call_of, pairs, second, some_pairs, sweep, sweep_from};
