//! The times by which decisions are made (M17), and what becomes of a job's times when a clock was put right.

use std::time::Duration;

use snap_core::Timestamp;

use crate::{Job, State};

/// When something was noticed, by the clocks of the machine. A [`Timestamp`] is all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// By the clock that counts the machine's sleep and cannot be set: what waits, waits by it.
    pub at: Timestamp,
    /// The wall clock as it is: `notAfter` goes by it.
    pub wall: Timestamp,
    /// Since when ages are vouched for: what was recorded earlier was recorded before the machine booted, or before its
    /// clock was put right. `None`: always.
    pub known_since: Option<Timestamp>,
    /// The provider says that the wall clock is wrong: it decides neither "too late" nor "not found is proof".
    pub is_doubted: bool,
    /// Beside the account that is asked another one was in use in the time that the store has forgotten, or may have been:
    /// what it may have forgotten is not settled by this one's "not found" (M14).
    pub others_were_used: bool,
}

impl From<Timestamp> for Noticed {
    fn from(at: Timestamp) -> Self {
        Self { at, wall: at, known_since: None, is_doubted: false, others_were_used: false }
    }
}

impl Noticed {
    /// The later of both clocks: by it what is long ago does not pass for recent.
    #[must_use]
    pub fn latest(&self) -> Timestamp {
        self.at.max(self.wall)
    }

    /// Whether the job's `notAfter` has passed.
    #[must_use]
    pub fn is_too_late(&self, job: &Job) -> bool {
        job.is_expired(self.wall) && !self.is_doubted
    }

    /// Whether it cannot be decided for now if the job's `notAfter` has passed: it is neither expired nor sent.
    #[must_use]
    pub const fn is_undecided(&self, job: &Job) -> bool {
        self.is_doubted && job.not_after.is_some()
    }

    /// When an attempt ended that is recorded to have ended then: at the latest when ages came to be vouched for, and so too
    /// where a clock that was ahead recorded it.
    pub(crate) fn ended(&self, recorded: Timestamp) -> Timestamp {
        match self.known_since {
            Some(since) if recorded > self.at => since,
            Some(since) => recorded.max(since),
            None => recorded,
        }
    }
}

/// A clock that was put right, and what is known of the times that it recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Now, by the clock that is right.
    pub now: Timestamp,
    /// Times from the first on are ahead by the second; `None`: nobody can say by how much it was wrong.
    pub ahead: Option<(Timestamp, Duration)>,
    /// Times from here on, by the clock that was wrong, are of an unknown age; after [`Self::now`] they always are.
    pub unknown_since: Option<Timestamp>,
}

impl Correction {
    /// A time that has passed; `None`: nobody knows when it was.
    fn passed(&self, at: Timestamp) -> Option<Timestamp> {
        match self.ahead {
            Some((since, by)) if at >= since => Some(at.minus(by).min(self.now)),
            _ if at > self.now || self.unknown_since.is_some_and(|since| at >= since) => None,
            _ => Some(at),
        }
    }

    /// A time that is waited for; where nobody knows when it is, it is looked at now.
    #[must_use]
    pub fn due(&self, at: Timestamp) -> Timestamp {
        match self.ahead {
            Some((since, by)) if at >= since => at.minus(by),
            _ => at.min(self.now),
        }
    }
}

impl Job {
    /// The job with its times put right; `None` where none of them is wrong.
    ///
    /// What cannot be known is read in the safe way: the quiet period begins anew, and of a top-up whose first attempt is of
    /// an unknown age "not found" proves nothing.
    #[must_use]
    pub fn corrected(&self, correction: &Correction) -> Option<Self> {
        let mut job = self.clone();
        let evidence = &mut job.evidence;
        evidence.first_sent_at = evidence.first_sent_at.map(|at| correction.passed(at).unwrap_or(UNKNOWN));
        let ended = evidence.last_ended_at.map(|at| correction.passed(at));
        evidence.last_ended_at = ended.map(|at| at.unwrap_or(correction.now));
        match &mut job.state {
            State::Ready { at } => *at = correction.due(*at),
            State::Inquired { at, .. } => *at = correction.passed(*at).unwrap_or(UNKNOWN),
            State::Unconfirmed { at, not_found, .. } => {
                *at = correction.due(*at);
                if ended == Some(None) {
                    *not_found = 0;
                }
            }
            State::Sending { .. }
            | State::Succeeded
            | State::Rejected { .. }
            | State::Dead { .. }
            | State::Discarded { .. } => {}
        }
        (job != *self).then_some(job)
    }
}

/// So long ago that nobody knows when.
const UNKNOWN: Timestamp = Timestamp::from_millis(0);
