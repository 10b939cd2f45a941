//! `worker dlq …` where it changes something.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{ActArgs, DlqFilterArgs};

/// Which dead letters to act on: named ones, or what a filter finds; never both, and all of them only by name.
#[derive(Clone, Debug, Default, Args)]
pub struct DlqChoiceArgs {
    /// Their ids
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Which.
    #[command(flatten)]
    pub filter: DlqFilterArgs,
    /// Every open one
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
}

/// Arguments of `worker dlq discard` and `check`.
#[derive(Clone, Debug, Default, Args)]
pub struct DlqActArgs {
    /// Which.
    #[command(flatten)]
    pub choice: DlqChoiceArgs,
    /// Who and why.
    #[command(flatten)]
    pub act: ActArgs,
}

/// Arguments of `worker dlq edit`.
#[derive(Clone, Debug, Default, Args)]
pub struct DlqEditArgs {
    /// Its id
    #[arg(value_name = "ID")]
    pub id: String,
    /// The mended message; - is stdin [default: in $VISUAL or $EDITOR]
    #[arg(long, value_name = "FILE|-")]
    pub file: Option<PathBuf>,
    /// Who and why.
    #[command(flatten)]
    pub act: ActArgs,
}

/// Arguments of `worker dlq restore`.
#[derive(Clone, Debug, Default, Args)]
pub struct DlqRestoreArgs {
    /// Their ids
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
    /// Who and why.
    #[command(flatten)]
    pub act: ActArgs,
}

/// Arguments of `worker dlq purge`.
#[derive(Clone, Debug, Default, Args)]
pub struct DlqPurgeArgs {
    /// Closed for longer than this (90d)
    #[arg(long, value_name = "SPAN", value_parser = super::jobs::span)]
    pub older_than: Duration,
    /// Say that what is deleted is gone
    #[arg(long, required_unless_present = "dry_run")]
    pub permanently: bool,
    /// Who and why.
    #[command(flatten)]
    pub act: ActArgs,
}

impl DlqFilterArgs {
    /// Whether it names anything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let Self { reason_code, code, provider, money, since, until, group, matching } = self;
        reason_code.is_none()
            && code.is_none()
            && provider.is_none()
            && money.is_none()
            && since.is_none()
            && until.is_none()
            && group.is_none()
            && matching.is_none()
    }
}
