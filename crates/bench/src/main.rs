//! The benchmark of the worker: the same flow without durability beside it, in interleaved rounds, with what each part
//! costs. `docs/performance.md` says how it measures and why.
#![expect(clippy::float_arithmetic, reason = "ratios and rates of measurements; no money is counted here")]

mod bars;
mod bound;
mod child;
mod cli;
mod clock;
mod contender;
mod fill;
mod jobs;
mod machine;
mod profile;
mod progress;
mod provider;
mod queues;
#[path = "../../guard/src/refs.rs"]
mod refs;
mod report;
mod rounds;
mod run;
mod sample;
mod scenario;
mod scenarios;
mod stage;
mod starts;
mod stats;
mod table;
mod under;
mod used;
mod worker;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use cli::{Cli, Part};
use machine::Machine;
use progress::Progress;
use report::Section;
use scenario::{SCENARIOS, Scenario};
use scenarios::Bench;
use stage::Stage;
use table::Table;

/// Money or events are wrong.
const WRONG: u8 = 1;
/// A bar is missed.
const MISSED: u8 = 3;
/// Rounds of a quick run, and jobs of each of its runs.
const QUICK: (usize, u32) = (3, 5_000);

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(&cli) {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to be told where stderr is closed.
            drop(writeln!(std::io::stderr(), "bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn start(cli: &Cli) -> anyhow::Result<ExitCode> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if cli.part.is_none() {
        runtime.worker_threads(1); // the cores are for who is measured
    }
    let runtime = runtime.enable_all().build().context("failed to start the runtime")?;
    match &cli.part {
        Some(Part::Bound(args)) => runtime.block_on(bound::run(args)).map(|()| ExitCode::SUCCESS),
        Some(Part::Provider(args)) => runtime.block_on(provider::serve(args)).map(|()| ExitCode::SUCCESS),
        None => runtime.block_on(measure(cli)),
    }
}

async fn measure(cli: &Cli) -> anyhow::Result<ExitCode> {
    if cli.list {
        say(&list())?;
        return Ok(ExitCode::SUCCESS);
    }
    let scenarios = scenario::select(&cli.scenario, cli.quick)?;
    let (rounds, jobs) = if cli.quick { (Some(QUICK.0), Some(QUICK.1)) } else { (None, None) };
    raise_descriptor_limit()?;
    let worker = match &cli.worker {
        Some(worker) => worker.clone(),
        None => worker::build()?,
    };
    let progress = Progress::new();
    progress.says("starting RabbitMQ and the provider");
    let stage = Stage::set(cli).await?;
    let machine = Machine::look(&stage)?;
    progress.line(&machine.to_string());
    let bench = Bench {
        stage,
        worker: std::path::absolute(worker)?,
        rival: cli.rival.as_ref().map(std::path::absolute).transpose()?,
        rounds: cli.rounds.or(rounds),
        jobs: cli.jobs.or(jobs),
        progress,
    };
    let mut sections = Vec::new();
    for scenario in &scenarios {
        let section = bench.measure(scenario).await.with_context(|| format!("scenario {}", scenario.name))?;
        sections.push(section);
    }
    bench.progress.finish();
    report::print(cli.output, &machine, &sections)?;
    Ok(verdict(&sections, cli.check))
}

/// What the process ends with.
fn verdict(sections: &[Section], check: bool) -> ExitCode {
    let missed = sections.iter().flat_map(|section| &section.bars).any(|bar| !bar.is_reached());
    if sections.iter().any(|section| section.wrong > 0) {
        ExitCode::from(WRONG)
    } else if check && missed {
        ExitCode::from(MISSED)
    } else {
        ExitCode::SUCCESS
    }
}

fn list() -> String {
    let mut table = Table::new(&["scenario", "what", "about, s", "rounds", ""]).with_words(2);
    for Scenario { name, about, rounds, seconds, usual, .. } in SCENARIOS {
        let usual = if *usual { "" } else { "by name only" };
        let (seconds, rounds) = (seconds.to_string(), rounds.to_string());
        table.row([(*name).to_owned(), (*about).to_owned(), seconds, rounds, usual.to_owned()]);
    }
    table.render()
}

fn say(text: &str) -> anyhow::Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes()).context("failed to write to stdout")
}

/// Thousands of connections need as many descriptors; what is started here inherits the limit.
fn raise_descriptor_limit() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("failed to raise the limit of open files")
}
