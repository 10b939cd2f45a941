//! A fault at the first call, at the second, at the third … until a run ends before the fault's turn came.

use crate::plan::{Fault, Plan, What, When};
use crate::run::{Run, play};
use crate::scenario::Scenario;

/// No run has so many calls.
const CALLS: u64 = 2000;

/// What came of a sweep.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// Runs.
    pub runs: u64,
    /// What was found, each with its plan.
    pub findings: Vec<String>,
}

impl Swept {
    /// Adds a run.
    pub fn add(&mut self, plan: &Plan, run: &Run) {
        self.runs += 1;
        if !run.findings.is_empty() {
            self.findings.push(format!("{plan}: {}", run.findings.join("; ")));
        }
    }
}

/// One fault at every call of a scenario.
#[must_use]
pub fn sweep(scenario: &Scenario, what: What, when: When) -> Swept {
    let mut swept = Swept::default();
    for at in 1..CALLS {
        let plan = Plan { scenario: scenario.clone(), faults: vec![Fault { at, when, what }], seed: at };
        let run = play(&plan);
        swept.add(&plan, &run);
        if run.struck.is_empty() {
            return swept;
        }
    }
    swept.findings.push(format!("{}: no end in {CALLS} calls", scenario.name));
    swept
}

/// Two faults at every pair of calls of a scenario, each `step`th of them from `first` on.
#[must_use]
pub fn pairs(scenario: &Scenario, one: (What, When), two: (What, When), first: u64, step: u64) -> Swept {
    let mut swept = Swept::default();
    for at in 1..CALLS {
        let mut is_over = false;
        let mut later = at + 1 + (first + at) % step.max(1);
        loop {
            let faults = vec![Fault { at, what: one.0, when: one.1 }, Fault { at: later, what: two.0, when: two.1 }];
            let plan = Plan { scenario: scenario.clone(), faults, seed: at << 32 | later };
            let run = play(&plan);
            swept.add(&plan, &run);
            is_over |= run.struck.is_empty();
            if run.struck.len() < 2 {
                break;
            }
            later += step.max(1);
        }
        if is_over {
            return swept;
        }
    }
    swept
}
