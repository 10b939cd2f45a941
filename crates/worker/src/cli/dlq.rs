//! `worker dlq …`

use clap::builder::PossibleValue;
use clap::{Args, Subcommand, ValueEnum};
use engine::{DeadReason, MoneyState};
use outbox::DeadLetterFilter;
use snap_core::{ResponseCode, Timestamp};

use super::{Page, When};

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Open dead letters, the oldest first
    #[command(
        alias = "ls",
        after_help = "\
Examples:
  worker dlq list
  worker dlq list --money maybe_sent --provider finpay
  worker dlq list --reason unresolved --since 1d -o json"
    )]
    List(DlqListArgs),
    /// One dead letter: why it is here, what happened before, and the message
    #[command(after_help = "\
Examples:
  worker dlq show 01JD9WZ0Q0V4T8K3M5N7P9R1S2
  worker dlq show 01JD9WZ0Q0V4T8K3M5N7P9R1S2 -o json | jq -r .message.bodyText")]
    Show(DlqShowArgs),
}

/// Arguments of `worker dlq list`.
#[derive(Clone, Debug, Default, Args)]
pub struct DlqListArgs {
    /// With this reason
    #[arg(long, value_name = "REASON", value_enum)]
    pub reason: Option<Reason>,
    /// With this response code
    #[arg(long, value_name = "CODE", value_parser = response_code)]
    pub code: Option<ResponseCode>,
    /// Of this provider
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// With this knowledge about the money
    #[arg(long, value_name = "STATE", value_enum)]
    pub money: Option<Money>,
    /// Dead at or after: a time (RFC 3339) or how long ago (2h, 3d)
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,
    /// How many.
    #[command(flatten)]
    pub page: Page,
}

/// Arguments of `worker dlq show`.
#[derive(Clone, Debug, Args)]
pub struct DlqShowArgs {
    /// Its id
    #[arg(value_name = "ID")]
    pub id: String,
}

/// Why something is a dead letter, as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason(pub DeadReason);

/// What is known about the money, as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money(pub MoneyState);

impl ValueEnum for Reason {
    fn value_variants<'a>() -> &'a [Self] {
        const { &all_reasons() }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.as_str()))
    }
}

impl ValueEnum for Money {
    fn value_variants<'a>() -> &'a [Self] {
        const { &all_money_states() }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.as_str()))
    }
}

const fn all_reasons() -> [Reason; DeadReason::ALL.len()] {
    let mut all = [Reason(DeadReason::ALL[0]); DeadReason::ALL.len()];
    let mut index = 0;
    while index < all.len() {
        all[index] = Reason(DeadReason::ALL[index]);
        index += 1;
    }
    all
}

const fn all_money_states() -> [Money; MoneyState::ALL.len()] {
    let mut all = [Money(MoneyState::ALL[0]); MoneyState::ALL.len()];
    let mut index = 0;
    while index < all.len() {
        all[index] = Money(MoneyState::ALL[index]);
        index += 1;
    }
    all
}

fn response_code(text: &str) -> Result<ResponseCode, String> {
    ResponseCode::parse(text).map_err(|error| error.to_string())
}

impl DlqListArgs {
    /// The filter, at `now`.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> DeadLetterFilter {
        DeadLetterFilter {
            reason: self.reason.map(|reason| reason.0),
            response_code: self.code.map(|code| code.as_str().to_owned()),
            provider: self.provider.clone(),
            money_state: self.money.map(|money| money.0),
            since: self.since.map(|when| when.at(now)),
            ..DeadLetterFilter::default()
        }
    }
}
