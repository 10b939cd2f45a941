//! Arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "Examples:
  cargo run --release -p bench                          everything
  cargo run --release -p bench -- --quick               the main comparison, in a minute or two
  cargo run --release -p bench -- --scenario 0ms-64 --rounds 7 --jobs 20000
  cargo run --release -p bench -- --set amqp.prefetch=512 --scenario 0ms-64
  cargo run --release -p bench -- --rival ../before/worker --scenario 0ms-64
  cargo run --release -p bench -- -o json > bench.json";

/// The worker against the same flow without durability, in interleaved rounds.
///
/// Starts its own RabbitMQ node and provider simulator on free ports, and takes them away again.
#[derive(Debug, Parser)]
#[command(name = "bench", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to measure; may be given several times [default: all that --list shows as such]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) scenario: Vec<String>,
    /// Rounds of each comparison [default: the scenario's own number]
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<usize>,
    /// Jobs of each run, instead of the scenario's own number
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<u32>,
    /// Only the main comparison, with fewer and shorter rounds
    #[arg(long)]
    pub(crate) quick: bool,
    /// Exit with 3 where a bar is missed (with 1 always where money or events are wrong)
    #[arg(long)]
    pub(crate) check: bool,
    /// How the results are written to stdout
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
    /// Where the stores are made: on the disk to measure [default: where temporary files go]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The worker to measure, built already [default: the one of this tree, built when needed]
    #[arg(long, value_name = "FILE")]
    pub(crate) worker: Option<PathBuf>,
    /// Another worker to compare with, in the same rounds
    #[arg(long, value_name = "FILE")]
    pub(crate) rival: Option<PathBuf>,
    /// A key of the worker's configuration to set, such as amqp.prefetch=512; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) settings: Vec<(String, String)>,
    /// Before each run, wait up to this long for the machine to have nothing else to do
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = snap_core::duration::parse)]
    pub(crate) patience: Duration,
    /// Shows the scenarios and how long they take
    #[arg(long)]
    pub(crate) list: bool,
    /// A part of the benchmark that runs as a process of its own
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
}

/// A process of the benchmark.
#[derive(Debug, Subcommand)]
#[command(hide = true)]
pub(crate) enum Part {
    /// The flow without durability
    #[command(hide = true)]
    Bound(BoundArgs),
    /// The provider
    #[command(hide = true)]
    Provider(ProviderArgs),
}

/// Arguments of `bench bound`.
#[derive(Debug, clap::Args)]
pub(crate) struct BoundArgs {
    /// The broker
    #[arg(long)]
    pub(crate) amqp: String,
    /// The first part of the queues' names
    #[arg(long)]
    pub(crate) namespace: String,
    /// Base URL of the provider
    #[arg(long)]
    pub(crate) provider: String,
    /// Jobs at a time
    #[arg(long)]
    pub(crate) in_flight: u32,
    /// Deliveries taken and not acknowledged at a time
    #[arg(long)]
    pub(crate) prefetch: u16,
    /// Publish nothing, acknowledge only
    #[arg(long)]
    pub(crate) no_event: bool,
}

/// Arguments of `bench provider`.
#[derive(Debug, clap::Args)]
pub(crate) struct ProviderArgs {
    /// Where to listen
    #[arg(long)]
    pub(crate) port: u16,
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// For machines: every run with all its figures
    Json,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as amqp.prefetch=512")?;
    Ok((key.to_owned(), value.to_owned()))
}
