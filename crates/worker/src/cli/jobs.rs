//! `worker jobs …`

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use outbox::JobFilter;
use snap_core::{CustomerNumber, PartnerReferenceNo, Timestamp};

use super::When;

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// Jobs, the newest first
    #[command(
        alias = "ls",
        after_help = "\
Examples:
  worker jobs list --state unconfirmed,dead --provider finpay
  worker jobs list --customer 081977817902 --since 3d
  worker jobs list --since 2026-11-22T00:00:00+07:00 -o jsonl --limit 10000"
    )]
    List(JobsListArgs),
    /// Everything that happened to one job, on one axis
    #[command(after_help = "\
Examples:
  worker jobs show 78912343452347893
  worker jobs show 78912343452347893 -o json | jq .timeline")]
    Show(JobsShowArgs),
    /// Count, rupiah and oldest age by provider and state
    #[command(after_help = "\
Examples:
  worker jobs stats
  worker jobs stats --since 1d -o json")]
    Stats(JobsStatsArgs),
    /// Every job as CSV or JSON Lines, the oldest first
    #[command(after_help = "\
Examples:
  worker jobs export --since 2026-11-01T00:00:00+07:00 > november.csv
  worker jobs export --state rejected,discarded --provider finpay -o jsonl | jq -r .partnerReferenceNo

CSV unless -o json or jsonl is given; phone numbers are masked in each. In CSV a text that a spreadsheet would take for a
formula (it begins with =, +, - or @) has a ' before it; JSON Lines have it as it is.")]
    Export(JobsExportArgs),
    /// The totals, again and again, with what changed
    #[command(after_help = "\
Examples:
  worker jobs watch
  worker jobs watch --provider finpay --every 5s
  worker jobs watch --rounds 10 -o jsonl

Ends with Ctrl-C. Where many jobs are stored it looks less often, so that it never takes more than a tenth of a core.")]
    Watch(JobsWatchArgs),
}

/// Which jobs.
#[derive(Clone, Debug, Default, Args)]
pub struct JobsFilterArgs {
    /// In one of these states
    #[arg(long, value_name = "STATE", value_enum, value_delimiter = ',')]
    pub state: Vec<JobState>,
    /// Of this provider
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Of this customer: 08…, 62… or +62…
    #[arg(long, value_name = "PHONE")]
    pub customer: Option<CustomerNumber>,
    /// Accepted at or after: a time (RFC 3339) or how long ago (2h, 3d)
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,
    /// Accepted before: a time (RFC 3339) or how long ago (2h, 3d)
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
    /// This text in either reference number, the response code or its message
    #[arg(long = "match", value_name = "TEXT")]
    pub matching: Option<String>,
}

/// Arguments of `worker jobs list`.
#[derive(Clone, Debug, Default, Args)]
pub struct JobsListArgs {
    /// Which.
    #[command(flatten)]
    pub filter: JobsFilterArgs,
    /// The oldest first
    #[arg(long)]
    pub oldest_first: bool,
    /// How many.
    #[command(flatten)]
    pub page: Page,
}

/// A part of a list.
#[derive(Clone, Debug, Args)]
pub struct Page {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub limit: u32,
    /// Go on behind this one: `next` of the page before
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: 50, after: None }
    }
}

/// Arguments of `worker jobs show`.
#[derive(Clone, Debug, Args)]
pub struct JobsShowArgs {
    /// Its partnerReferenceNo
    #[arg(value_name = "REF", value_parser = |text: &str| PartnerReferenceNo::try_from(text.to_owned()))]
    pub reference: PartnerReferenceNo,
}

/// Arguments of `worker jobs stats`.
#[derive(Clone, Debug, Default, Args)]
pub struct JobsStatsArgs {
    /// Which.
    #[command(flatten)]
    pub filter: JobsFilterArgs,
}

/// Arguments of `worker jobs export`.
#[derive(Clone, Debug, Default, Args)]
pub struct JobsExportArgs {
    /// Which.
    #[command(flatten)]
    pub filter: JobsFilterArgs,
}

/// Arguments of `worker jobs watch`.
#[derive(Clone, Debug, Default, Args)]
pub struct JobsWatchArgs {
    /// Which.
    #[command(flatten)]
    pub filter: JobsFilterArgs,
    /// How often to look
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = span)]
    pub every: Duration,
    /// Look so often, then end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: Option<u64>,
}

pub(super) fn span(text: &str) -> Result<Duration, String> {
    snap_core::duration::parse(text).map_err(|error| error.to_string())
}

/// A job's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's words, and nothing to add; a doc comment would show in the help")]
pub enum JobState {
    Ready,
    Inquired,
    Sending,
    Unconfirmed,
    Succeeded,
    Rejected,
    Dead,
    Discarded,
}

impl JobState {
    /// The contract's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Inquired => "inquired",
            Self::Sending => "sending",
            Self::Unconfirmed => "unconfirmed",
            Self::Succeeded => "succeeded",
            Self::Rejected => "rejected",
            Self::Dead => "dead",
            Self::Discarded => "discarded",
        }
    }
}

impl JobsFilterArgs {
    /// The filter, at `now`.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> JobFilter {
        JobFilter {
            states: self.state.iter().map(|state| state.as_str().to_owned()).collect(),
            provider: self.provider.clone(),
            customer: self.customer.clone(),
            since: self.since.map(|when| when.at(now)),
            until: self.until.map(|when| when.at(now)),
            matching: self.matching.clone(),
            oldest_first: false,
        }
    }
}
