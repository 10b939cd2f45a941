//! `worker store …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ActArgs, When};

/// What to do with the store itself.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// What is in the store's file, whose namespace it has, who holds it, and whether it asks first
    #[command(after_help = "\
Examples:
  worker store info
  worker store info -o json

Reads the file alone, beside a running worker and without one; what stands at the broker is looked at by `worker check`.")]
    Info,
    /// Copy the store to a file: one moment of it, verified, beside a running worker or without one
    #[command(after_help = "\
Examples:
  worker store backup /var/backups/topup/worker-0200.db

The copy is one file, readable by its owner only. It has its name only when all of it is written, synced and read once more;
a file that is there already is never written over. Copy it off this machine.

Never copy the store's own file with cp, rsync or the like: its newest commits are in the -wal beside it.")]
    Backup(StoreBackupArgs),
    /// Put a copy in the place of the store; every job is asked about before anything is sent
    #[command(after_help = "\
Examples:
  worker store restore /var/backups/topup/worker-0200.db --dry-run
  worker store restore /var/backups/topup/worker-0200.db --reason 'disk lost, INC-130'

The worker has to be stopped: beside a running one it is refused (exit 5), whatever was removed. The copy is read to its last
page first, and refused where it is not a whole store of this program. The present file is kept under another name, which is
told; nothing is deleted. Broken off at any moment, there is the old store or the new one: say it again.

The store then knows every key up to its newest record. A key that it does not know, and that comes while it asks first, counts
as perhaps sent since then: \"not found\" proves nothing once that is longer ago than the provider's uniqueness window, and the
job ends as unresolved, before a person. `worker store reconciled` ends it.")]
    Restore(StoreRestoreArgs),
    /// Say that the store came back by other ways, as with a machine's snapshot: every job is asked about first
    #[command(after_help = "\
Examples:
  worker store restored --dry-run
  worker store restored --reason 'copy of 02:00 put back, INC-130'
  worker store restored --copied-at 2026-11-22T02:00:00+07:00 --reason 'machine set back to its snapshot, INC-131'

`worker store restore FILE` says it by itself. A store that is older than its side file says is noticed without a word. One that
came back together with its side file, as with the snapshot of a disk or a machine, is not: say it here, before the first start.
To say it once more, or where it was noticed, does no harm.

The worker has to be stopped, and takes it up with its next start. A running one is refused (exit 5): it has passed the
question for what it drives, and would go on sending until it looks.

The store knows every key up to its newest record. A key that it does not know, and that comes while it asks first, counts as
perhaps sent since then: \"not found\" proves nothing once that is longer ago than the provider's uniqueness window, and the
job ends as unresolved, before a person. Where a worker has run on the store since it was put back, its newest record says
nothing: give the time of the copy. `worker store reconciled` ends it.")]
    Restored(StoreRestoredArgs),
    /// After a restore from an older copy: say that the store knows everything again
    #[command(after_help = "\
Examples:
  worker store reconciled --dry-run
  worker store reconciled --reason 'copy of 02:00 put back; producers checked until 09:40, INC-130'

A store that was put back from an older copy asks the provider about every job before it sends anything. This ends that
for jobs that arrive from now on; every job that is in the store and was not asked about yet, dead letters too, stays
marked to be asked about first. A running worker follows within a second.

The store does not know the keys of the time between the copy and the restore: one that comes afterwards is a new job, and
is paid again. Two bring them: producers that publish again what they published then, and the broker, which delivers again
whatever was not acknowledged. So let the worker take in all that waits in the queue of jobs first, `<namespace>.jobs`, and
make sure of the producers.")]
    Reconciled(ActArgs),
    /// The machine's clock was wrong and is right now: put right what was noted by it
    #[command(after_help = "\
Examples:
  worker store clock-corrected --wrong-since 3d --dry-run
  worker store clock-corrected --wrong-since 2026-11-22T02:00:00+07:00 --reason 'time server was off by a day, INC-136'

A start notices a clock that was set back by itself, and puts right what was noted ahead of it. What it cannot notice is a
clock that was ahead before the machine booted, by less than has passed since: say it here. Whatever a job has noted since
that time is of an unknown age then. What waits is looked at now, quiet periods begin anew, and a top-up that was first sent
in that time and is not found ends before a person instead of being sent again.

What was rejected as expired by the wrong clock was told to its producer and stays; it is counted. The worker has to be
stopped, and a running one is refused (exit 5).")]
    ClockCorrected(StoreClockArgs),
    /// Take a namespace over from another store that is gone for good, or let this store leave the one that it belongs to
    #[command(after_help = "\
Examples:
  worker store adopt --dry-run
  worker store adopt --reason 'machine kiosk-1 burnt down, no copy of its store, INC-140'
  worker store adopt --published-since 2h --reason 'producers have published nothing older again, INC-140'

A namespace belongs to one store: a worker of another one is refused (exit 5). This takes it over, into a store whose worker does
not run, and never from a worker that is connected. Where the other store's files are left, move them instead: they know what was
sent, this store knows nothing of it.

From then on every job is asked about before anything is sent, for as long as the mode lasts, what the other worker had not
acknowledged among them; and not before the other one can have nothing under way any more, should it be frozen or cut off. A key that
this store does not know counts as perhaps sent since the namespace has had a custodian: \"not found\" proves nothing once that is
longer ago than the provider's uniqueness window, and the job ends as unresolved, before a person. Say with --published-since that no
message that comes now was first published before that. `worker store reconciled` ends the mode.

A store that holds jobs and has noted a namespace works on no other one, and not without a broker (exit 5): a copy of it, or the store
that took the namespace over, may pay what it holds. Say this under the new configuration where nothing else will: it then goes
on, and asks about everything first in the same way. It is refused while a worker with this store's id has the old namespace, as far as
the configured broker knows.")]
    Adopt(StoreAdoptArgs),
}

/// Arguments of `worker store adopt`.
#[derive(Clone, Debug, Args)]
pub struct StoreAdoptArgs {
    /// No message that comes was first published before: a time, or how long ago [default: since the namespace has a custodian]
    #[arg(long, value_name = "TIME")]
    pub published_since: Option<When>,
    /// Who and why.
    #[command(flatten)]
    pub act: ActArgs,
}

/// Arguments of `worker store backup`.
#[derive(Clone, Debug, Args)]
pub struct StoreBackupArgs {
    /// The file to make
    #[arg(value_name = "FILE")]
    pub to: PathBuf,
}

/// Arguments of `worker store restore`.
#[derive(Clone, Debug, Args)]
pub struct StoreRestoreArgs {
    /// The copy to put back: of `worker store backup`, or the file of a worker that was stopped
    #[arg(value_name = "FILE")]
    pub from: PathBuf,
    /// Who and why.
    #[command(flatten)]
    pub act: ActArgs,
}

/// Arguments of `worker store clock-corrected`.
#[derive(Clone, Debug, Args)]
pub struct StoreClockArgs {
    /// Since when the clock was wrong, or before: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    pub wrong_since: When,
    /// Who and why.
    #[command(flatten)]
    pub act: ActArgs,
}

/// Arguments of `worker store restored`.
#[derive(Clone, Debug, Args)]
pub struct StoreRestoredArgs {
    /// When the copy was made, or before: a time, or how long ago; no later than its newest record [default: that]
    #[arg(long, value_name = "TIME")]
    pub copied_at: Option<When>,
    /// Who and why.
    #[command(flatten)]
    pub act: ActArgs,
}
