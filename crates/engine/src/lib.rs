//! What to do next about a top-up, and what is known of it.
//!
//! Two pure functions: [`apply`] says what is known after an event, [`next_step`] what to do about it. Live runs and
//! recovery use the same two. This crate must not know HTTP, SQLite, AMQP, a clock, randomness or async: the time and
//! the jitter come in as numbers.

mod account;
mod apply;
mod clock;
mod event;
mod late;
mod policy;
mod reason;
mod state;
mod step;

pub use account::Account;
pub use apply::apply;
pub use clock::{Correction, Noticed};
pub use event::{Answer, Event, IllegalEvent, Retry, StatusAnswer};
pub use late::{Late, LateAnswer};
pub use policy::{Backoff, Jitter, Policy};
pub use reason::{DeadReason, MoneyState, RejectReason};
pub use state::{Beside, Budget, Evidence, Job, Refusal, State, Taken};
pub use step::{Step, next_step};

#[cfg(test)]
mod tests;
