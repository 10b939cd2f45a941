//! Whether the store may have forgotten what was sent (M12), as the running worker knows it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::Job;
use outbox::{Reconcile, Store, StoreError, StoredJob};
use tracing::{info, warn};

/// Whether every job is asked about before anything is sent; clones are the same. The mode begins with a start, or with the
/// first sight of the broker's witness, before anything is sent: an operator cannot begin it beside a running worker, which would
/// send for up to a second what it has not been told about.
#[derive(Clone, Debug)]
pub struct Restored(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Whether there is a mark: all that a store that knows everything looks at.
    asks: AtomicBool,
    mark: Mutex<Option<Arc<Reconcile>>>,
}

impl Restored {
    /// As the store said when it was opened.
    #[must_use]
    pub fn since_start(mark: Option<Reconcile>) -> Self {
        let restored = Self(Arc::default());
        if let Some(mark) = mark {
            restored.begin(mark);
        }
        restored
    }

    /// Begins it, or begins it anew: nothing may have been sent in this life.
    pub(crate) fn begin(&self, mark: Reconcile) {
        let Reconcile { reason, known_until, .. } = &mark;
        warn!(%reason, "the store may have forgotten what was sent: every job is asked about before anything is sent");
        let known_until = known_until.map(snap_core::Timestamp::to_rfc3339);
        warn!(
            known_until,
            "a key that the store does not know counts as perhaps sent since its newest record: after the provider's uniqueness window it ends as unresolved"
        );
        *self.0.mark.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(mark));
        self.0.asks.store(true, Ordering::Release);
    }

    /// The mark; `None`: the store knows everything.
    #[must_use]
    pub fn mark(&self) -> Option<Arc<Reconcile>> {
        if !self.0.asks.load(Ordering::Acquire) {
            return None;
        }
        self.0.mark.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notices that an operator has ended it: what was not asked about by then is marked in the store itself. It costs
    /// nothing where the store knows everything.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn look(&self, store: &Store) -> Result<(), StoreError> {
        if self.mark().is_none() || store.reconcile().await?.is_some() {
            return Ok(());
        }
        if self.0.asks.swap(false, Ordering::AcqRel) {
            info!(
                "an operator says that the store knows everything again: new jobs are not asked about first any more"
            );
        }
        Ok(())
    }
}

/// The job as it may stand: a key that the copy does not know was perhaps sent since the copy was made. So it is with what a
/// worker took in between the restore and the operator's word about it. Where nobody can say what the copy knows, the jobs
/// in it count as its own: what comes later begins so anyway.
pub(crate) fn as_it_may_stand(job: &StoredJob, mark: &Reconcile) -> Job {
    match mark.known_until {
        Some(until) if job.accepted_at > until => job.job.clone().perhaps_sent_since(until),
        _ => job.job.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::{Event, State, StatusAnswer, apply};
    use outbox::PerhapsSent;
    use snap_core::{Amount, Timestamp};

    use super::*;
    use crate::clock::Clock;
    use crate::intake::{Asked, body_of, new_job};
    use crate::ops::fixture;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A job of a key that the copy does not know, `later` after the copy's newest record; asked about twice, and not found.
    fn not_found(later: Duration) -> Job {
        let clock = Clock::start();
        let provider = &fixture::config().providers["finpay"];
        let policy = provider.policy();
        let known_until = clock.now();
        let at = known_until.plus(later);
        let asked = Asked {
            request: fixture::request("key-1", "finpay", "081977817902", Amount::from_minor(1_000_000).unwrap()),
            carried: outbox::Carried::default(),
            delivered: || body_of(b"", serde_json::json!({}), serde_json::json!({})),
            due_at: Some(at),
            at,
        };
        let perhaps_sent = PerhapsSent { since: known_until, until: known_until };
        let new = new_job(&clock, &policy, asked, Some(perhaps_sent));
        assert_eq!(new.due_at, new.job.due_at());
        let mut job = new.job;
        for turn in 1..=2 {
            let asked_at = at.plus(policy.quiet_period * turn);
            let event = Event::Checked { asked_at, answer: StatusAnswer::NotFound };
            job = apply(&job, &policy, &event, asked_at, clock.jitter()).unwrap();
        }
        job
    }

    #[test]
    fn m12_an_unknown_key_in_a_restored_store_ends_before_a_person_after_the_uniqueness_window() {
        let fresh = not_found(HOUR);
        assert!(matches!(fresh.state, State::Ready { .. }), "within the window it is proof: {fresh:?}");
        // Finpay keeps references for a day.
        let old = not_found(24 * HOUR);
        assert_eq!(old.state, State::Dead { reason: engine::DeadReason::Unresolved });
    }

    #[tokio::test]
    async fn m12_a_job_taken_in_after_the_copy_counts_as_perhaps_sent_since_the_copy() {
        let filled = fixture::filled().await;
        let mut jobs = Vec::new();
        for key in ["78912343452347890", "78912343452347893"] {
            let key = snap_core::PartnerReferenceNo::parse(key).unwrap();
            jobs.push(filled.store.find(&key).await.unwrap().unwrap());
        }
        let mark = |known_until| Reconcile { since: fixture::NOW, reason: String::new(), known_until };
        for job in jobs {
            let before = Timestamp::from_millis(job.accepted_at.as_millis() - 1);
            assert_eq!(as_it_may_stand(&job, &mark(Some(job.accepted_at))), job.job, "the copy has it");
            assert_eq!(as_it_may_stand(&job, &mark(Some(before))).evidence.first_sent_at, Some(before));
            assert_eq!(as_it_may_stand(&job, &mark(None)), job.job);
        }
    }
}
