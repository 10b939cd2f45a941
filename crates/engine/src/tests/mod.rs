//! The money rules, the whole table, and random lives against a fake provider.

mod accounts;
mod clocks;
mod edges;
mod late;
mod lives;
mod money_rules;
mod table;

use std::time::Duration;

use snap_core::{Amount, InquiryMode, Timestamp};

use crate::{Answer, Backoff, Event, Jitter, Job, Policy, Retry, State, StatusAnswer, apply};

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn policy() -> Policy {
    Policy {
        inquiry: InquiryMode::Always,
        inquiry_max_age: 300 * SECOND,
        retry: Backoff { initial: SECOND, max: 300 * SECOND, multiplier: 2.0, jitter_ppm: 0 },
        attempts: 3,
        first_after: 30 * SECOND,
        interval_max: 1800 * SECOND,
        quiet_period: 600 * SECOND,
        give_up_after: 86_400 * SECOND,
        uniqueness_window: 86_400 * SECOND,
        account: None,
    }
}

pub(super) fn at(secs: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000_000 + secs * 1000)
}

pub(super) fn amount() -> Amount {
    Amount::parse_strict("10000.00").unwrap()
}

pub(super) fn fresh() -> Job {
    Job::accepted(amount(), None, false, &policy(), at(0))
}

pub(super) fn inquired() -> Event {
    Event::Inquired { customer_name: Some("sa**m".into()), fee: Some(Amount::ZERO), min: None, max: None }
}

/// The events happen at the given seconds; panics where one is illegal.
pub(super) fn after(job: &Job, events: &[(i64, Event)]) -> Job {
    events.iter().fold(job.clone(), |job, (secs, event)| {
        apply(&job, &policy(), event, at(*secs), Jitter::NONE).unwrap_or_else(|error| panic!("{error}: {job:?}"))
    })
}

pub(super) fn sending() -> Job {
    after(&fresh(), &[(1, inquired()), (1, Event::SendStarted)])
}

pub(super) fn unconfirmed() -> Job {
    after(&sending(), &[(10, Event::TopUp(Answer::Unknown))])
}

pub(super) fn checked(secs: i64, answer: StatusAnswer) -> (i64, Event) {
    (secs, Event::Checked { asked_at: at(secs), answer })
}

/// By an operator.
pub(super) fn asked(secs: i64, answer: StatusAnswer) -> (i64, Event) {
    (secs, Event::AskedByOperator { answer })
}

pub(super) const COUNTED: Retry = Retry::Counted(None);

pub(super) fn name(job: &Job) -> &'static str {
    State::name(&job.state)
}
