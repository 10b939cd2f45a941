//! Where a rule begins and ends to the millisecond, and what a step that came too late or twice must not start.

use super::*;
use crate::{DeadReason, MoneyState, RejectReason, Step, next_step};

/// How often in a row the provider did not know it, as far as that counts.
fn not_found(job: &Job) -> Option<u32> {
    match job.state {
        State::Unconfirmed { not_found, .. } => Some(not_found),
        _ => None,
    }
}

fn refuses(job: &Job, secs: i64, event: &Event) -> bool {
    apply(job, &policy(), event, at(secs), Jitter::NONE).is_err()
}

#[test]
fn m8_nothing_is_sent_without_an_attempt_left_after_its_time_or_before_the_inquiry() {
    let ready = after(&fresh(), &[(1, inquired())]);
    assert!(!refuses(&ready, 2, &Event::SendStarted));
    let mut used_up = ready.clone();
    used_up.budget.attempts = 0;
    assert!(refuses(&used_up, 2, &Event::SendStarted), "no attempt is left");
    let mut late = ready;
    late.not_after = Some(at(1));
    assert!(refuses(&late, 2, &Event::SendStarted), "its time is over, whatever was decided before");
    assert!(refuses(&fresh(), 2, &Event::SendStarted), "nobody has asked for the account yet");
}

#[test]
fn m4_the_uniqueness_window_counts_from_the_first_attempt_that_may_have_been_executed() {
    // Proven not executed: what comes later is the first that may have been.
    let wait = Event::TopUp(Answer::NotExecuted { sent: true, retry: COUNTED });
    let waits = after(&sending(), &[(10, wait)]);
    assert_eq!(waits.evidence.first_sent_at, None);
    let late = [(90_000, inquired()), (90_000, Event::SendStarted), (90_010, Event::TopUp(Answer::Unknown))];
    let asked = [checked(90_040, StatusAnswer::NotFound), checked(90_700, StatusAnswer::NotFound)];
    assert_eq!(name(&after(&after(&waits, &late), &asked)), "ready");
    // After a doubt the doubtful one stays the first, however the next one ends.
    let proven = after(&unconfirmed(), &[checked(40, StatusAnswer::NotFound), checked(610, StatusAnswer::NotFound)]);
    let unsent = Event::TopUp(Answer::NotExecuted { sent: false, retry: COUNTED });
    let not_sent = after(&proven, &[(611, inquired()), (612, Event::SendStarted), (613, unsent)]);
    assert_eq!(not_sent.evidence.first_sent_at, Some(at(1)));
    assert_eq!(after(&after(&not_sent, &late), &asked).state, State::Dead { reason: DeadReason::Unresolved });
}

#[test]
fn m4_the_uniqueness_window_ends_with_its_last_instant() {
    let once = after(&unconfirmed(), &[checked(700, StatusAnswer::NotFound)]);
    // The first attempt began at second 1, the window is of 86,400 seconds.
    assert_eq!(name(&after(&once, &[checked(86_401, StatusAnswer::NotFound)])), "ready");
    assert_eq!(name(&after(&once, &[checked(86_402, StatusAnswer::NotFound)])), "dead");
}

#[test]
fn m4_a_question_counts_from_the_instant_the_attempt_ended() {
    let asked_at = |secs| Event::Checked { asked_at: at(secs), answer: StatusAnswer::NotFound };
    assert_eq!(not_found(&after(&unconfirmed(), &[(40, asked_at(9))])), Some(0));
    assert_eq!(not_found(&after(&unconfirmed(), &[(40, asked_at(10))])), Some(1));
}

#[test]
fn what_the_provider_paid_back_is_never_replayed_even_where_the_row_forgot_it() {
    let mut refunded = after(&unconfirmed(), &[checked(40, StatusAnswer::Refunded)]);
    refunded.evidence.money = MoneyState::MaybeSent;
    assert!(refuses(&refunded, 50, &Event::Replayed));
}

#[test]
fn m5_what_was_once_in_doubt_is_not_amended_though_it_is_proven_unpaid() {
    let unpaid = [checked(40, StatusAnswer::NotFound), checked(610, StatusAnswer::NotFound)];
    let resent = after(&after(&unconfirmed(), &unpaid), &[(611, inquired()), (612, Event::SendStarted)]);
    let wrong = after(&resent, &[(613, Event::TopUp(Answer::Wrong))]);
    let dead = after(&wrong, &[checked(650, StatusAnswer::NotFound), checked(1300, StatusAnswer::NotFound)]);
    assert_eq!((name(&dead), dead.evidence.money, dead.evidence.accepted), ("dead", MoneyState::ProvenUnpaid, false));
    assert!(refuses(&dead, 1400, &Event::Amended { not_after: None, has_customer_name: true }));
}

#[test]
fn every_random_number_is_a_place_in_the_spread_from_end_to_end() {
    let retry = Backoff { initial: 10 * SECOND, max: 300 * SECOND, multiplier: 2.0, jitter_ppm: 200_000 };
    let policy = Policy { retry, ..policy() };
    let waits = |random| {
        let jitter = Jitter::from_random(random);
        let retry = policy.retry_at(at(0), 0, None, jitter).since(at(0));
        (retry.as_millis(), policy.first_check(at(0), jitter).since(at(0)).as_millis())
    };
    assert_eq!(waits(0), (8_000, 30_000));
    assert_eq!(waits(500_000), (10_000, 33_000));
    assert_eq!(waits(1_000_000), (12_000, 36_000));
    assert_eq!(waits(1_000_001), waits(0), "and around");
    assert_eq!(Jitter::from_random(500_000), Jitter::NONE);
}

#[test]
fn the_pauses_are_those_of_the_configuration_and_of_nothing_else() {
    let pauses = |multiplier, max| {
        let retry = Backoff { initial: 5 * SECOND, max: max * SECOND, multiplier, jitter_ppm: 0 };
        [0, 1, 2, 3, 5, 8].map(|retry_no| retry.pause(retry_no).as_secs())
    };
    assert_eq!(pauses(3.0, 3600), [5, 15, 45, 135, 1215, 3600]);
    assert_eq!(pauses(2.0, 12), [5, 10, 12, 12, 12, 12]);
    assert_eq!(pauses(2.0, 1), [1; 6], "no pause is longer than the longest");
}

#[test]
fn a_check_that_falls_on_the_end_of_the_schedule_is_its_last() {
    // At 30, 90, 210 and 450 seconds after the attempt ended.
    let until = |secs| Policy { give_up_after: secs * SECOND, ..policy() }.checks();
    assert_eq!((until(449), until(450), until(451)), (4, 4, 5));
}

#[test]
fn m4_the_second_question_is_not_put_in_the_instant_of_the_first() {
    // Asked for the first time when the quiet period ends: there is nothing more to wait for, but still a row to make.
    let once = after(&unconfirmed(), &[checked(610, StatusAnswer::NotFound)]);
    assert_eq!(once.due_at(), Some(at(670)));
    let early = after(&unconfirmed(), &[checked(609, StatusAnswer::NotFound)]);
    assert_eq!(early.due_at(), Some(at(610)), "where it still runs, its end is not slept past");
}

#[test]
fn an_inquiry_comes_first_where_the_provider_or_a_missing_name_asks_for_it() {
    let first = |inquiry, has_customer_name| {
        let policy = Policy { inquiry, ..policy() };
        next_step(&Job { has_customer_name, ..fresh() }, &policy, at(0))
    };
    for has_customer_name in [true, false] {
        assert_eq!(first(InquiryMode::Always, has_customer_name), Step::Inquire);
        assert_eq!(first(InquiryMode::Never, has_customer_name), Step::Send);
    }
    let inquired = after(&fresh(), &[(1, inquired())]);
    assert_eq!(next_step(&inquired, &policy(), at(1)), Step::Send, "an answer counts from its own instant on");
    assert_eq!(first(InquiryMode::WhenNeeded, true), Step::Send);
    assert_eq!(first(InquiryMode::WhenNeeded, false), Step::Inquire);
}

#[test]
fn every_word_of_the_contract_is_read_back_and_no_other() {
    for reason in DeadReason::ALL {
        assert_eq!(DeadReason::parse(reason.as_str()), Some(reason));
    }
    for money in MoneyState::ALL {
        assert_eq!(MoneyState::parse(money.as_str()), Some(money));
    }
    assert_eq!((DeadReason::parse("lost"), MoneyState::parse("lost")), (None, None));
}

#[test]
fn each_state_is_open_at_its_end_or_before_a_person() {
    let reason = DeadReason::Unresolved;
    let why = RejectReason::Business;
    let open = [fresh(), after(&fresh(), &[(1, inquired())]), sending(), unconfirmed()].map(|job| job.state);
    assert!(open.iter().all(|state| state.is_open() && !state.is_final()));
    let ended = [State::Succeeded, State::Rejected { reason: why }, State::Discarded { reason }];
    assert!(ended.iter().all(|state| state.is_final() && !state.is_open()));
    let dead = State::Dead { reason };
    assert!(!dead.is_open() && !dead.is_final(), "it waits for a person, who may still let it go on");
}

#[test]
fn a_job_may_be_started_up_to_the_last_instant_of_its_time_and_waits_up_to_the_first_of_its_turn() {
    let job = Job::accepted(amount(), Some(at(100)), false, &policy(), at(50));
    assert_eq!(next_step(&job, &policy(), at(49)), Step::WaitUntil(at(50)));
    assert_eq!(next_step(&job, &policy(), at(50)), Step::Inquire);
    assert_eq!(next_step(&job, &policy(), at(100)), Step::Inquire);
    assert_eq!(next_step(&job, &policy(), Timestamp::from_millis(at(100).as_millis() + 1)), Step::Expire);
}

#[test]
fn m12_whatever_decisions_rest_on_comes_back_from_the_stored_text() {
    let replayed = after(&fresh(), &[(1, Event::InquiryWrong), (2, Event::Replayed)]);
    let accepted = after(&sending(), &[(10, Event::TopUp(Answer::Inconsistent))]);
    let asked = after(&unconfirmed(), &[checked(40, StatusAnswer::NotFound)]);
    for job in [fresh(), after(&fresh(), &[(1, inquired())]), sending(), asked, accepted, replayed.clone()] {
        let text = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job, "{text}");
    }
    let has_it = |job: &Job| serde_json::to_value(job.evidence).unwrap().get("replayed").is_some();
    assert!(has_it(&replayed) && !has_it(&fresh()), "written only where it says something, as in rows of before");
}
