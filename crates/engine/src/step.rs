//! What to do about what is known.

use std::time::Duration;

use snap_core::Timestamp;

use crate::{Job, Noticed, Policy, State};

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask for the account.
    Inquire,
    /// Record an attempt, then send it.
    Send,
    /// Ask what became of the top-up.
    CheckStatus,
    /// Record that `notAfter` passed.
    Expire,
    /// Record that only another account could tell.
    OtherAccount,
    /// Nothing before then.
    WaitUntil(Timestamp),
    /// Nothing at all.
    Rest,
}

/// While nobody can say whether a job's `notAfter` has passed it is looked at again after this.
const UNDECIDED: Duration = Duration::from_secs(10);

/// What to do about `job` at `now`.
pub fn next_step(job: &Job, policy: &Policy, now: impl Into<Noticed>) -> Step {
    let noticed = now.into();
    let now = noticed.at;
    match &job.state {
        State::Ready { .. } | State::Inquired { .. } if noticed.is_too_late(job) => Step::Expire,
        // M17: neither expired nor sent by a wall clock that the provider says is wrong.
        State::Ready { .. } | State::Inquired { .. } if noticed.is_undecided(job) => {
            Step::WaitUntil(now.plus(UNDECIDED))
        }
        State::Ready { at } | State::Unconfirmed { at, .. } if now < *at => Step::WaitUntil(*at),
        State::Ready { .. } if policy.wants_inquiry(job) => Step::Inquire,
        // Wall clocks jump: an inquiry from the future is as stale as an old one.
        State::Inquired { at, .. } if now < *at || now.since(*at) > policy.inquiry_max_age => Step::Inquire,
        State::Ready { .. } | State::Inquired { .. } => Step::Send,
        // M14: whatever this account said, it would say nothing about what another one was asked to pay.
        State::Unconfirmed { .. } if policy.is_of_another_account(job) => Step::OtherAccount,
        // M1: an attempt without a result is "perhaps sent". It is asked about, never sent again.
        State::Sending { .. } | State::Unconfirmed { .. } => Step::CheckStatus,
        State::Succeeded | State::Rejected { .. } | State::Dead { .. } | State::Discarded { .. } => Step::Rest,
    }
}
