//! `worker store …`

use clap::Subcommand;

use super::ActArgs;

/// What to do with the store itself.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// After a restore from an older copy: say that the store knows everything again
    #[command(after_help = "\
Examples:
  worker store reconciled --dry-run
  worker store reconciled --reason 'copy of 02:00 put back; producers checked until 09:40, INC-130'

A store that was put back from an older copy asks the provider about every job before it sends anything. This ends that
for jobs that arrive from now on; every job that is in the store and was not asked about yet, dead letters too, stays
marked to be asked about first. Before it, make sure that producers do not publish again what they published between the
copy and the restore: the store does not know those keys. A running worker follows within a second.")]
    Reconciled(ActArgs),
}
