//! Counts the instructions of a step: valgrind runs this program with few and with many of it, and the difference is
//! the step's alone, without the start of the program and what the step is prepared with.

use std::io;
use std::process::{Child, Stdio};

use crate::refs::{counted, instructions};
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
    counted(&program)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_wrong_is_told_with_what_to_try() {
        let missing = CountError::NoValgrind(io::Error::from(io::ErrorKind::NotFound));
        assert!(missing.hint().contains("apt-get install valgrind"));
    }
}
