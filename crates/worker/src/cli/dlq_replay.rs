//! `worker dlq replay` and `worker dlq plans …`

use clap::{Args, Subcommand};
use outbox::Total;
use snap_core::Amount;

use super::{ActArgs, DlqChoiceArgs, Page};

/// Arguments of `worker dlq replay`.
#[derive(Clone, Debug, Default, Args)]
pub struct DlqReplayArgs {
    /// Which.
    #[command(flatten)]
    pub choice: DlqChoiceArgs,
    /// How fast.
    #[command(flatten)]
    pub terms: TermsArgs,
    /// End as soon as the plan runs; a running worker works it off
    #[arg(long, conflicts_with = "wait")]
    pub detach: bool,
    /// End only when every item came to rest, or the plan stands
    #[arg(long)]
    pub wait: bool,
    /// Who and why.
    #[command(flatten)]
    pub act: ActArgs,
}

/// How fast a plan goes, and what stops it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Pace and brakes")]
pub struct TermsArgs {
    /// How many at most: 5/s, 30/m, 100/h
    #[arg(long, value_name = "N/UNIT", default_value = "5/s", value_parser = rate)]
    pub rate: Rate,
    /// Take the oldest N only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// So many have to succeed before the rest is let go
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub canary: u64,
    /// Stand when more of those that ended did not succeed, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub max_failed: u8,
    /// Stand before more rupiah than this are let go
    #[arg(long, value_name = "RUPIAH", value_parser = rupiah)]
    pub max_amount: Option<Total>,
}

impl Default for TermsArgs {
    fn default() -> Self {
        Self { rate: Rate { interval_us: 200_000 }, limit: None, canary: 0, max_failed: 20, max_amount: None }
    }
}

/// A pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Between two, in microseconds.
    pub interval_us: i64,
}

/// What to do with replay plans.
#[derive(Debug, Subcommand)]
pub enum PlansCommand {
    /// Every plan, the newest first
    #[command(
        alias = "ls",
        after_help = "\
Examples:
  worker dlq plans list
  worker dlq plans list -o json"
    )]
    List(Page),
    /// One plan: how it stands, why, and what became of each item
    #[command(after_help = "\
Examples:
  worker dlq plans show 7
  worker dlq plans show 7 -o json | jq '.items[] | select(.state == \"dead\")'")]
    Show(PlanShowArgs),
    /// Let a plan stand: nothing more is let go; what is under way goes on
    #[command(after_help = "\
Examples:
  worker dlq plans pause 7 --reason 'provider asks us to wait'")]
    Pause(PlanActArgs),
    /// Let a plan that stands go on
    #[command(after_help = "\
Examples:
  worker dlq plans resume 7 --reason 'deposit filled up'
  worker dlq plans resume 7 --max-amount 80000000 --reason 'agreed with finance'

Failures before do not count any more, and canaries that did not all succeed begin anew.")]
    Resume(PlanResumeArgs),
    /// End a plan: what was not let go stays where it is
    #[command(after_help = "\
Examples:
  worker dlq plans cancel 7 --reason 'wrong filter'")]
    Cancel(PlanActArgs),
}

impl PlansCommand {
    /// Whether it changes something.
    #[must_use]
    pub const fn acts(&self) -> bool {
        match self {
            Self::List(_) | Self::Show(_) => false,
            Self::Pause(args) | Self::Cancel(args) => !args.act.dry_run,
            Self::Resume(args) => !args.act.dry_run,
        }
    }
}

/// Arguments of `worker dlq plans show`.
#[derive(Clone, Debug, Args)]
pub struct PlanShowArgs {
    /// Its number
    #[arg(value_name = "PLAN")]
    pub id: i64,
    /// Of its items.
    #[command(flatten)]
    pub page: Page,
}

/// Arguments of `worker dlq plans pause` and `cancel`.
#[derive(Clone, Debug, Default, Args)]
pub struct PlanActArgs {
    /// Its number
    #[arg(value_name = "PLAN")]
    pub id: i64,
    /// Who and why.
    #[command(flatten)]
    pub act: ActArgs,
}

/// Arguments of `worker dlq plans resume`.
#[derive(Clone, Debug, Default, Args)]
pub struct PlanResumeArgs {
    /// Its number
    #[arg(value_name = "PLAN")]
    pub id: i64,
    /// What may be let go in all from now on
    #[arg(long, value_name = "RUPIAH", value_parser = rupiah)]
    pub max_amount: Option<Total>,
    /// Who and why.
    #[command(flatten)]
    pub act: ActArgs,
}

fn rate(text: &str) -> Result<Rate, String> {
    const FORM: &str = "must be a number a second, minute or hour: 5/s, 30/m, 100/h";
    let (count, unit) = text.split_once('/').ok_or(FORM)?;
    let unit_us: i64 = match unit {
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return Err(FORM.to_owned()),
    };
    match count.parse::<u32>() {
        Ok(count @ 1..) => Ok(Rate { interval_us: (unit_us / i64::from(count)).max(1) }),
        _ => Err(FORM.to_owned()),
    }
}

/// Whole rupiah, or with two decimals as in a message.
fn rupiah(text: &str) -> Result<Total, String> {
    let text = if text.contains('.') { text.to_owned() } else { format!("{text}.00") };
    match Amount::parse_strict(&text) {
        Ok(amount) => Ok(Total::from_minor(amount.minor().into())),
        Err(_form) => Err("must be rupiah: 50000000, or 50000000.00".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_a_unit() {
        let interval = |text| rate(text).map(|rate| rate.interval_us);
        assert_eq!(interval("5/s"), Ok(200_000));
        assert_eq!(interval("30/m"), Ok(2_000_000));
        assert_eq!(interval("100/h"), Ok(36_000_000));
        for wrong in ["", "5", "0/s", "-1/s", "5/d", "1.5/s", "/s", "5000000000/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rupiah_are_whole_or_have_two_decimals() {
        assert_eq!(rupiah("50000000"), Ok(Total::from_minor(5_000_000_000)));
        assert_eq!(rupiah("1.50"), Ok(Total::from_minor(150)));
        for wrong in ["", "Rp 5", "1.5", "1,000", "-1"] {
            assert!(rupiah(wrong).is_err(), "{wrong}");
        }
    }
}
