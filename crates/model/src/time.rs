//! Time in ticks. The present is always [`NOW`]: when a tick passes, everything stored moves one tick into the past, and
//! what lies further back than any rule looks is moved no further. So the same situation is the same state, whenever it
//! comes about, and time may go on for ever in a finite space.

use std::time::Duration;

use engine::{Evidence, Job, State};
use snap_core::Timestamp;

/// The present.
pub const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000);
/// One step of time.
pub const TICK: Duration = Duration::from_secs(1);

/// So many ticks.
pub const fn ticks(number: u8) -> Duration {
    Duration::from_secs(number as u64)
}

/// `time` in ticks after the present; negative before it.
pub const fn after_now(time: Timestamp) -> i64 {
    (time.as_millis() - NOW.as_millis()) / 1000
}

/// How far back anything is remembered, in ticks: one more than the longest period that a rule compares with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// The ends of attempts.
    pub ended: u8,
    /// Due times that have passed.
    pub due: u8,
    /// The first attempt, and the inquiry.
    pub long: u8,
}

/// One tick passes for `time`.
pub fn shift(time: &mut Timestamp) {
    *time = time.minus(TICK);
}

/// Nothing is further back than `most` ticks.
pub fn floor(time: &mut Timestamp, most: u8) {
    *time = (*time).max(NOW.minus(ticks(most)));
}

/// One tick passes for a job.
pub fn shift_job(job: &mut Job) {
    each_time(job, |time, _| shift(time));
}

/// Forgets what no rule looks at any more.
pub fn settle_job(job: &mut Job, horizon: Horizon) {
    let over = matches!(job.state, State::Succeeded | State::Rejected { .. });
    each_time(job, |time, kind| {
        if over {
            *time = NOW.minus(ticks(horizon.long));
        } else {
            floor(
                time,
                match kind {
                    Kind::Due => horizon.due,
                    Kind::Ended => horizon.ended,
                    Kind::Long => horizon.long,
                },
            );
        }
    });
}

#[derive(Clone, Copy)]
enum Kind {
    Due,
    Ended,
    Long,
}

/// Every time in a job. Destructured, so that a new one cannot be forgotten.
fn each_time(job: &mut Job, mut with: impl FnMut(&mut Timestamp, Kind)) {
    let Job { state, amount: _, not_after, has_customer_name: _, budget: _, evidence } = job;
    match state {
        State::Ready { at } | State::Unconfirmed { at, not_found: _, refusal: _ } => with(at, Kind::Due),
        State::Inquired { at, customer_name: _, fee: _ } => with(at, Kind::Long),
        State::Sending { before: _ }
        | State::Succeeded
        | State::Rejected { reason: _ }
        | State::Dead { reason: _ }
        | State::Discarded { reason: _ } => {}
    }
    if let Some(at) = not_after {
        with(at, Kind::Due);
    }
    let Evidence {
        money: _,
        first_sent_at,
        last_ended_at,
        doubted: _,
        accepted: _,
        mismatch: _,
        replayed: _,
        forgotten: _,
        account: _,
        beside: _,
    } = evidence;
    if let Some(at) = first_sent_at {
        with(at, Kind::Long);
    }
    if let Some(at) = last_ended_at {
        with(at, Kind::Ended);
    }
}
