//! How fast a plan may go on, and when it stops by itself. Pure.

use std::time::Duration;

use outbox::{Plan, PlanPause, Total};

use crate::output::rupiah;

/// So many ended items tell something about the share that fails.
const SAMPLE: u64 = 5;
/// Items of one step.
const STEP: i64 = 64;
/// What a plan may catch up with after it was not looked at, in microseconds: it must not burst after a rest.
const LAG_US: i64 = 200_000;

/// What may be let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// So many, now.
    Now {
        /// At least one.
        items: u64,
        /// The one after them not before; unix microseconds.
        next_at_us: i64,
        /// The canaries have succeeded.
        canary_passed: bool,
    },
    /// Nothing for this long.
    Later(Duration),
}

/// Why a plan stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The cause.
    pub cause: PlanPause,
    /// In words.
    pub detail: String,
}

impl Stop {
    pub(super) const fn new(cause: PlanPause, detail: String) -> Self {
        Self { cause, detail }
    }
}

/// Whether a running plan has to stop after what came to rest. A death that none of the set had died stops it in the store.
#[must_use]
pub fn after(plan: &Plan) -> Option<Stop> {
    let counts = &plan.counts;
    if counts.waiting == 0 {
        return None;
    }
    let ended = counts.ended().saturating_sub(plan.before.0);
    let failed = counts.failed().saturating_sub(plan.before.1);
    if in_canary(plan) && failed > 0 {
        return Some(Stop::new(
            PlanPause::Canary,
            format!("{failed} of the first {} did not succeed", plan.terms.canary),
        ));
    }
    if ended >= SAMPLE && failed * 100 > ended * u64::from(plan.terms.max_failed_pct) {
        let detail = format!("{failed} of {ended} did not succeed; allowed are {} %", plan.terms.max_failed_pct);
        return Some(Stop::new(PlanPause::Failures, detail));
    }
    None
}

/// Whether the amount that would then be let go is more than was allowed.
#[must_use]
pub fn over(plan: &Plan, released: Total) -> Option<Stop> {
    let allowed = plan.terms.max_amount.filter(|allowed| released > *allowed)?;
    let detail = format!("{} would be let go, allowed are {}", rupiah(released.minor()), rupiah(allowed.minor()));
    Some(Stop::new(PlanPause::MaxAmount, detail))
}

/// How many items of a running plan may be let go at `now_us`, unix microseconds.
#[must_use]
pub fn allowance(plan: &Plan, now_us: i64) -> Allowance {
    let later = |us: i64| Allowance::Later(Duration::from_micros(us.unsigned_abs()));
    if plan.counts.waiting == 0 {
        return later(1_000_000);
    }
    let (mut items, mut canary_passed) = (STEP.unsigned_abs(), plan.canary_passed || plan.terms.canary == 0);
    if !canary_passed {
        let gone = plan.counts.released().saturating_sub(plan.canary_from);
        match plan.terms.canary.saturating_sub(gone) {
            0 if plan.counts.replayed > 0 => return later(1_000_000),
            0 => canary_passed = true,
            left => items = items.min(left),
        }
    }
    // No step reserves more than this; what is later was written before the clock was set back.
    let reserved = plan.terms.interval_us.saturating_add(LAG_US);
    if plan.next_at_us > now_us && plan.next_at_us - now_us <= reserved {
        return later(plan.next_at_us - now_us);
    }
    let from = plan.next_at_us.clamp(now_us - LAG_US, now_us);
    let by_rate = (now_us - from) / plan.terms.interval_us + 1;
    let items = items.min(by_rate.clamp(1, STEP).unsigned_abs());
    let next_at_us = from.saturating_add(plan.terms.interval_us.saturating_mul(items.cast_signed()));
    Allowance::Now { items, next_at_us, canary_passed }
}

const fn in_canary(plan: &Plan) -> bool {
    plan.terms.canary > 0 && !plan.canary_passed
}

#[cfg(test)]
mod tests {
    use outbox::{PlanCounts, PlanId, PlanState, PlanTerms};
    use snap_core::Timestamp;

    use super::*;

    fn plan(counts: PlanCounts) -> Plan {
        Plan {
            id: PlanId(1),
            version: 1,
            state: PlanState::Running,
            by: "sari".to_owned(),
            reason: "INC-1".to_owned(),
            created_at: Timestamp::from_millis(0),
            finished_at: None,
            pause: None,
            terms: PlanTerms { interval_us: 200_000, canary: 0, max_failed_pct: 20, max_amount: None },
            next_at_us: 0,
            canary_from: 0,
            canary_passed: false,
            before: (0, 0),
            known: Vec::new(),
            counts,
            amount: Total::default(),
            released: Total::default(),
        }
    }

    fn waiting(count: u64) -> PlanCounts {
        PlanCounts { items: 100, waiting: count, ..PlanCounts::default() }
    }

    fn canary(count: u64, counts: PlanCounts) -> Plan {
        let plan = plan(counts);
        Plan { terms: PlanTerms { canary: count, ..plan.terms }, ..plan }
    }

    const NOW: i64 = 5_000_000_000;

    #[test]
    fn a_rate_is_kept_and_a_rest_is_not_caught_up_with() {
        let rested = plan(waiting(100));
        // Two intervals fit into what may be caught up with.
        let Allowance::Now { items, next_at_us, .. } = allowance(&rested, NOW) else { panic!("nothing is allowed") };
        assert_eq!((items, next_at_us), (2, NOW + 200_000));
        let next = Plan { next_at_us, ..rested };
        assert_eq!(allowance(&next, NOW + 50_000), Allowance::Later(Duration::from_millis(150)));
        assert!(matches!(allowance(&next, NOW + 200_000), Allowance::Now { items: 1, .. }));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_hold_a_plan() {
        let ahead = Plan { next_at_us: NOW + 3_600_000_000, ..plan(waiting(100)) };
        assert!(
            matches!(allowance(&ahead, NOW), Allowance::Now { items: 1, next_at_us, .. } if next_at_us == NOW + 200_000)
        );
    }

    #[test]
    fn a_fast_rate_goes_in_steps_of_a_bounded_size() {
        let fast = plan(waiting(100));
        let fast = Plan { terms: PlanTerms { interval_us: 100, ..fast.terms.clone() }, ..fast };
        assert!(matches!(allowance(&fast, NOW), Allowance::Now { items: 64, .. }));
    }

    #[test]
    fn the_rest_waits_until_every_canary_has_ended() {
        let first = canary(3, waiting(100));
        assert!(matches!(allowance(&first, NOW), Allowance::Now { items: 2, canary_passed: false, .. }));
        let one_left = canary(3, PlanCounts { waiting: 98, replayed: 1, succeeded: 1, ..waiting(0) });
        assert!(matches!(allowance(&one_left, NOW), Allowance::Now { items: 1, canary_passed: false, .. }));
        let under_way = canary(3, PlanCounts { waiting: 97, replayed: 1, succeeded: 2, ..waiting(0) });
        assert_eq!(allowance(&under_way, NOW), Allowance::Later(Duration::from_secs(1)));
        let ended = canary(3, PlanCounts { waiting: 97, succeeded: 3, ..waiting(0) });
        assert!(matches!(allowance(&ended, NOW), Allowance::Now { canary_passed: true, .. }));
        let resumed =
            Plan { canary_from: 3, ..canary(3, PlanCounts { waiting: 97, succeeded: 2, dead: 1, ..waiting(0) }) };
        assert!(matches!(allowance(&resumed, NOW), Allowance::Now { canary_passed: false, .. }), "they begin anew");
    }

    #[test]
    fn one_canary_that_does_not_succeed_stops_the_plan() {
        let failed = canary(3, PlanCounts { waiting: 97, replayed: 2, rejected: 1, ..waiting(0) });
        assert_eq!(after(&failed).map(|stop| stop.cause), Some(PlanPause::Canary));
        let passed = Plan { canary_passed: true, ..failed };
        assert_eq!(after(&passed), None, "one of one ended is no sample yet");
    }

    #[test]
    fn too_many_failures_since_the_last_resume_stop_the_plan() {
        let counts = PlanCounts { waiting: 80, succeeded: 7, dead: 2, ..waiting(0) };
        assert_eq!(after(&plan(counts)).map(|stop| stop.cause), Some(PlanPause::Failures));
        assert_eq!(after(&Plan { before: (4, 2), ..plan(counts) }), None);
        let last = PlanCounts { waiting: 0, ..counts };
        assert_eq!(after(&plan(last)), None, "there is nothing left to stop");
    }

    #[test]
    fn a_canary_that_an_operator_closed_did_not_succeed_and_one_that_expired_as_shown_did_not_fail() {
        let closed = canary(1, PlanCounts { waiting: 97, discarded: 1, ..waiting(0) });
        assert_eq!(after(&closed).map(|stop| stop.cause), Some(PlanPause::Canary));
        let expired = canary(1, PlanCounts { waiting: 97, expired: 1, ..waiting(0) });
        assert_eq!(after(&expired), None);
    }

    #[test]
    fn an_amount_that_was_not_allowed_is_not_let_go() {
        let bounded = plan(waiting(1));
        let bounded =
            Plan { terms: PlanTerms { max_amount: Some(Total::from_minor(1000)), ..bounded.terms.clone() }, ..bounded };
        assert_eq!(over(&bounded, Total::from_minor(1000)), None);
        assert_eq!(over(&bounded, Total::from_minor(1001)).map(|stop| stop.cause), Some(PlanPause::MaxAmount));
    }
}
