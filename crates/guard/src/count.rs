//! Counts the instructions of a step: valgrind runs this program with few and with many of it, and the difference is
//! the step's alone, without the start of the program and what the step is prepared with.

use std::io;
use std::process::{Child, Command, Stdio};

use crate::steps::Step;

/// Why there is no count.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CountError {
    #[error("valgrind could not be started: {0}")]
    NoValgrind(io::Error),
    #[error("this program cannot be found: {0}")]
    NoProgram(io::Error),
    #[error("it failed under valgrind with {status}: {said}")]
    Failed { status: std::process::ExitStatus, said: String },
    #[error("valgrind told no count of instructions: {0}")]
    NoCount(String),
    #[error("more of it took no more instructions: {few} and {many}")]
    Backwards { few: u64, many: u64 },
}

impl CountError {
    /// What to try.
    pub(crate) const fn hint(&self) -> &'static str {
        match self {
            Self::NoValgrind(_) => "install it (apt-get install valgrind), so that it is on the PATH",
            Self::NoProgram(_) => "was the program moved while it ran? build it again",
            Self::Failed { .. } => "run the step alone: cargo run --profile guard -p guard -- run STEP 64",
            Self::NoCount(_) => "is it valgrind 3.15 or later? see: valgrind --version",
            Self::Backwards { .. } => "the step's work was optimised away: its inputs need a black_box",
        }
    }
}

/// The instructions of one `step`, in user space, by all threads; the kernel's are not among them.
///
/// # Errors
/// See [`CountError`].
pub(crate) fn per_step(step: &Step) -> Result<u64, CountError> {
    // Both at once: a count does not mind what else runs.
    let few = start(step, step.few)?;
    let many = start(step, step.many)?;
    let (few, many) = (end(few), end(many));
    let (few, many) = (few?, many?);
    let times = u64::from(step.many.saturating_sub(step.few)).max(1);
    match many.checked_sub(few) {
        None | Some(0) => Err(CountError::Backwards { few, many }),
        Some(more) => Ok(more / times),
    }
}

fn start(step: &Step, times: u32) -> Result<Child, CountError> {
    let program = std::env::current_exe().map_err(CountError::NoProgram)?;
    // Cachegrind without its caches counts like callgrind, several times as fast.
    Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(program)
        .args(["run", step.name, &times.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(CountError::NoValgrind)
}

fn end(child: Child) -> Result<u64, CountError> {
    let output = child.wait_with_output().map_err(CountError::NoValgrind)?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() {
        return Err(CountError::Failed { status: output.status, said });
    }
    instructions(&said).ok_or(CountError::NoCount(said))
}

/// The count in what cachegrind says at its end: `==7== I   refs:      2,041,074,546`.
fn instructions(said: &str) -> Option<u64> {
    let mut counts = said.lines().filter_map(|line| {
        let line = line.strip_prefix("==")?.split_once("== ")?.1;
        line.strip_prefix('I')?.trim_start().strip_prefix("refs:")
    });
    let (count, another) = (counts.next()?, counts.next());
    let count = count.trim();
    let plain = count.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
    if another.is_some() || !plain { None } else { count.replace(',', "").parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str =
        "==7== Cachegrind, a cache and branch-prediction profiler\n==7== \n==7== I   refs:      2,044,440,989";

    #[test]
    fn the_count_is_found_in_what_old_and_new_valgrinds_say() {
        assert_eq!(instructions(SAID), Some(2_044_440_989));
        assert_eq!(instructions("==31234== I refs:        7"), Some(7));
    }

    #[test]
    fn garbage_is_no_count() {
        let garbage = [
            "",
            "I refs: 7",
            "==7== D   refs:      7",
            "==7== I   refs:",
            "==7== I   refs:      ",
            "==7== I   refs:      7.5",
            "==7== I   refs:      -7",
            "==7== I   refs:      many",
            "==7== I   refs:      99,999,999,999,999,999,999,999",
            "==7== I1  misses:    7",
            "==7== Collected : 7",
            "==7== I   refs:      7\n==8== I   refs:      7",
            "valgrind: failed to start tool",
        ];
        for said in garbage {
            assert_eq!(instructions(said), None, "{said}");
        }
    }

    #[test]
    fn what_goes_wrong_is_told_with_what_to_try() {
        let missing = CountError::NoValgrind(io::Error::from(io::ErrorKind::NotFound));
        assert!(missing.hint().contains("apt-get install valgrind"));
    }
}
