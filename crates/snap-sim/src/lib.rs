//! A SNAP BI provider with a ledger and a fault script, for the demo and the tests.
//!
//! It looks at every signature, token, id and field with its own eyes (its code is its own, nothing of it is shared
//! with the client), and its ledger is the judge of who was paid. Faults come from the script ([`Rule`]), from magic
//! customer numbers (`62811000000NN`, listed under `/_sim/magic`) or at random by seed ([`FaultLevel`]).

mod admin;
mod answer;
mod case;
mod clock;
mod config;
mod credentials;
mod door;
mod fault;
mod fields;
mod ledger;
mod log;
mod magic;
mod overview;
mod play;
mod provider;
mod random;
mod refusal;
mod report;
mod request;
mod script;
mod seen;
mod server;
mod services;
mod signature;
mod sim;
mod tokens;
mod wire;

pub use case::{Case, CaseError};
pub use config::{Behaviour, FaultLevel, LaneFault, Mount, Personality, RepeatPolicy, SimConfig};
pub use credentials::Credentials;
pub use fault::{Fault, Latest};
pub use report::{Credit, Effect, ReferenceReport, RequestRecord, Verdict};
pub use script::{Rule, RuleReport};
pub use sim::{Running, SimError, Simulator};
