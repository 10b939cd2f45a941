//! What is under way, on stderr: a moving line on a terminal, one line a run elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::ProgressBar;

use crate::run::Run;

/// The talk of a benchmark.
pub(crate) struct Progress {
    spinner: ProgressBar,
    terminal: bool,
}

impl Progress {
    /// Says nothing yet.
    pub(crate) fn new() -> Self {
        let spinner = ProgressBar::new_spinner();
        let terminal = std::io::stderr().is_terminal();
        if terminal {
            spinner.enable_steady_tick(Duration::from_millis(200));
        }
        Self { spinner, terminal }
    }

    /// What happens now.
    pub(crate) fn says(&self, what: &str) {
        self.spinner.set_message(what.to_owned());
    }

    /// What a run came to.
    pub(crate) fn ran(&self, name: &str, run: &Run) {
        self.line(&format!(
            "  {name:<18}{:>8.0} jobs/s  {:.3} ms CPU a job  {:.0} MiB  others {:.0} %",
            run.jobs_per_second,
            run.cpu_ms.contender,
            run.peak_pss_mib,
            run.others_share * 100.0
        ));
    }

    /// A line that stays.
    pub(crate) fn line(&self, text: &str) {
        if self.terminal {
            self.spinner.println(text);
        } else {
            // Nobody is left to be told where stderr is closed.
            drop(writeln!(std::io::stderr(), "{text}"));
        }
    }

    /// Takes the moving line away.
    pub(crate) fn finish(&self) {
        self.spinner.finish_and_clear();
    }
}
