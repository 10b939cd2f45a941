//! The command line: every command, argument and example. Commands of one noun stand together; what they do is in `ops`.

mod act;
mod audit;
mod dlq;
mod dlq_act;
mod dlq_replay;
mod drill;
mod explain;
mod jobs;
mod provider;
mod sim;
mod store;
mod when;

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

pub use act::ActArgs;
pub use audit::{AuditCommand, AuditExportArgs, AuditFilterArgs, AuditListArgs, AuditVerifyArgs};
pub use dlq::{DlqCommand, DlqFilterArgs, DlqGroupsArgs, DlqListArgs, DlqShowArgs, Group, Money, Reason};
pub use dlq_act::{DlqActArgs, DlqChoiceArgs, DlqEditArgs, DlqPurgeArgs, DlqRestoreArgs};
pub use dlq_replay::{DlqReplayArgs, PlanActArgs, PlanResumeArgs, PlanShowArgs, PlansCommand, Rate, TermsArgs};
pub use drill::{AgainstArgs, DrillArgs, DrillSetting, SettingError};
pub use explain::ExplainArgs;
pub use jobs::{
    JobState, JobsCommand, JobsExportArgs, JobsFilterArgs, JobsListArgs, JobsShowArgs, JobsStatsArgs, JobsWatchArgs,
    Page,
};
pub use provider::{ProviderActArgs, ProviderCommand};
pub use sim::{Faults, Personality, Repeat, SimArgs};
pub use store::{StoreAdoptArgs, StoreBackupArgs, StoreClockArgs, StoreCommand, StoreRestoreArgs, StoreRestoredArgs};
pub use when::{When, WhenError};

use crate::config::Environment;
use crate::ops::schema::Document;

/// Tops up e-wallets over SNAP BI: RabbitMQ in, inquiry and top-up, outcomes out; each job is credited at most once.
#[derive(Debug, Parser)]
#[command(name = "worker", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  worker demo --jobs 1000               see it work; needs nothing
  worker init && worker check           a configuration, and what is wrong with it
  worker run                            the service
  worker jobs show 78912343452347893    what happened to one top-up
  worker dlq list                       what waits for a person";

/// What holds for every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Configuration file [default: $WORKER_CONFIG, else ./worker.toml]
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Form of the data on stdout
    #[arg(short, long, value_name = "FORM", global = true, value_enum, default_value_t, hide_possible_values = true, help = OUTPUT_HELP)]
    pub output: Format,
    /// Log more; twice: still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Colours: auto, always or never
    #[arg(long, value_name = "WHEN", global = true, value_enum, default_value_t, hide_possible_values = true)]
    pub color: Color,
}

const OUTPUT_HELP: &str = "Form of the data on stdout: table, json or jsonl";

/// The form of the data on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// `auto` becomes `never` where the environment asks for no colours.
    ///
    /// Source: <https://no-color.org>.
    #[must_use]
    pub fn unless_unwanted(self, environment: &Environment) -> Self {
        let is_unwanted = environment.get("NO_COLOR").is_some_and(|value| !value.is_empty())
            || environment.get("TERM") == Some("dumb");
        if self == Self::Auto && is_unwanted { Self::Never } else { self }
    }

    /// Whether colours are used on something that is, or is not, a terminal.
    #[must_use]
    pub const fn is_wanted(self, is_terminal: bool) -> bool {
        match self {
            Self::Auto => is_terminal,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The service: consume, drive, publish
    #[command(after_help = "\
Examples:
  worker run
  worker run -c /etc/worker/worker.toml -v

SIGTERM or Ctrl-C stops in order; a second one exits at once (130). Nothing is lost either way.")]
    Run,
    /// Everything in one process against the built-in provider simulator; needs no set-up
    #[command(after_help = "\
Examples:
  worker demo
  worker demo --jobs 5000 --faults wild --seed 7
  worker demo --amqp amqp://guest:guest@127.0.0.1:5672/%2f
  worker demo --faults some --keep /tmp/demo && worker -c /tmp/demo/worker.toml dlq list")]
    Demo(DemoArgs),
    /// Evidence: breaks a real worker in every way for a while, and judges what came of it
    #[command(after_help = "\
Examples:
  worker drill
  worker drill --jobs 5000 --seconds 600 --kills 200 --seed 7
  worker drill --amqp amqp://guest:guest@127.0.0.1:5672/%2f -o json
  worker drill --set status.quiet_period=1ms    an unsafe setting, which the judge should find
  worker drill -c sandbox.toml --against https://sandbox.example.co.id --customer 081234567890 --amount 10000.00

Starts the provider simulator, which pays whatever is sent twice, a store, and `worker run` as a process of its own; kills it
with kill -9, freezes it, lets its writes fail, starts a second one beside it, and takes provider and broker away, all by seed.
When all has come to rest, a judge that shares no code with the worker compares the simulator's ledger with the worker's lists,
the outcomes and the audit trail. Your own configuration, store and queues are left alone. Exit code 3 where anything is wrong.
The same seed breaks the same things at the same times; what they meet depends on the machine.

With --against nothing is broken: a provider's own sandbox is asked whether it answers as its profile says. Exit code 3 where
it does not, or where that cannot be seen.")]
    Drill(Box<DrillArgs>),
    /// Write a commented worker.toml
    #[command(after_help = "\
Examples:
  worker init
  worker init --provider midtrans -c midtrans.toml")]
    Init(InitArgs),
    /// Doctor: configuration, secrets, store, broker, providers, clock
    #[command(after_help = "\
Examples:
  worker check
  worker check -o json

Moves no money and changes nothing. Exit code 2 where something is wrong; warnings alone are 0.")]
    Check,
    /// Producer side: send jobs from a file, all or none
    #[command(after_help = "\
Examples:
  worker submit jobs.jsonl
  echo '{\"partnerReferenceNo\":\"A-1\",\"customerNumber\":\"081977817902\",\"amount\":{\"value\":\"10000.00\",\"currency\":\"IDR\"}}' | worker submit -

Takes one JSON object, an array, or one object a line (`worker schema job`). Nothing is sent unless every job is
valid. To send a file again does no harm: a known partnerReferenceNo is not topped up twice.")]
    Submit(SubmitArgs),
    /// Jobs: list, show, stats, export, watch
    #[command(subcommand, alias = "job")]
    Jobs(JobsCommand),
    /// Dead letters, which wait for a person: look at them, settle them
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// The providers' lanes: list, pause, resume
    #[command(subcommand, alias = "providers")]
    Provider(ProviderCommand),
    /// The store itself: after a restore, and whose namespace it has
    #[command(subcommand)]
    Store(StoreCommand),
    /// What operators did: list, verify, export
    #[command(subcommand)]
    Audit(AuditCommand),
    /// What a response code means, and what the worker does about it
    #[command(after_help = "\
Examples:
  worker explain 4043811
  worker explain 403 14                 of any service
  worker explain 2003900 --service 38   as the answer of a top-up
  worker explain 07                     a latestTransactionStatus
  worker explain unresolved             why a dead letter is one
  worker explain 5043800 --provider midtrans -o json

Needs no configuration; where there is one, its providers' own rules are used. Codes that nobody has listed get the
reading that is safe for the money.")]
    Explain(ExplainArgs),
    /// JSON Schema of the job message, the outcome event or the configuration
    #[command(after_help = "\
Examples:
  worker schema job > job.schema.json
  worker schema config")]
    Schema {
        /// Which
        document: Document,
    },
    /// The provider simulator alone, for producers' own tests
    #[command(after_help = "\
Examples:
  worker sim > worker.toml              the configuration that fits it is its output
  worker sim --listen 127.0.0.1:9000 --profile finpay --repeat pay-again --faults wild
  curl http://127.0.0.1:8600/_sim/magic")]
    Sim(SimArgs),
    /// Shell completions
    #[command(after_help = "\
Examples:
  source <(worker completions bash)
  worker completions fish > ~/.config/fish/completions/worker.fish")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Arguments of `worker demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// How many jobs
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub jobs: u32,
    /// Through this RabbitMQ instead of the store alone
    #[arg(long, value_name = "URL")]
    pub amqp: Option<String>,
    /// How often the provider misbehaves
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    pub faults: Faults,
    /// Of customers, amounts and faults: the same seed, the same run
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Leave store and configuration behind in this folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// Arguments of `worker init`.
#[derive(Clone, Copy, Debug, Args)]
pub struct InitArgs {
    /// Whose settings to write
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub provider: Personality,
}

/// Arguments of `worker submit`.
#[derive(Clone, Debug, Args)]
pub struct SubmitArgs {
    /// JSON or JSON Lines; - is stdin
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
}

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}

impl Cli {
    /// The command line of this process; `--help`, `--version` and mistakes end it here.
    #[must_use]
    pub fn of_process() -> Self {
        let arguments: Vec<_> = std::env::args_os().collect();
        let matches = Self::command().color(help_color(&arguments)).get_matches_from(arguments);
        clap::FromArgMatches::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// Help and mistakes are coloured as everything else; they are printed before the arguments are known.
fn help_color(arguments: &[std::ffi::OsString]) -> clap::ColorChoice {
    let is = |when: &str| {
        let split = arguments.windows(2).any(|pair| pair[0] == "--color" && pair[1] == when);
        split || arguments.iter().any(|argument| argument.to_str() == Some(&format!("--color={when}")))
    };
    match (is("always"), is("never")) {
        (true, _) => clap::ColorChoice::Always,
        (_, true) => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    }
}

#[cfg(test)]
mod tests;
