//! A wrong clock does no lasting harm (M17).

use super::*;
use crate::{Correction, DeadReason, Noticed, RejectReason, Step, next_step};

/// Three days.
const AHEAD: Duration = Duration::from_secs(3 * 86_400);
const AHEAD_SECS: i64 = 3 * 86_400;

fn until(secs: i64) -> Job {
    Job { not_after: Some(at(secs)), ..fresh() }
}

fn doubted(secs: i64, wall: i64) -> Noticed {
    Noticed { wall: at(wall), is_doubted: true, ..at(secs).into() }
}

#[test]
fn m17_not_after_goes_by_the_wall_clock_as_it_is() {
    let job = until(100);
    // The clock for ages is three days ahead of the wall clock that was put right, and the other way round.
    assert_eq!(next_step(&job, &policy(), Noticed { wall: at(50), ..at(50 + AHEAD_SECS).into() }), Step::Inquire);
    assert_eq!(next_step(&job, &policy(), Noticed { wall: at(101), ..at(50).into() }), Step::Expire);
    let noticed = Noticed { wall: at(50), ..at(50 + AHEAD_SECS).into() };
    assert!(apply(&job, &policy(), &Event::Expired, noticed, Jitter::NONE).is_err());
    let inquired = apply(&job, &policy(), &inquired(), noticed, Jitter::NONE).unwrap();
    assert_eq!(name(&apply(&inquired, &policy(), &Event::SendStarted, noticed, Jitter::NONE).unwrap()), "sending");
}

#[test]
fn m17_a_wall_clock_that_the_provider_says_is_wrong_neither_expires_nor_sends() {
    for wall in [50, 101] {
        let noticed = doubted(50, wall);
        let Step::WaitUntil(again) = next_step(&until(100), &policy(), noticed) else { panic!("it is decided") };
        assert!(again > at(50));
        assert_eq!(next_step(&fresh(), &policy(), noticed), Step::Inquire, "what has no notAfter goes on");
        for event in [Event::Expired, Event::SendStarted] {
            let job = after(&until(100), &[(1, inquired())]);
            assert!(apply(&job, &policy(), &event, noticed, Jitter::NONE).is_err(), "{event:?}");
        }
    }
    assert_eq!(next_step(&until(100), &policy(), at(101)), Step::Expire, "the clocks agree again");
}

#[test]
fn m17_not_found_is_no_proof_while_the_wall_clock_is_doubted_and_is_one_afterwards() {
    let once = after(&unconfirmed(), &[checked(40, StatusAnswer::NotFound)]);
    let (_, asked) = checked(700, StatusAnswer::NotFound);
    let still = apply(&once, &policy(), &asked, doubted(700, 700), Jitter::NONE).unwrap();
    assert_eq!(name(&still), "unconfirmed");
    assert_eq!(name(&after(&still, &[checked(800, StatusAnswer::NotFound)])), "ready");
}

#[test]
fn m17_the_quiet_period_of_a_doubt_from_before_the_boot_starts_over() {
    let once = after(&unconfirmed(), &[checked(40, StatusAnswer::NotFound)]);
    // Booted at 5000, by a wall clock that may be ahead of the one before.
    let booted = |secs| Noticed { known_since: Some(at(5000)), ..at(secs).into() };
    let ask = |job: &Job, secs: i64| {
        let (_, event) = checked(secs, StatusAnswer::NotFound);
        apply(job, &policy(), &event, booted(secs), Jitter::NONE).unwrap()
    };
    let early = ask(&ask(&once, 5010), 5599);
    assert_eq!(name(&early), "unconfirmed", "time that never passed is not counted");
    assert_eq!(name(&ask(&early, 5600)), "ready");
}

#[test]
fn m17_an_attempt_that_ended_by_a_clock_that_was_ahead_is_asked_about_at_once_and_settled() {
    let mut job = unconfirmed();
    job.evidence.last_ended_at = Some(at(10).plus(AHEAD));
    job.evidence.first_sent_at = Some(at(1).plus(AHEAD));
    let booted = |secs| Noticed { known_since: Some(at(100)), ..at(secs).into() };
    for secs in [110, 720] {
        let (_, event) = checked(secs, StatusAnswer::NotFound);
        job = apply(&job, &policy(), &event, booted(secs), Jitter::NONE).unwrap();
    }
    assert_eq!(job.state, State::Dead { reason: DeadReason::Unresolved }, "nobody knows how long ago it was sent");
}

#[test]
fn m17_times_by_a_clock_that_was_ahead_by_a_known_time_are_moved_by_just_that() {
    let wrong = |secs: i64| at(secs + AHEAD_SECS);
    let mut job = unconfirmed();
    (job.evidence.first_sent_at, job.evidence.last_ended_at) = (Some(wrong(1)), Some(wrong(10)));
    job.state = State::Unconfirmed { at: wrong(70), not_found: 1, refusal: None };
    let correction = Correction { now: at(60), ahead: Some((wrong(0), AHEAD)), unknown_since: None };
    let right = job.corrected(&correction).unwrap();
    assert_eq!(right, Job { state: State::Unconfirmed { at: at(70), not_found: 1, refusal: None }, ..unconfirmed() });
    // What was noted before that clock began to run is not of it, and is looked at now.
    let before = unconfirmed().corrected(&Correction { now: at(30), ..correction }).unwrap();
    assert_eq!(before, Job { state: State::Unconfirmed { at: at(30), not_found: 0, refusal: None }, ..unconfirmed() });
}

#[test]
fn m17_times_of_an_unknown_age_are_read_in_the_safe_way() {
    let mut job = after(&unconfirmed(), &[checked(40, StatusAnswer::NotFound)]);
    (job.evidence.first_sent_at, job.evidence.last_ended_at) = (Some(at(900)), Some(at(910)));
    job.state = State::Unconfirmed { at: at(5000), not_found: 1, refusal: None };
    let correction = Correction { now: at(60), ahead: None, unknown_since: None };
    let right = job.corrected(&correction).unwrap();
    assert_eq!(right.state, State::Unconfirmed { at: at(60), not_found: 0, refusal: None }, "asked about now");
    assert_eq!(right.evidence.last_ended_at, Some(at(60)), "the quiet period starts over");
    let asked = after(&right, &[checked(700, StatusAnswer::NotFound), checked(800, StatusAnswer::NotFound)]);
    assert_eq!(asked.state, State::Dead { reason: DeadReason::Unresolved });
    let waiting = Job { state: State::Ready { at: at(5000) }, ..fresh() };
    assert_eq!(waiting.corrected(&correction).unwrap().state, State::Ready { at: at(60) });
    let told = Correction { unknown_since: Some(at(5)), ..correction };
    assert_eq!(unconfirmed().corrected(&told).unwrap().evidence.last_ended_at, Some(at(60)));
    let rejected = Job { state: State::Rejected { reason: RejectReason::Expired }, ..fresh() };
    assert_eq!(rejected.corrected(&correction), None);
}
