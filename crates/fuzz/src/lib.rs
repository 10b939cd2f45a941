//! Whatever comes from outside, against what must hold for it.
//!
//! A [`Target`] takes any bytes, gives them to the real parser, and asserts what has to hold for its answer; where the rules
//! can be written down a second time, it holds the answer against that, in both directions. The committed corpus and
//! mutations of it run as plain tests; `cargo run -p fuzz` lets coverage steer, for as long as it is told. It must not know
//! how the parsers work.

pub mod corpus;
pub mod mutate;
mod reading;
pub mod search;
pub mod targets;

pub use targets::{TARGETS, Target};
