//! The real binary against a real RabbitMQ and a provider that would pay twice; one file per story.
//!
//! Run with `tests/run`. A story that needs the broker to die starts its own; the others share one.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on panics, and owns the tasks it spawns"
)]

mod harness;

mod accounts;
mod answers;
mod blows;
mod broker_lost;
mod check;
mod clocks;
mod commands;
mod crash_points;
mod crash_random;
mod crash_syscalls;
mod custodian;
mod demo;
mod deploy;
mod drill;
mod duplicates;
mod faults_by_call;
mod happy_path;
mod harness_self_test;
mod hostile_input;
mod install;
mod intents;
mod lanes;
mod memory;
mod moved_on;
mod placed;
mod power_loss;
mod provider_faults;
mod replay;
mod restored;
mod retention;
mod second_worker;
mod secrecy;
mod startup;
mod stopping;
mod store_custody;
mod store_full;
mod storms;
mod taken_over;
