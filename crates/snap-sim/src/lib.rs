//! A SNAP BI provider with a ledger and a fault script, for the demo and the tests.
//!
//! It looks at every signature, token, id and field with its own eyes, and its ledger is the judge of who was paid.

mod case;
mod config;
mod credentials;
mod fault;
mod report;
mod script;
mod sim;

pub use case::{Case, CaseError};
pub use config::{Behaviour, FaultLevel, LaneFault, Mount, Personality, RepeatPolicy, SimConfig};
pub use credentials::Credentials;
pub use fault::{Fault, Latest};
pub use report::{Credit, Effect, ReferenceReport, RequestRecord, Verdict};
pub use script::Rule;
pub use sim::{Running, SimError, Simulator};
