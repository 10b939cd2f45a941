//! The benchmark of the worker: the same flow without durability beside it, in interleaved rounds, with what each part
//! costs. `docs/performance.md` says how it measures and why.
#![expect(clippy::float_arithmetic, reason = "ratios and rates of measurements; no money is counted here")]

mod bound;
mod child;
mod cli;
mod clock;
mod contender;
mod jobs;
mod progress;
mod provider;
mod queues;
mod report;
mod rounds;
mod run;
mod scenario;
mod stage;
mod stats;
mod table;
mod worker;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;

use cli::{Cli, Part};
use contender::{Contender, Program};
use progress::Progress;
use queues::QueueKind;
use rounds::compare;
use scenario::Load;
use stage::Stage;
use worker::Sync;

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
    let binary = match &cli.worker {
        Some(binary) => binary.clone(),
        None => worker::build()?,
    };
    let progress = Progress::new();
    progress.says("starting RabbitMQ and the provider");
    let stage = Stage::set(cli.dir.as_deref(), cli.settings.clone()).await?;
    let worker = |name: &str| Contender::new(name, Program::Worker { binary: binary.clone(), sync: Sync::Disk });
    let contenders = [
        Contender::new("bound-ev", Program::Bound { event: true }),
        worker("worker"),
        Contender::new("bound-ev again", Program::Bound { event: true }),
        worker("worker again"),
        Contender::new("bound", Program::Bound { event: false }),
    ];
    let load = Load {
        jobs: cli.jobs.unwrap_or(10_000),
        in_flight: 64,
        latency: Duration::ZERO,
        added_to_flush: Duration::ZERO,
        queues: QueueKind::Classic,
    };
    let comparison = compare(&stage, "0ms-64", &load, &contenders, cli.rounds.unwrap_or(5), &progress).await?;
    progress.finish();
    report::print(cli.output, &[comparison])?;
    Ok(ExitCode::SUCCESS)
}
