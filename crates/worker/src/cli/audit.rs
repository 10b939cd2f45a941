//! `worker audit …`

use clap::{Args, Subcommand};
use outbox::AuditFilter;
use snap_core::Timestamp;

use super::{Page, When};

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// What operators did, the newest first
    #[command(
        alias = "ls",
        after_help = "\
Examples:
  worker audit list
  worker audit list --by sari --since 7d
  worker audit list --subject finpay --action provider_pause -o json"
    )]
    List(AuditListArgs),
    /// Follow the whole hash chain
    #[command(after_help = "\
Examples:
  worker audit verify
  worker audit verify --head 412:9f2c…  that row is still what it was

Finds every row that was changed, removed or added by somebody who does not compute the chain anew. Where a broker is
configured and can be asked, it is compared with what a worker has told there of its end: that finds a trail that lost its last
rows; what it was compared with, or why it was not, is printed. Keep the head it prints somewhere else and give it back with --head:
that finds the rest. Exit code 1 where the trail is not what was written.")]
    Verify(AuditVerifyArgs),
    /// The whole trail as JSON Lines, the oldest first
    #[command(after_help = "\
Examples:
  worker audit export > audit.jsonl
  worker audit export --since 2026-11-01T00:00:00+07:00 --until 2026-12-01T00:00:00+07:00")]
    Export(AuditExportArgs),
}

/// Which rows.
#[derive(Clone, Debug, Default, Args)]
pub struct AuditFilterArgs {
    /// By this operator
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Of this action
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// About this: a reference, a dead letter's id, a provider
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,
    /// Done at or after: a time (RFC 3339) or how long ago (2h, 3d)
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,
    /// Done before: a time (RFC 3339) or how long ago (2h, 3d)
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
}

/// Arguments of `worker audit list`.
#[derive(Clone, Debug, Default, Args)]
pub struct AuditListArgs {
    /// Which.
    #[command(flatten)]
    pub filter: AuditFilterArgs,
    /// The oldest first
    #[arg(long)]
    pub oldest_first: bool,
    /// How many.
    #[command(flatten)]
    pub page: Page,
}

/// Arguments of `worker audit verify`.
#[derive(Clone, Debug, Default, Args)]
pub struct AuditVerifyArgs {
    /// A head that was kept: the number of its row and its hash
    #[arg(long, value_name = "ROW:HASH", value_parser = head)]
    pub head: Option<(u64, String)>,
}

/// Arguments of `worker audit export`.
#[derive(Clone, Debug, Default, Args)]
pub struct AuditExportArgs {
    /// Which.
    #[command(flatten)]
    pub filter: AuditFilterArgs,
}

fn head(text: &str) -> Result<(u64, String), String> {
    let parsed = text.split_once(':').and_then(|(row, hash)| {
        let is_hash = hash.len() == 64 && hash.bytes().all(|sign| sign.is_ascii_hexdigit());
        Some((row.parse().ok()?, is_hash.then(|| hash.to_ascii_lowercase())?))
    });
    parsed.ok_or_else(|| "not a head as `worker audit verify` prints it: row:hash".to_owned())
}

impl AuditFilterArgs {
    /// The filter, at `now`.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> AuditFilter {
        AuditFilter {
            by: self.by.clone(),
            action: self.action.clone(),
            subject: self.subject.clone(),
            since: self.since.map(|when| when.at(now)),
            until: self.until.map(|when| when.at(now)),
            oldest_first: false,
        }
    }
}
