//! `worker provider …`

use clap::{Args, Subcommand};

use super::ActArgs;

/// What to do with the providers' lanes.
#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// Every lane: whether it moves, why it stands and since when, how much money waits, when the next probe goes
    #[command(
        alias = "ls",
        after_help = "\
Examples:
  worker provider list
  worker provider list -o json"
    )]
    List,
    /// Let a lane stand until an operator resumes it, over restarts too
    #[command(after_help = "\
Examples:
  worker provider pause finpay --reason 'maintenance tonight, INC-123'
  worker provider pause finpay --dry-run

What has been sent is waited for and recorded; jobs that arrive wait in the store. A running worker notices within a
second.")]
    Pause(ProviderActArgs),
    /// Let a lane move again, whoever or whatever paused it
    #[command(after_help = "\
Examples:
  worker provider resume finpay --reason 'deposit filled up'

Where the fault is still there, the lane pauses by itself again.")]
    Resume(ProviderActArgs),
}

/// Arguments of `worker provider pause` and `resume`.
#[derive(Clone, Debug, Args)]
pub struct ProviderActArgs {
    /// Its name in the configuration
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Who and why.
    #[command(flatten)]
    pub act: ActArgs,
}
