//! A backlog, worked off by several contenders in interleaved rounds.

use std::time::Duration;

use super::Bench;
use crate::bars::Bar;
use crate::contender::{Contender, Trouble};
use crate::report::Section;
use crate::rounds::{Comparison, compare};
use crate::run::Run;
use crate::scenario::{Field, Load, Scenario};
use crate::under::Under;

/// Added to each flush where a disk is to be slow.
const ADDED: Duration = Duration::from_millis(2);

/// Measures it, and holds it against the bars.
pub(super) async fn measure(
    bench: &Bench,
    scenario: &Scenario,
    load: Load,
    field: Field,
    rounds: usize,
) -> anyhow::Result<Section> {
    if field == Field::SlowDisk && !Under::SlowerFlush(ADDED).is_possible() {
        return Ok(Section::skipped(scenario, "strace, which adds to the flushes, is not installed"));
    }
    let load = Load { jobs: bench.jobs.unwrap_or(load.jobs), ..load };
    let contenders = contenders(bench, field);
    let comparison = compare(&bench.stage, scenario.name, &load, &contenders, rounds, &bench.progress).await?;
    let bars = bars(scenario.name, &comparison);
    Ok(Section::of_comparison(scenario, &comparison, bars))
}

fn contenders(bench: &Bench, field: Field) -> Vec<Contender> {
    let worker = |name: &str| Contender::worker(name, &bench.worker);
    let mut contenders = match field {
        Field::Twice => vec![
            Contender::bound_ev("bound-ev"),
            worker("worker"),
            Contender::bound_ev("bound-ev again"),
            worker("worker again"),
            Contender::bound(),
        ],
        Field::Pair => vec![Contender::bound_ev("bound-ev"), worker("worker")],
        Field::Three => vec![Contender::bound_ev("bound-ev"), worker("worker"), Contender::bound()],
        Field::SlowDisk => vec![
            Contender::bound_ev("bound-ev"),
            worker("worker"),
            // What watching costs by itself.
            Contender::worker("worker +0 ms", &bench.worker).under(Under::SlowerFlush(Duration::ZERO)),
            Contender::worker("worker +2 ms", &bench.worker).under(Under::SlowerFlush(ADDED)),
        ],
        Field::TwoProviders => vec![
            worker("worker"),
            worker("other down").beside(Trouble::Down),
            worker("other silent").beside(Trouble::Silent),
        ],
    };
    if let Some(rival) = &bench.rival {
        contenders.push(Contender::worker("rival", rival));
    }
    contenders
}

fn bars(scenario: &str, comparison: &Comparison) -> Vec<Bar> {
    let ratio = |who: &str, to: &str, figure: fn(&Run) -> f64| {
        comparison.of(who)?.ratio(comparison.of(to)?, figure).map(|spread| spread.median)
    };
    let speed = |who: &str, to: &str| ratio(who, to, |run| run.jobs_per_second);
    let cpu = |who: &str, to: &str| ratio(who, to, |run| run.cpu_ms.contender);
    let peak = |who: &str| Some(comparison.of(who)?.spread(|run| run.peak_pss_mib)?.max);
    let bars = match scenario {
        "0ms-64" => vec![
            Bar::at_least("jobs/s ÷ bound-ev", speed("worker", "bound-ev"), 0.85, 1.0),
            Bar::at_most("CPU a job ÷ bound-ev", cpu("worker", "bound-ev"), 1.5, 1.2),
            Bar::at_most("peak PSS, MiB", peak("worker"), 40.0, 24.0),
        ],
        "50ms-64" => vec![Bar::at_least("jobs/s ÷ bound-ev", speed("worker", "bound-ev"), 0.95, 0.98)],
        "50ms-512" => vec![
            Bar::at_least("jobs/s ÷ bound-ev", speed("worker", "bound-ev"), 0.85, 1.0),
            Bar::at_most("peak PSS, MiB", peak("worker"), 80.0, 48.0),
        ],
        "flush-64" => vec![Bar::at_least("jobs/s ÷ bound-ev", speed("worker +2 ms", "bound-ev"), 0.45, 0.70)],
        "flush-256" => vec![Bar::at_least("jobs/s ÷ bound-ev", speed("worker +2 ms", "bound-ev"), 0.85, 0.95)],
        "two-providers" => vec![
            Bar::at_least("jobs/s ÷ alone, other down", speed("other down", "worker"), 0.90, 0.97),
            Bar::at_least("jobs/s ÷ alone, other silent", speed("other silent", "worker"), 0.90, 0.97),
        ],
        _ => Vec::new(),
    };
    bars.into_iter().flatten().collect()
}
