//! What a contender runs under: nothing, a slower disk, a counter of instructions.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::refs::counted;

/// What it runs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Under {
    /// Nothing: the machine as it is.
    Nothing,
    /// strace, which adds this to the return of each `fsync` and `fdatasync`.
    SlowerFlush(Duration),
    /// valgrind, which says at the end how many instructions it took, the kernel's not among them.
    Counter,
}

impl Under {
    /// The command that runs `program` so.
    pub(crate) fn command(self, program: &Path) -> Command {
        match self {
            Self::Nothing => Command::new(program),
            Self::SlowerFlush(by) => slowed(program, by),
            Self::Counter => counted(program),
        }
    }

    /// Whether the tool for it is on this machine.
    pub(crate) fn is_possible(self) -> bool {
        let (tool, asks) = match self {
            Self::Nothing => return true,
            Self::SlowerFlush(_) => ("strace", "-V"),
            Self::Counter => ("valgrind", "--version"),
        };
        Command::new(tool).arg(asks).output().is_ok_and(|output| output.status.success())
    }
}

fn slowed(program: &Path, by: Duration) -> Command {
    let mut strace = Command::new("strace");
    // As a grandchild (-D), so that the process we started is the worker. The kernel filters (--seccomp-bpf), so that
    // every other system call runs at full speed; but strace trusts a thread's filter only from the first call on
    // that it lets through, and set_robust_list is what every thread begins with.
    let calls = "trace=fsync,fdatasync,set_robust_list";
    strace.args(["-f", "-D", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", calls]);
    if !by.is_zero() {
        strace.args(["-e", &format!("inject=fsync,fdatasync:delay_exit={}", by.as_micros())]);
    }
    strace.arg(program);
    strace
}
