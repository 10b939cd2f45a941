//! A fault at the first call, at the second, at the third … until a run ends before the fault's turn came.

use std::collections::BTreeMap;

use testbed::matrix::{Fault as Column, Point, Technique, executed};

use crate::mistake::Mistake;
use crate::plan::{Fault, Plan, What, When};
use crate::run::{Run, play, play_with};
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
    /// Cells of the fault matrix that were hit.
    pub hits: BTreeMap<(Point, Column), u64>,
}

impl Swept {
    /// Counts what was hit in the fault matrix.
    pub fn count(&self) {
        for ((point, fault), times) in &self.hits {
            executed(*point, *fault, Technique::Simulation, *times);
        }
    }

    /// Adds another sweep.
    pub fn join(&mut self, other: Self) {
        self.runs += other.runs;
        self.findings.extend(other.findings);
        for (cell, times) in other.hits {
            *self.hits.entry(cell).or_default() += times;
        }
    }

    /// Adds a run.
    pub fn add(&mut self, plan: &Plan, run: &Run) {
        self.runs += 1;
        for (point, fault) in &run.hits {
            *self.hits.entry((*point, *fault)).or_default() += 1;
        }
        if !run.findings.is_empty() {
            self.findings.push(format!("{plan}: {}", run.findings.join("; ")));
        }
    }
}

/// One fault at every call of a scenario.
#[must_use]
pub fn sweep(scenario: &Scenario, what: What, when: When) -> Swept {
    sweep_from(scenario, 1, what, when)
}

/// One fault at every call of a scenario from this one on.
#[must_use]
pub fn sweep_from(scenario: &Scenario, first: u64, what: What, when: When) -> Swept {
    let mut swept = Swept::default();
    for at in first..CALLS {
        let plan = Plan { scenario: scenario.clone(), faults: vec![Fault { at, when, what }], seed: at };
        let run = play(&plan);
        swept.add(&plan, &run);
        // What was struck may not be: there are calls at which a fault means nothing.
        if run.calls < at {
            return swept;
        }
    }
    swept.findings.push(format!("{}: no end in {CALLS} calls", scenario.name));
    swept
}

/// A second fault at every call after the first one, each `step`th of them.
#[must_use]
pub fn second(scenario: &Scenario, first: Fault, two: (What, When), step: u64) -> Swept {
    second_in(scenario, first, two, step).0
}

/// And whether the first one had its turn.
fn second_in(scenario: &Scenario, first: Fault, (what, when): (What, When), step: u64) -> (Swept, bool) {
    let mut swept = Swept::default();
    let mut at = first.at + 1;
    while at < CALLS {
        let plan = Plan {
            scenario: scenario.clone(),
            faults: vec![first, Fault { at, when, what }],
            seed: first.at << 32 | at,
        };
        let run = play(&plan);
        swept.add(&plan, &run);
        if run.calls < at {
            return (swept, run.calls >= first.at);
        }
        at += step.max(1);
    }
    swept.findings.push(format!("{}: no end in {CALLS} calls", scenario.name));
    (swept, false)
}

/// Two faults at every pair of calls of a scenario, of the second each `step`th.
#[must_use]
pub fn pairs(scenario: &Scenario, one: (What, When), two: (What, When), step: u64) -> Swept {
    some_pairs(scenario, one, two, (1, step))
}

/// Two faults at pairs of calls of a scenario: at each so many of the first, and of the second.
#[must_use]
pub fn some_pairs(scenario: &Scenario, one: (What, When), two: (What, When), steps: (u64, u64)) -> Swept {
    let mut swept = Swept::default();
    let mut at = 1;
    while at < CALLS {
        let (more, had_its_turn) = second_in(scenario, Fault { at, what: one.0, when: one.1 }, two, steps.1);
        swept.join(more);
        if !had_its_turn {
            return swept;
        }
        at += steps.0.max(1);
    }
    swept.findings.push(format!("{}: no end in {CALLS} calls", scenario.name));
    swept
}

/// The number of the first call of this name (`TopUp`) where nothing goes wrong.
#[must_use]
pub fn call_of(scenario: &Scenario, name: &str) -> Option<u64> {
    let plan = Plan { scenario: scenario.clone(), faults: Vec::new(), seed: 0 };
    let run = play_with(&plan, Mistake::None, true);
    let line = run.lines.iter().find(|line| line.split(' ').nth(2) == Some(name))?;
    line.split(' ').nth(1)?.parse().ok()
}
