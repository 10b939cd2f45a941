//! The results, for people and for machines.

use std::io::Write as _;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::bars::Bar;
use crate::cli::Format;
use crate::machine::Machine;
use crate::rounds::Comparison;
use crate::scenario::Scenario;
use crate::stats::Spread;
use crate::table::Table;

/// What one scenario came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Section {
    /// Its name.
    pub(crate) scenario: &'static str,
    about: &'static str,
    /// Every figure.
    figures: Value,
    /// What had to be reached.
    pub(crate) bars: Vec<Bar>,
    /// Credits, outcomes or jobs that are wrong: must be none.
    pub(crate) wrong: u64,
    #[serde(skip)]
    text: String,
}

impl Section {
    /// A scenario with its figures, and the same for people.
    pub(crate) fn new(scenario: &Scenario, figures: impl Serialize, text: String) -> Self {
        let figures = serde_json::to_value(figures).unwrap_or(Value::Null);
        Self { scenario: scenario.name, about: scenario.about, figures, bars: Vec::new(), wrong: 0, text }
    }

    /// A scenario that could not be measured here.
    pub(crate) fn skipped(scenario: &Scenario, why: &str) -> Self {
        Self::new(scenario, json!({ "skipped": why }), format!("SKIPPED: {why}\n"))
    }

    /// Contenders beside each other.
    pub(crate) fn of_comparison(scenario: &Scenario, comparison: &Comparison, bars: Vec<Bar>) -> Self {
        let section = Self::new(scenario, comparison, contenders(comparison));
        Self { bars, wrong: comparison.wrong(), ..section }
    }

    /// The same with bars.
    pub(crate) fn with_bars(self, bars: impl IntoIterator<Item = Option<Bar>>) -> Self {
        Self { bars: bars.into_iter().flatten().collect(), ..self }
    }

    /// The same with more figures, and more for people.
    pub(crate) fn and(self, figures: &Value, text: &str) -> Self {
        Self { figures: json!([self.figures, figures]), text: self.text + "\n" + text, ..self }
    }

    /// The same with what was wrong.
    pub(crate) fn with_wrong(self, wrong: u64) -> Self {
        Self { wrong, ..self }
    }
}

/// Writes everything to stdout.
pub(crate) fn print(format: Format, machine: &Machine, sections: &[Section]) -> anyhow::Result<()> {
    let text = match format {
        Format::Json => {
            let report = json!({ "machine": machine, "scenarios": sections });
            serde_json::to_string_pretty(&report).context("failed to write JSON")? + "\n"
        }
        Format::Table => tables(machine, sections),
    };
    std::io::stdout().lock().write_all(text.as_bytes()).context("failed to write to stdout")
}

fn tables(machine: &Machine, sections: &[Section]) -> String {
    let mut text = format!("{machine}\n");
    for section in sections {
        text.push_str(&format!("\n{}: {}\n{}", section.scenario, section.about, section.text));
    }
    if sections.iter().any(|section| !section.bars.is_empty()) {
        let mut table = Table::new(&["scenario", "figure", "measured", "must", "aim", ""]).with_words(2);
        for (section, bar) in sections.iter().flat_map(|section| section.bars.iter().map(move |bar| (section, bar))) {
            let (must, aim) = bar.limits();
            let (scenario, measured) = (section.scenario.to_owned(), format!("{:.2}", bar.measured));
            table.row([scenario, bar.what.clone(), measured, must, aim, bar.verdict().to_owned()]);
        }
        text.push_str(&format!("\n{}", table.render()));
    }
    let wrong: u64 = sections.iter().map(|section| section.wrong).sum();
    text.push_str(&format!("\ndouble credits, lost jobs and lost events in all runs: {wrong}\n"));
    text
}

/// A row a contender: medians, with the range of what varies most.
fn contenders(comparison: &Comparison) -> String {
    let Some(first) = comparison.contenders.first() else { return String::new() };
    let mut table =
        Table::new(&["", "jobs/s", "ratio", "CPU ms/job", "ratio", "broker", "provider", "PSS MiB", "others"]);
    let show = |spread: Option<Spread>, decimals| spread.map_or_else(String::new, |spread| spread.show(decimals));
    let median = |spread: Option<Spread>, decimals: usize| {
        spread.map_or_else(String::new, |spread| format!("{:.decimals$}", spread.median))
    };
    for results in &comparison.contenders {
        let others = results.spread(|run| run.others_share * 100.0);
        table.row([
            results.name.clone(),
            show(results.spread(|run| run.jobs_per_second), 0),
            show(results.ratio(first, |run| run.jobs_per_second), 2),
            median(results.spread(|run| run.cpu_ms.contender), 3),
            show(results.ratio(first, |run| run.cpu_ms.contender), 2),
            median(results.spread(|run| run.cpu_ms.broker), 3),
            median(results.spread(|run| run.cpu_ms.provider), 3),
            results.spread(|run| run.peak_pss_mib).map_or_else(String::new, |spread| format!("{:.0}", spread.max)),
            format!("{}%", median(others, 0)),
        ]);
    }
    let repeated: u64 = comparison.contenders.iter().flat_map(|results| &results.runs).map(|run| run.repeated).sum();
    let repeated = if repeated == 0 { String::new() } else { format!("events told more than once: {repeated}\n") };
    table.render() + &repeated
}
