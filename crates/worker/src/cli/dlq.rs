//! `worker dlq …`

use clap::builder::PossibleValue;
use clap::{Args, Subcommand, ValueEnum};
use engine::{DeadReason, MoneyState};
use outbox::{DeadLetterFace, DeadLetterFilter};
use snap_core::{ResponseCode, Timestamp};

use super::{DlqActArgs, DlqEditArgs, DlqPurgeArgs, DlqReplayArgs, DlqRestoreArgs, Page, PlansCommand, When};

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Open dead letters by provider, reason and response code: count, rupiah, age, what is known of the money
    #[command(after_help = "\
Examples:
  worker dlq groups
  worker dlq groups --since 1d -o json
  worker dlq list --group finpay/unresolved/5043800")]
    Groups(DlqGroupsArgs),
    /// Open dead letters, the oldest first
    #[command(
        alias = "ls",
        after_help = "\
Examples:
  worker dlq list
  worker dlq list --money maybe_sent --provider finpay
  worker dlq list --reason-code unresolved --since 1d -o json
  worker dlq list --group finpay/unresolved/5043800"
    )]
    List(DlqListArgs),
    /// One dead letter: why it is here, what happened before, and the message
    #[command(after_help = "\
Examples:
  worker dlq show 01JD9WZ0Q0V4T8K3M5N7P9R1S2
  worker dlq show 01JD9WZ0Q0V4T8K3M5N7P9R1S2 -o json | jq -r .message.bodyText")]
    Show(DlqShowArgs),
    /// Ask the provider what became of top-ups, and record the answer; moves no money
    #[command(after_help = "\
Examples:
  worker dlq check 01JD9WZ0Q0V4T8K3M5N7P9R1S2 --reason 'customer asks, INC-124'
  worker dlq check --money maybe_sent --provider finpay --reason 'provider is back' --yes

Paid closes it as succeeded; cancelled or failed as rejected; anything else leaves it where it is.")]
    Check(DlqActArgs),
    /// Let dead letters go once more, as a plan: frozen, paced, with canaries and brakes
    #[command(after_help = "\
Examples:
  worker dlq replay 01JD9WZ0Q0V4T8K3M5N7P9R1S2 --reason 'provider is back, INC-124'
  worker dlq replay --group finpay/unresolved/5043800 --dry-run
  worker dlq replay --provider finpay --canary 3 --rate 2/s --max-amount 50000000 --reason 'INC-124' --yes
  worker dlq replay --all --limit 100 --wait --reason 'INC-124'

A replay resumes the same top-up under the same partnerReferenceNo. What may have been sent is asked about first: paid closes
it as succeeded, and only what is proven unpaid is sent again. What a rule forbids is refused (5).

The set is what is shown: what dies later is not in it. A running worker works the plan off, whatever becomes of this
command; `worker dlq plans` shows it, and lets it stand, go on, or end.")]
    Replay(DlqReplayArgs),
    /// Replay plans: what was let go, what waits, why one stands
    #[command(subcommand)]
    Plans(PlansCommand),
    /// Mend a message, which then goes through the intake, or amend what a job never sent
    #[command(after_help = "\
Examples:
  worker dlq edit 01JD9WZ0Q0V4T8K3M5N7P9R1S3 --reason 'typo in a field, producer agrees'
  worker dlq show 01JD9WZ0Q0V4T8K3M5N7P9R1S3 -o json | jq -r .message.bodyText | sed s/notAfterr/notAfter/ |
    worker dlq edit 01JD9WZ0Q0V4T8K3M5N7P9R1S3 --file - --reason 'typo in a field' --yes

Of a job that was never sent, or is proven unpaid, customerName, notes, beneficiaryEmail and notAfter may be amended; replay
it then. Its identity, amount and customer are locked, and all of what may have been sent (5).")]
    Edit(DlqEditArgs),
    /// Close dead letters for good: topup.discarded
    #[command(after_help = "\
Examples:
  worker dlq discard 01JD9WZ0Q0V4T8K3M5N7P9R1S2 --reason 'settled by hand, INC-124'
  worker dlq discard --group finpay/refunded/2003900 --dry-run
  worker dlq discard --reason-code malformed --since 1d --reason 'producer mended' --yes

--reason is why, --reason-code a filter. `dlq restore` takes it back until it is purged.")]
    Discard(DlqActArgs),
    /// Take a discard back: the dead letter is open again
    #[command(after_help = "\
Examples:
  worker dlq restore 01JD9WZ0Q0V4T8K3M5N7P9R1S2 --reason 'discarded by mistake'")]
    Restore(DlqRestoreArgs),
    /// Delete closed dead letters and their messages
    #[command(after_help = "\
Examples:
  worker dlq purge --older-than 90d --dry-run
  worker dlq purge --older-than 400d --permanently --reason 'retention'

Never an open one, and nothing that can still be asked about: shorter spans than the longest uniqueness_window and
give_up_after are refused (5). Jobs and their keys stay.")]
    Purge(DlqPurgeArgs),
}

impl DlqCommand {
    /// Whether it changes something.
    #[must_use]
    pub const fn acts(&self) -> bool {
        match self {
            Self::Groups(_) | Self::List(_) | Self::Show(_) => false,
            Self::Check(args) | Self::Discard(args) => !args.act.dry_run,
            Self::Replay(args) => !args.act.dry_run,
            Self::Plans(command) => command.acts(),
            Self::Edit(args) => !args.act.dry_run,
            Self::Restore(args) => !args.act.dry_run,
            Self::Purge(args) => !args.act.dry_run,
        }
    }
}

/// Which dead letters.
#[derive(Clone, Debug, Default, Args)]
pub struct DlqFilterArgs {
    /// With this reason
    #[arg(long, value_name = "WORD", value_enum)]
    pub reason_code: Option<Reason>,
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
    /// Dead before: a time (RFC 3339) or how long ago (2h, 3d)
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
    /// Of this group, as `dlq groups` names it: provider/reason/code
    #[arg(long, value_name = "GROUP", allow_hyphen_values = true, value_parser = Group::parse)]
    pub group: Option<Group>,
    /// This text in the detail, the reference or the claimed reference
    #[arg(long = "match", value_name = "TEXT")]
    pub matching: Option<String>,
}

/// Arguments of `worker dlq groups`.
#[derive(Clone, Debug, Default, Args)]
pub struct DlqGroupsArgs {
    /// Which.
    #[command(flatten)]
    pub filter: DlqFilterArgs,
}

/// Arguments of `worker dlq list`.
#[derive(Clone, Debug, Default, Args)]
pub struct DlqListArgs {
    /// Which.
    #[command(flatten)]
    pub filter: DlqFilterArgs,
    /// Closed ones too
    #[arg(long)]
    pub closed: bool,
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

/// A group of dead letters, as an argument: `provider/reason/code`, with `-` for what is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group(pub DeadLetterFace);

/// What stands for what is not known.
const UNKNOWN: &str = "-";

impl Group {
    fn parse(text: &str) -> Result<Self, String> {
        let known = |part: &str| (part != UNKNOWN).then(|| part.to_owned());
        let mut parts = text.rsplitn(3, '/');
        let (code, reason, provider) = (parts.next(), parts.next(), parts.next());
        match (code, reason.and_then(DeadReason::parse), provider) {
            (Some(code), Some(reason), Some(provider)) => {
                Ok(Self(DeadLetterFace { provider: known(provider), reason, response_code: known(code) }))
            }
            _ => Err("not a group as `worker dlq groups` names them: provider/reason/code".to_owned()),
        }
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let DeadLetterFace { provider, reason, response_code } = &self.0;
        let known = |part: &Option<String>| part.clone().unwrap_or_else(|| UNKNOWN.to_owned());
        write!(f, "{}/{}/{}", known(provider), reason.as_str(), known(response_code))
    }
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

impl DlqFilterArgs {
    /// The filter, at `now`.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> DeadLetterFilter {
        DeadLetterFilter {
            ids: Vec::new(),
            reason: self.reason_code.map(|reason| reason.0),
            response_code: self.code.map(|code| code.as_str().to_owned()),
            provider: self.provider.clone(),
            money_state: self.money.map(|money| money.0),
            since: self.since.map(|when| when.at(now)),
            until: self.until.map(|when| when.at(now)),
            matching: self.matching.clone(),
            face: self.group.as_ref().map(|group| group.0.clone()),
            closed_too: false,
        }
    }
}
