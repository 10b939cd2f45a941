//! One target under libFuzzer: `fuzz-coverage --target=NAME`, then libFuzzer's own options. Built and started by `fuzz`.

#![no_main]

use std::sync::OnceLock;

use fuzz::{TARGETS, Target};

static TARGET: OnceLock<Target> = OnceLock::new();

/// libFuzzer passes over options that begin with two dashes.
fn named() -> Target {
    let name = std::env::args().find_map(|argument| argument.strip_prefix("--target=").map(str::to_owned));
    let name = name.expect("--target=NAME says which one");
    TARGETS.into_iter().find(|target| target.name == name).expect("it is one of the targets")
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    (TARGET.get_or_init(named).check)(data);
});
