//! `worker drill`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use snap_core::{Amount, CustomerNumber};

use super::Faults;

/// Arguments of `worker drill`.
#[derive(Clone, Debug, Args)]
pub struct DrillArgs {
    /// How many jobs
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub jobs: u32,
    /// How long jobs come and things are broken, each kind at least once; coming to rest takes as long as it takes
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// Of jobs, provider faults, and of what is broken when [default: a new one each time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How often the provider misbehaves; with some and wild there are outages, too
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "wild")]
    pub faults: Faults,
    /// How often the worker is killed with kill -9, now and then while it recovers
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub kills: u32,
    /// Through this RabbitMQ, with queues of its own that are removed afterwards
    #[arg(long, value_name = "URL")]
    pub amqp: Option<String>,
    /// Leave store, configuration and log behind in this folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Fill the file system of --keep DIR up for a while; only where at most 1 GiB is free there
    #[arg(long, requires = "keep")]
    pub fill: bool,
    /// A setting of the drilled worker's providers, such as status.quiet_period=1ms; the certificate names it
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<DrillSetting>,
    /// Ask a provider's own sandbox instead; moves test money there
    #[command(flatten)]
    pub against: AgainstArgs,
}

/// What `--against` takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Against a provider's own sandbox")]
pub struct AgainstArgs {
    /// The sandbox; its credentials and profile come from the configuration (-c)
    #[arg(long, value_name = "URL", requires_all = ["customer", "amount"],
        conflicts_with_all = ["jobs", "seconds", "seed", "faults", "kills", "amqp", "keep", "fill", "set"])]
    pub against: Option<String>,
    /// The configured provider [default: default_provider, or the only one]
    #[arg(long, value_name = "NAME", requires = "against")]
    pub provider: Option<String>,
    /// A test number that the sandbox credits
    #[arg(long, value_name = "NUMBER", requires = "against", value_parser = CustomerNumber::parse)]
    pub customer: Option<CustomerNumber>,
    /// How much each top-up is, such as 10000.00; there are at most two
    #[arg(long, value_name = "AMOUNT", requires = "against", value_parser = Amount::parse_strict)]
    pub amount: Option<Amount>,
    /// Which wallet, where the provider wants to know
    #[arg(long, value_name = "NAME", requires = "against")]
    pub beneficiary_provider: Option<String>,
    /// Do not ask
    #[arg(long, requires = "against")]
    pub yes: bool,
}

/// One setting of the drilled worker: a key below `[providers.NAME]`, for each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillSetting {
    /// As in the configuration, with dots.
    pub key: String,
    /// As in the configuration, without quotes.
    pub value: String,
}

/// Why a text is no setting of a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// There is no `=`.
    #[error("write KEY=VALUE")]
    Form,
    /// A drill does not let this be changed: it would call somebody else, or be another drill.
    #[error("one of {}, retry.…, status.…", SETTABLE.join(", "))]
    Key,
}

/// What can be set beside the keys of `retry` and `status`.
const SETTABLE: [&str; 6] =
    ["connect_timeout", "max_in_flight", "probe_initial", "probe_max", "rate_limit", "request_timeout"];

impl FromStr for DrillSetting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let (key, value) = text.split_once('=').ok_or(SettingError::Form)?;
        let below =
            |section: &str| key.strip_prefix(section).is_some_and(|rest| !rest.is_empty() && !rest.contains('.'));
        if !SETTABLE.contains(&key) && !below("retry.") && !below("status.") {
            return Err(SettingError::Key);
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}
