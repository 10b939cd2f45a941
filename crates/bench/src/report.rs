//! The results, for people and for machines.

use std::io::Write as _;

use anyhow::Context as _;

use crate::cli::Format;
use crate::rounds::Comparison;
use crate::stats::Spread;
use crate::table::Table;

/// Writes everything to stdout.
pub(crate) fn print(format: Format, comparisons: &[Comparison]) -> anyhow::Result<()> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(comparisons).context("failed to write JSON")? + "\n",
        Format::Table => comparisons.iter().map(comparison).collect::<Vec<_>>().join("\n"),
    };
    std::io::stdout().lock().write_all(text.as_bytes()).context("failed to write to stdout")
}

fn comparison(comparison: &Comparison) -> String {
    let mut table = Table::new(&["", "jobs/s", "÷ first", "CPU ms/job", "÷ first", "broker", "prov.", "PSS", "oth."]);
    let Some(first) = comparison.contenders.first() else { return String::new() };
    let show = |spread: Option<Spread>, decimals| spread.map_or_else(|| "-".to_owned(), |spread| spread.show(decimals));
    let median = |spread: Option<Spread>| spread.map_or(0.0, |spread| spread.median);
    for results in &comparison.contenders {
        table.row([
            results.name.clone(),
            show(results.spread(|run| run.jobs_per_second), 0),
            show(results.ratio(first, |run| run.jobs_per_second), 2),
            format!("{:.3}", median(results.spread(|run| run.cpu_ms.contender))),
            show(results.ratio(first, |run| run.cpu_ms.contender), 2),
            format!("{:.3}", median(results.spread(|run| run.cpu_ms.broker))),
            format!("{:.3}", median(results.spread(|run| run.cpu_ms.provider))),
            format!("{:.0}", results.spread(|run| run.peak_pss_mib).map_or(0.0, |spread| spread.max)),
            format!("{:.0}%", median(results.spread(|run| run.others_share)) * 100.0),
        ]);
    }
    format!("{}\n{}", comparison.scenario, table.render())
}
