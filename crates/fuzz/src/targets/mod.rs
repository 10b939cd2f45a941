//! What is fuzzed, one function a target: bytes in, a panic where something does not hold.

pub mod amount;
mod answer;
mod cli;
mod config;
mod headers;
mod ids;
mod inquiry_answer;
pub mod message;
mod phone;
mod signature;
pub mod status_answer;
mod timestamps;
mod token_answer;
pub mod top_up_answer;

/// One parser, and what has to hold for it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Panics where something does not hold.
    pub check: fn(&[u8]),
    /// Texts that the parser has a meaning for.
    pub words: &'static [&'static str],
    /// Mutants in a run of the tests, so that all targets take about as long.
    pub times: u64,
}

/// All of them.
pub const TARGETS: [Target; 15] = [
    Target { name: "amount", check: amount::check, words: amount::WORDS, times: 10_000 },
    Target { name: "phone", check: phone::check, words: phone::WORDS, times: 10_000 },
    Target { name: "ids", check: ids::check, words: ids::WORDS, times: 10_000 },
    Target { name: "timestamp", check: timestamps::check, words: timestamps::WORDS, times: 10_000 },
    Target { name: "message", check: message::check, words: message::WORDS, times: 10_000 },
    Target { name: "top_up", check: top_up_answer::check, words: answer::WORDS, times: 10_000 },
    Target { name: "status", check: status_answer::check, words: answer::WORDS, times: 10_000 },
    Target { name: "inquiry", check: inquiry_answer::check, words: answer::WORDS, times: 10_000 },
    Target { name: "token", check: token_answer::check, words: token_answer::WORDS, times: 10_000 },
    Target { name: "config", check: config::check, words: config::WORDS, times: 5_000 },
    Target { name: "headers", check: headers::check, words: headers::WORDS, times: 10_000 },
    Target { name: "symmetric", check: signature::check_symmetric, words: signature::WORDS, times: 3_000 },
    Target { name: "asymmetric", check: signature::check_asymmetric, words: signature::WORDS, times: 200 },
    Target { name: "keys", check: signature::check_keys, words: signature::WORDS, times: 3_000 },
    Target { name: "cli", check: cli::check, words: cli::WORDS, times: 600 },
];
