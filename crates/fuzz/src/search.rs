//! Runs inputs through a check, and makes the first one that fails small.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::mutate::{Dice, mutant};

/// An input for which something does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// As small as cutting makes it.
    pub input: Vec<u8>,
    /// What the check said of it.
    pub said: String,
    /// After how many inputs it came up.
    pub after: u64,
}

/// Gives each of `known`, then `times` mutants of them, to `check`, which panics where something does not hold. The same
/// `dice`, the same inputs.
pub fn search(
    check: impl Fn(&[u8]),
    known: &[Vec<u8>],
    words: &[&str],
    mut dice: Dice,
    times: u64,
) -> Result<u64, Found> {
    let mut done = 0;
    for input in known {
        done += 1;
        said(&check, input).map_or(Ok(()), |_said| Err(smallest(&check, input.clone(), done)))?;
    }
    for _ in 0..times {
        let input = mutant(&mut dice, known, words);
        done += 1;
        said(&check, &input).map_or(Ok(()), |_said| Err(smallest(&check, input, done)))?;
    }
    Ok(done)
}

thread_local! {
    /// What this thread panics about is caught, and told once, when it is small.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

fn let_quiet_threads_be_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                usual(panic);
            }
        }));
    });
}

/// What `check` says against `input`; nothing where all holds.
fn said(check: &impl Fn(&[u8]), input: &[u8]) -> Option<String> {
    let_quiet_threads_be_quiet();
    QUIET.set(true);
    let checked = catch_unwind(AssertUnwindSafe(|| check(input)));
    QUIET.set(false);
    let panic = checked.err()?;
    let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Some(words.unwrap_or("it panicked").to_owned())
}

/// Cuts parts out as long as something is said against what is left.
fn smallest(check: &impl Fn(&[u8]), mut input: Vec<u8>, after: u64) -> Found {
    let mut part = input.len() / 2;
    while part > 0 {
        let mut start = 0;
        while start < input.len() {
            let mut less = input.clone();
            less.drain(start..(start + part).min(input.len()));
            if said(check, &less).is_some() {
                input = less;
            } else {
                start += part;
            }
        }
        part /= 2;
    }
    let said = said(check, &input).unwrap_or_else(|| "it fails only sometimes".to_owned());
    Found { input, said, after }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\ninput {}: {}", self.said, self.after, self.input.escape_ascii())
    }
}
