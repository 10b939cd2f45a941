//! What the provider tells about itself as a whole, and how it forgets.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::ledger::{Entry, rupiah};
use crate::provider::{Counts, Provider};
use crate::report::{ReferenceReport, RequestRecord, Verdict};

impl Provider {
    /// The ledger in a few numbers.
    pub(crate) fn verdict(&self) -> Verdict {
        let totals = self.ledger.totals();
        let Counts { requests, top_ups, refused, redirects, pending_effects, in_flight: _, max_in_flight } =
            &self.counts;
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Verdict {
            credits: read(&totals.credits),
            double_credits: read(&totals.doubles),
            reversed: read(&totals.reversed),
            total: rupiah(read(&totals.amount)),
            references: read(&totals.references),
            pending_effects: read(pending_effects),
            requests: read(requests),
            top_ups: read(top_ups),
            refused: read(refused),
            redirects_followed: read(redirects),
            max_in_flight: read(max_in_flight),
        }
    }

    /// Forgets ledger, log, external ids, rules and counters; tokens and behaviour stay.
    pub(crate) fn reset(&self) {
        self.ledger.clear();
        self.log.clear();
        self.seen.clear();
        self.script.clear();
        let Counts { requests, top_ups, refused, redirects, pending_effects: _, in_flight: _, max_in_flight } =
            &self.counts;
        for counter in [requests, top_ups, refused, redirects, max_in_flight] {
            counter.store(0, Relaxed);
        }
        for counter in &self.nameless {
            counter.store(0, Relaxed);
        }
    }

    /// What is known of a reference, at every mount.
    pub(crate) fn reports_of(&self, reference: &str, now_ms: i64) -> Vec<ReferenceReport> {
        self.mounts.iter().filter_map(|mount| self.ledger.report(mount.index, &mount.name, reference, now_ms)).collect()
    }

    /// What is known of every reference, up to `limit` of them.
    pub(crate) fn reports(&self, now_ms: i64, limit: usize, doubles_only: bool) -> Vec<ReferenceReport> {
        let mut reports = Vec::new();
        for mount in &self.mounts {
            let left = limit - reports.len();
            let keep = |entry: &Entry| !doubles_only || entry.standing_credits() > 1;
            reports.extend(self.ledger.reports(mount.index, &mount.name, now_ms, left, keep));
        }
        reports
    }

    /// The remembered requests, oldest first.
    pub(crate) fn requests(&self) -> Vec<RequestRecord> {
        self.log.records(|mount| self.mounts[mount].name.clone())
    }
}
