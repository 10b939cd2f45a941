//! A guard over the steps that every top-up goes through: each is run under valgrind, which counts its instructions, and
//! the count is held against `limits.txt`. A count does not depend on how busy the machine is.
//!
//! ```text
//! cargo run --profile guard -p guard -- check            compares
//! cargo run --profile guard -p guard -- check --write    writes the table anew
//! cargo run --profile guard -p guard -- run STEP TIMES   one step, as often, for a profiler
//! ```

mod count;
mod limits;
mod policy;
mod refs;
mod steps;
mod store;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use count::{CountError, per_step};
use limits::{Limit, Limits, LimitsError, Made, Verdict};
use steps::{STEPS, Step};

/// Where the limits are kept.
const LIMITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/limits.txt");
const USAGE: &str = "guard check [--write] | guard run STEP TIMES";

/// A step has become dearer (`Above`), or what keeps the guard from telling.
#[derive(Debug, thiserror::Error)]
enum GuardError {
    #[error("{0}\nhint: {USAGE}")]
    Usage(String),
    #[error("the limits cannot be read from {path}: {source}\nhint: `guard check --write` makes them")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is not understood: {source}\nhint: mend that line, or make all anew: guard check --write")]
    Limits { path: PathBuf, source: LimitsError },
    #[error("{0} has no limit\nhint: `guard check --write` measures it and writes one down")]
    Unlimited(&'static str),
    #[error("failed to write {path}: {source}\nhint: the limits belong to the source; is it writable?")]
    Write { path: PathBuf, source: io::Error },
    #[error("failed to measure {step}: {source}\nhint: {}", source.hint())]
    Count { step: &'static str, source: CountError },
    #[error("failed to run the step: {0}\nhint: the store is made in the temporary directory; has it room?")]
    Step(String),
    #[error("failed to print: {0}\nhint: was the output closed?")]
    Print(#[from] io::Error),
    #[error("{} above {}\nhint: {}", steps_are(.0), if .0.len() == 1 { "its limit" } else { "their limits" }, dearer(.0))]
    Above(Vec<String>),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["run", step, times] => run(step, times),
        ["check"] => check(),
        ["check", "--write"] => write(),
        ["-h" | "--help"] => say(&format!("{USAGE}\nsteps: {}\n", names())),
        _ => Err(GuardError::Usage("these arguments are not understood".to_owned())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told where stderr is closed.
            drop(writeln!(io::stderr(), "guard: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs one step so many times.
fn run(step: &str, times: &str) -> Result<(), GuardError> {
    let known = STEPS.iter().find(|known| known.name == step);
    let known = known.ok_or_else(|| GuardError::Usage(format!("there is no step {step}, only {}", names())))?;
    let times = times.parse().map_err(|error| GuardError::Usage(format!("TIMES is a number, not {times}: {error}")))?;
    (known.run)(times).map_err(|error| GuardError::Step(error.to_string()))
}

/// Measures every step and holds it against its limit.
fn check() -> Result<(), GuardError> {
    let limits = read(Path::new(LIMITS))?;
    let here = Made::here();
    let widened = limits.made != here;
    if widened {
        say(&format!(
            "The limits were made with {}, this with {here}: up to {} % more is allowed.\n",
            limits.made,
            limits::OTHER_COMPILER_PERCENT
        ))?;
    }
    say(&format!("{:22}{:>14}{:>14}{:>8}  allowed\n", "instructions of", "measured", "expected", "ratio"))?;
    let mut above = Vec::new();
    for step in STEPS {
        let limit = limits.of(step.name).ok_or(GuardError::Unlimited(step.name))?;
        let measured = measure(step)?;
        let (ratio, allowed) = (limit.ratio(measured), limit.allowed_percent(widened));
        let told = match limit.verdict(measured, widened) {
            Verdict::Within => "",
            Verdict::FarBelow if widened => "",
            Verdict::FarBelow => "  far below, lower the limit: guard check --write",
            Verdict::Above => {
                above.push(step.name.to_owned());
                "  ABOVE"
            }
        };
        say(&format!("{:22}{measured:>14}{:>14}{ratio:>8}  +{allowed} %{told}\n", step.name, limit.expected))?;
    }
    if above.is_empty() { Ok(()) } else { Err(GuardError::Above(above)) }
}

/// Measures every step and makes that the table; what is allowed beyond it stays as it is.
fn write() -> Result<(), GuardError> {
    let path = Path::new(LIMITS);
    let before = if path.exists() { Some(read(path)?) } else { None };
    let mut limits = Limits { made: Made::here(), steps: Vec::new() };
    for step in STEPS {
        let expected = measure(step)?;
        let known = before.as_ref().and_then(|before| before.of(step.name));
        let percent = known.map_or(step.percent, |limit| limit.percent);
        say(&format!("{:22}{expected:>14}\n", step.name))?;
        limits.steps.push(Limit { step: step.name.to_owned(), expected, percent });
    }
    fs::write(path, limits.to_string()).map_err(|source| GuardError::Write { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Limits, GuardError> {
    let text = fs::read_to_string(path).map_err(|source| GuardError::Read { path: path.to_owned(), source })?;
    text.parse().map_err(|source| GuardError::Limits { path: path.to_owned(), source })
}

fn measure(step: &Step) -> Result<u64, GuardError> {
    per_step(step).map_err(|source| GuardError::Count { step: step.name, source })
}

fn steps_are(above: &[String]) -> String {
    format!("{} {}", above.join(", "), if above.len() == 1 { "is" } else { "are" })
}

/// What to do about steps that are above their limits.
fn dearer(above: &[String]) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_unknown| PathBuf::from("guard"));
    let look = |step: &String| format!("\n      valgrind --tool=callgrind {} run {step} 256", program.display());
    let looks: String = above.iter().map(look).collect();
    format!(
        "what has made it dearer? where its instructions go:{looks}\n      \
         and where it is worth it: cargo run --profile guard -p guard -- check --write"
    )
}

fn names() -> String {
    STEPS.iter().map(|step| step.name).collect::<Vec<_>>().join(", ")
}

fn say(text: &str) -> Result<(), GuardError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_above_its_limit_is_named_with_what_to_do() {
        let said = GuardError::Above(vec!["engine-life".to_owned()]).to_string();
        assert!(said.starts_with("engine-life is above its limit\nhint: "), "{said}");
        assert!(said.contains("run engine-life "), "{said}");
    }

    #[test]
    fn every_step_has_a_limit_and_every_limit_a_step() {
        let limits = read(Path::new(LIMITS)).expect("it is committed");
        let limited: Vec<_> = limits.steps.iter().map(|limit| limit.step.as_str()).collect();
        assert_eq!(limited, STEPS.iter().map(|step| step.name).collect::<Vec<_>>());
    }

    #[test]
    fn every_step_runs() {
        for step in STEPS {
            (step.run)(1).unwrap_or_else(|error| panic!("{}: {error}", step.name));
        }
    }
}
