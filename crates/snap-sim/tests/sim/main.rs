//! The simulator over real sockets, asked by a client that shares no code with it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod admin;
mod client;
mod door;
mod faults;
mod fields;
mod ledger;
mod lifecycle;
mod magic;
mod services;
mod whole_way;
