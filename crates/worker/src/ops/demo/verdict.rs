//! What came of it: the store's word against the provider's ledger.

use std::collections::BTreeMap;

use engine::State;
use outbox::{JobFilter, KnownJob, Store};
use serde::Serialize;
use snap_sim::Running;

/// Jobs read at a time.
const PAGE: usize = 1000;

/// The one object of `-o json`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    pub(super) submitted: usize,
    pub(super) succeeded: u64,
    pub(super) rejected: u64,
    pub(super) dead: u64,
    /// Credits in the provider's ledger.
    pub(super) credits: u64,
    /// References that were credited more than once.
    pub(super) double_credits: u64,
    /// Jobs without an end, ends that the ledger contradicts, and finished jobs whose event did not get out.
    pub(super) lost: u64,
    pub(super) elapsed_ms: u64,
    pub(super) jobs_per_second: u64,
    pub(super) transport: &'static str,
    /// Outcome, provider and reason by number, for the table.
    #[serde(skip)]
    pub(super) ends: BTreeMap<(String, String, String), u64>,
}

/// Compares every job of the run with the ledger.
pub(super) async fn judge(
    store: &Store,
    sim: &Running,
    submitted: usize,
    elapsed: std::time::Duration,
    amqp: bool,
) -> anyhow::Result<Verdict> {
    let ledger = sim.verdict();
    let mut verdict = Verdict {
        submitted,
        succeeded: 0,
        rejected: 0,
        dead: 0,
        credits: ledger.credits,
        double_credits: ledger.double_credits,
        lost: 0,
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        jobs_per_second: per_second(submitted, elapsed),
        transport: if amqp { "amqp" } else { "embedded" },
        ends: BTreeMap::new(),
    };
    let (mut after, mut seen) = (None, 0_u64);
    loop {
        let page = store.jobs(JobFilter { oldest_first: true, ..JobFilter::default() }, after, PAGE).await?;
        for job in page.items.into_iter().filter_map(KnownJob::whole) {
            seen += 1;
            let credits = sim.credits_of(job.request.partner_reference_no.as_str());
            let (end, reason, right) = match &job.job.state {
                State::Succeeded => (&mut verdict.succeeded, "", credits == 1),
                State::Rejected { reason } => (&mut verdict.rejected, reason.as_str(), credits == 0),
                State::Dead { reason } => (&mut verdict.dead, reason.as_str(), credits <= 1),
                _ => (&mut verdict.lost, "without an end", true),
            };
            *end += 1;
            if !right {
                verdict.lost += 1;
            }
            let row = (job.job.state.name().to_owned(), job.request.provider.clone(), reason.to_owned());
            *verdict.ends.entry(row).or_default() += 1;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    verdict.lost += (submitted as u64).saturating_sub(seen);
    if amqp {
        verdict.lost += store.outbox_backlog().await?.pending;
    }
    Ok(verdict)
}

fn per_second(jobs: usize, elapsed: std::time::Duration) -> u64 {
    let millis = elapsed.as_millis().max(1);
    u64::try_from(jobs as u128 * 1000 / millis).unwrap_or(u64::MAX)
}
