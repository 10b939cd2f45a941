use super::*;
use crate::{DeadReason, Late, LateAnswer, MoneyState, Noticed, RejectReason, Step, next_step};

fn dead(reason: DeadReason) -> State {
    State::Dead { reason }
}

fn rejected(reason: RejectReason) -> State {
    State::Rejected { reason }
}

#[test]
fn m1_an_attempt_found_after_a_restart_is_asked_about_never_sent_again() {
    assert_eq!(next_step(&sending(), &policy(), at(2)), Step::CheckStatus);
    let found = after(&sending(), &[(100, Event::Restarted)]);
    assert_eq!(name(&found), "unconfirmed");
    assert_eq!(found.evidence.last_ended_at, Some(at(100)), "quiet counts from the restart");
    assert_eq!(next_step(&found, &policy(), at(130)), Step::CheckStatus);
}

#[test]
fn m2_doubt_leads_to_a_status_inquiry() {
    for answer in [Answer::Unknown, Answer::Accepted, Answer::Inconsistent] {
        let job = after(&sending(), &[(10, Event::TopUp(answer))]);
        assert_eq!(name(&job), "unconfirmed", "{answer:?}");
        assert_eq!(job.evidence.money, MoneyState::MaybeSent);
        assert_eq!(next_step(&job, &policy(), at(39)), Step::WaitUntil(at(40)));
        assert_eq!(next_step(&job, &policy(), at(40)), Step::CheckStatus);
    }
}

#[test]
fn m3_a_refusal_after_doubt_does_not_clear_the_doubt() {
    let resent = after(
        &unconfirmed(),
        &[
            checked(40, StatusAnswer::NotFound),
            checked(610, StatusAnswer::NotFound),
            (611, inquired()),
            (612, Event::SendStarted),
        ],
    );
    for (answer, end) in
        [(Answer::Refused, rejected(RejectReason::Business)), (Answer::Wrong, dead(DeadReason::RequestRefused))]
    {
        let refused = after(&resent, &[(613, Event::TopUp(answer))]);
        assert_eq!(name(&refused), "unconfirmed", "{answer:?}");
        let paid_late = after(&refused, &[checked(650, StatusAnswer::Paid { amount_seen: true })]);
        assert_eq!(paid_late.state, State::Succeeded);
        let once = after(&refused, &[checked(650, StatusAnswer::NotFound)]);
        assert_eq!(name(&once), "unconfirmed");
        let proven = after(&once, &[checked(1213, StatusAnswer::NotFound)]);
        assert_eq!(proven.state, end);
        assert_eq!(proven.evidence.money, MoneyState::ProvenUnpaid);
    }
    for retry in [COUNTED, Retry::Free] {
        let refused = after(&resent, &[(613, Event::TopUp(Answer::NotExecuted { sent: true, retry }))]);
        assert_eq!(name(&refused), "unconfirmed");
    }
}

#[test]
fn m3_an_inquiry_that_refuses_after_doubt_asks_once_more() {
    let proven = after(&unconfirmed(), &[checked(40, StatusAnswer::NotFound), checked(610, StatusAnswer::NotFound)]);
    let refused = after(&proven, &[(611, Event::InquiryRefused)]);
    assert_eq!(name(&refused), "unconfirmed");
}

#[test]
fn m4_not_found_needs_two_answers() {
    let once = after(&unconfirmed(), &[checked(700, StatusAnswer::NotFound)]);
    assert_eq!(name(&once), "unconfirmed", "one answer, however late, proves nothing");
    let twice = after(&once, &[checked(701, StatusAnswer::NotFound)]);
    assert_eq!(name(&twice), "ready");
    assert_eq!(twice.evidence.money, MoneyState::ProvenUnpaid);
}

#[test]
fn m4_not_found_needs_the_quiet_period() {
    let early = after(
        &unconfirmed(),
        &[
            checked(40, StatusAnswer::NotFound),
            checked(100, StatusAnswer::NotFound),
            checked(609, StatusAnswer::NotFound),
        ],
    );
    assert_eq!(name(&early), "unconfirmed");
    assert_eq!(name(&after(&early, &[checked(610, StatusAnswer::NotFound)])), "ready");
}

#[test]
fn m4_the_row_of_not_found_is_broken_by_anything_else() {
    for answer in [StatusAnswer::Pending, StatusAnswer::Nothing(COUNTED)] {
        let job = after(
            &unconfirmed(),
            &[checked(700, StatusAnswer::NotFound), checked(800, answer), checked(900, StatusAnswer::NotFound)],
        );
        assert_eq!(name(&job), "unconfirmed", "{answer:?}");
    }
}

#[test]
fn m4_a_question_asked_before_the_attempt_ended_does_not_count() {
    let asked_early = Event::Checked { asked_at: at(9), answer: StatusAnswer::NotFound };
    let job = after(&unconfirmed(), &[(700, asked_early), checked(701, StatusAnswer::NotFound)]);
    assert_eq!(name(&job), "unconfirmed");
}

#[test]
fn m4_an_accepted_top_up_is_never_sent_again() {
    let accepted = after(&sending(), &[(10, Event::TopUp(Answer::Accepted))]);
    let lost = after(&accepted, &[checked(700, StatusAnswer::NotFound), checked(1400, StatusAnswer::NotFound)]);
    assert_eq!(lost.state, dead(DeadReason::Unresolved));
    let pending = after(&unconfirmed(), &[checked(40, StatusAnswer::Pending)]);
    let lost = after(&pending, &[checked(700, StatusAnswer::NotFound), checked(1400, StatusAnswer::NotFound)]);
    assert_eq!(lost.state, dead(DeadReason::Unresolved));
    let replayed = after(&lost, &[(2000, Event::Replayed)]);
    let lost = after(&replayed, &[checked(2000, StatusAnswer::NotFound), checked(2100, StatusAnswer::NotFound)]);
    assert_eq!(lost.state, dead(DeadReason::Unresolved), "a replay cannot resend it either");
}

#[test]
fn m4_not_found_after_the_uniqueness_window_proves_nothing() {
    let job =
        after(&unconfirmed(), &[checked(86_500, StatusAnswer::NotFound), checked(86_600, StatusAnswer::NotFound)]);
    assert_eq!(job.state, dead(DeadReason::Unresolved));
    assert_eq!(job.evidence.money, MoneyState::MaybeSent);
    let replayed = after(&job, &[(90_000, Event::Replayed)]);
    assert_eq!(next_step(&replayed, &policy(), at(90_000)), Step::CheckStatus);
    let paid = after(&replayed, &[checked(90_001, StatusAnswer::Paid { amount_seen: false })]);
    assert_eq!(paid.state, State::Succeeded, "asking is still allowed, and paid closes it");
}

#[test]
fn m4_the_uniqueness_window_goes_on_while_the_machine_sleeps() {
    let asked = after(&unconfirmed(), &[checked(700, StatusAnswer::NotFound)]);
    let not_found = Event::Checked { asked_at: at(800), answer: StatusAnswer::NotFound };
    let noticed_at = |latest| {
        let noticed = Noticed { wall: at(latest), ..at(800).into() };
        apply(&asked, &policy(), &not_found, noticed, Jitter::NONE).unwrap()
    };
    assert_eq!(noticed_at(86_401).state, State::Ready { at: at(800) }, "to the second of the window it is proof");
    assert_eq!(noticed_at(86_402).state, dead(DeadReason::Unresolved));
}

#[test]
fn m6_a_used_up_status_budget_ends_before_a_person_never_as_failed() {
    let mut job = unconfirmed();
    let mut now = 40;
    for _ in 0..policy().checks() {
        assert_eq!(name(&job), "unconfirmed");
        job = after(&job, &[checked(now, StatusAnswer::Nothing(COUNTED))]);
        now += 1800;
    }
    assert_eq!(job.state, dead(DeadReason::Unresolved));
    assert_eq!(job.evidence.money, MoneyState::MaybeSent);
}

#[test]
fn m7_a_mismatch_is_not_a_success_until_an_answer_names_our_amount() {
    let job = after(&sending(), &[(10, Event::TopUp(Answer::Inconsistent))]);
    let still = after(&job, &[checked(40, StatusAnswer::Paid { amount_seen: false })]);
    assert_eq!(still.state, dead(DeadReason::InconsistentAnswer));
    let right = after(&job, &[checked(40, StatusAnswer::Paid { amount_seen: true })]);
    assert_eq!(right.state, State::Succeeded);
    let wrong = after(&unconfirmed(), &[checked(40, StatusAnswer::Inconsistent)]);
    assert_eq!(wrong.state, dead(DeadReason::InconsistentAnswer));
}

#[test]
fn m8_what_provably_was_not_executed_is_sent_again_within_its_budget() {
    let mut job = fresh();
    for (round, state) in ["ready", "ready", "dead"].into_iter().enumerate() {
        let start = i64::try_from(round).unwrap() * 1000 + 1;
        let end = Event::TopUp(Answer::NotExecuted { sent: false, retry: COUNTED });
        job = after(&job, &[(start, inquired()), (start, Event::SendStarted), (start, end)]);
        assert_eq!(name(&job), state);
    }
    assert_eq!(job.state, dead(DeadReason::RetriesExhausted));
    assert_eq!(job.evidence.money, MoneyState::NeverSent);
}

#[test]
fn m8_the_providers_wish_to_wait_is_granted_up_to_five_minutes() {
    let wish = |secs| {
        let retry = Retry::Counted(Some(Duration::from_secs(secs)));
        after(&sending(), &[(10, Event::TopUp(Answer::NotExecuted { sent: true, retry }))]).due_at()
    };
    assert_eq!(wish(20), Some(at(30)));
    assert_eq!(wish(100_000), Some(at(310)));
    assert_eq!(wish(0), Some(at(11)), "the schedule's own pause is the least");
}

#[test]
fn m9_a_fault_of_ours_uses_up_no_attempt() {
    let mut job = fresh();
    for round in 0..50 {
        let end = Event::TopUp(Answer::NotExecuted { sent: true, retry: Retry::Free });
        job = after(&job, &[(round, inquired()), (round, Event::SendStarted), (round, end)]);
        job = after(&job, &[(round, Event::InquiryFailed(Retry::Free))]);
        assert_eq!(name(&job), "ready");
    }
    assert_eq!(job.budget, fresh().budget);
}

#[test]
fn m12_a_restored_store_asks_before_it_sends() {
    for job in [fresh(), after(&fresh(), &[(1, inquired())])] {
        let job = after(&job, &[(5, Event::StoreRestored)]);
        assert_eq!(name(&job), "unconfirmed");
        assert_eq!(next_step(&job, &policy(), at(35)), Step::CheckStatus);
        let paid = after(&job, &[checked(35, StatusAnswer::Paid { amount_seen: true })]);
        assert_eq!(paid.state, State::Succeeded);
    }
}

#[test]
fn the_inquirys_limits_are_checked_before_anything_is_sent() {
    let limits = |min: &str, max: &str| Event::Inquired {
        customer_name: None,
        fee: None,
        min: Some(Amount::parse_strict(min).unwrap()),
        max: Some(Amount::parse_strict(max).unwrap()),
    };
    for event in [limits("10000.01", "20000.00"), limits("0.01", "9999.99")] {
        let job = after(&fresh(), &[(1, event)]);
        assert_eq!(job.state, rejected(RejectReason::AmountOutOfRange));
        assert_eq!(job.evidence.money, MoneyState::NeverSent);
    }
    assert_eq!(name(&after(&fresh(), &[(1, limits("10000.00", "10000.00"))])), "inquired");
}

#[test]
fn an_old_inquiry_is_asked_again() {
    let job = after(&fresh(), &[(1, inquired())]);
    assert_eq!(next_step(&job, &policy(), at(301)), Step::Send);
    assert_eq!(next_step(&job, &policy(), at(302)), Step::Inquire);
    assert_eq!(next_step(&job, &policy(), at(0)), Step::Inquire, "a clock that went back proves nothing");
}

#[test]
fn not_after_stops_a_start_but_not_the_settling_of_a_doubt() {
    let job = Job::accepted(amount(), Some(at(100)), false, &policy(), at(0));
    assert_eq!(next_step(&job, &policy(), at(101)), Step::Expire);
    assert_eq!(after(&job, &[(101, Event::Expired)]).state, rejected(RejectReason::Expired));
    let doubted = after(&job, &[(1, inquired()), (1, Event::SendStarted), (10, Event::TopUp(Answer::Unknown))]);
    assert_eq!(next_step(&doubted, &policy(), at(200)), Step::CheckStatus);
    let unpaid = after(&doubted, &[checked(200, StatusAnswer::NotFound), checked(700, StatusAnswer::NotFound)]);
    assert_eq!(unpaid.state, rejected(RejectReason::Expired));
    let paid = after(&doubted, &[checked(200, StatusAnswer::Paid { amount_seen: true })]);
    assert_eq!(paid.state, State::Succeeded);
}

#[test]
fn a_refunded_top_up_cannot_be_replayed() {
    let job = after(&unconfirmed(), &[checked(40, StatusAnswer::Refunded)]);
    assert_eq!(job.state, dead(DeadReason::Refunded));
    assert_eq!(job.evidence.money, MoneyState::Returned);
    assert!(apply(&job, &policy(), &Event::Replayed, at(50), Jitter::NONE).is_err());
}

#[test]
fn a_replay_of_what_was_never_sent_starts_over_with_full_budgets() {
    let wrong = after(&fresh(), &[(1, Event::InquiryWrong)]);
    assert_eq!(wrong.state, dead(DeadReason::RequestRefused));
    let replayed = after(&wrong, &[(1_000_000, Event::Replayed)]);
    assert_eq!(name(&replayed), "ready");
    assert_eq!(replayed.budget, fresh().budget);
    assert_eq!(next_step(&replayed, &policy(), at(1_000_000)), Step::Inquire);
}

#[test]
fn discarding_can_be_taken_back() {
    let job = after(&fresh(), &[(1, Event::InquiryWrong), (2, Event::Discarded)]);
    assert_eq!(name(&job), "discarded");
    assert_eq!(after(&job, &[(3, Event::Restored)]).state, dead(DeadReason::RequestRefused));
}

#[test]
fn the_pauses_grow_to_their_maximum_and_jitter_stays_in_its_spread() {
    let retry = Backoff { initial: SECOND, max: 10 * SECOND, multiplier: 2.0, jitter_ppm: 200_000 };
    let pauses: Vec<u64> = (0..6).map(|retry_no| retry.pause(retry_no).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
    let policy = Policy { retry, ..policy() };
    for random in [0, 1, 500_000, 999_999, 1_000_000, u32::MAX] {
        let jitter = Jitter::from_random(random);
        let pause = policy.retry_at(at(0), 1, None, jitter).since(at(0));
        assert!((1600..=2400).contains(&pause.as_millis()), "{pause:?}");
        assert!(policy.first_check(at(0), jitter) >= at(30), "a status inquiry is never early");
    }
}

#[test]
fn the_number_of_checks_follows_from_the_schedule() {
    assert_eq!(policy().checks(), 6 + 46);
    let tight = Policy { give_up_after: SECOND, ..policy() };
    assert_eq!(tight.checks(), 3, "two not-found answers must fit");
    let fine = Policy { first_after: Duration::ZERO, interval_max: Duration::ZERO, ..policy() };
    assert_eq!(fine.checks(), 86_400_000);
}

#[test]
fn m4_a_resend_that_collides_with_its_original_is_never_sent_again() {
    let resend = [
        checked(40, StatusAnswer::NotFound),
        checked(610, StatusAnswer::NotFound),
        (611, inquired()),
        (612, Event::SendStarted),
        (613, Event::TopUp(Answer::Duplicate)),
    ];
    let collided = after(&unconfirmed(), &resend);
    assert_eq!(name(&collided), "unconfirmed");
    let lost = after(&collided, &[checked(1300, StatusAnswer::NotFound), checked(2600, StatusAnswer::NotFound)]);
    assert_eq!(lost.state, dead(DeadReason::Unresolved));
    assert_eq!(lost.evidence.money, MoneyState::MaybeSent);
    let first = after(&sending(), &[(10, Event::TopUp(Answer::Duplicate))]);
    let settled = after(&first, &[checked(40, StatusAnswer::NotFound), checked(610, StatusAnswer::NotFound)]);
    assert_eq!(name(&settled), "ready", "a first attempt that is called a duplicate is in plain doubt");
}

#[test]
fn m6_what_is_sent_again_is_asked_about_as_long_as_the_first() {
    let mut job = unconfirmed();
    job.budget.checks = 1;
    job.state = State::Unconfirmed { at: at(700), not_found: 1, refusal: None };
    let ready = after(&job, &[checked(700, StatusAnswer::NotFound)]);
    assert_eq!((name(&ready), ready.budget.checks), ("ready", policy().checks()));
}

#[test]
fn m12_a_restored_doubt_starts_its_quiet_period_over() {
    let once = after(&unconfirmed(), &[checked(700, StatusAnswer::NotFound)]);
    let restored = after(&once, &[(5000, Event::StoreRestored)]);
    let asked = after(&restored, &[checked(5030, StatusAnswer::NotFound), checked(5100, StatusAnswer::NotFound)]);
    assert_eq!(name(&asked), "unconfirmed", "a forgotten resend may be seconds old");
    assert_eq!(name(&after(&asked, &[checked(5600, StatusAnswer::NotFound)])), "ready");
}

#[test]
fn m12_a_job_that_was_due_long_ago_may_have_been_sent_long_ago() {
    let mut job = fresh();
    job.state = State::Ready { at: at(-90_000) };
    let restored = after(&job, &[(0, Event::StoreRestored)]);
    let asked = after(&restored, &[checked(30, StatusAnswer::NotFound), checked(700, StatusAnswer::NotFound)]);
    assert_eq!(asked.state, dead(DeadReason::Unresolved), "the uniqueness window may be over");
}

#[test]
fn m5_m6_a_check_of_a_dead_letter_settles_it_or_leaves_it_and_never_lets_it_be_sent() {
    let mut dead = unconfirmed();
    dead.state = State::Dead { reason: DeadReason::Unresolved };
    for answer in [StatusAnswer::NotFound, StatusAnswer::Nothing(COUNTED), StatusAnswer::Nothing(Retry::Free)] {
        assert_eq!(after(&dead, &[asked(1000, answer), asked(2000, answer)]), dead, "{answer:?}");
    }
    let pending = after(&dead, &[asked(1000, StatusAnswer::Pending)]);
    assert!(pending.evidence.accepted && name(&pending) == "dead");
    assert_eq!(name(&after(&dead, &[asked(1000, StatusAnswer::Paid { amount_seen: false })])), "succeeded");
    assert_eq!(name(&after(&dead, &[asked(1000, StatusAnswer::Failed)])), "rejected");
    let refunded = after(&dead, &[asked(1000, StatusAnswer::Refunded)]);
    assert_eq!(refunded.evidence.money, MoneyState::Returned);
    assert!(
        apply(&refunded, &policy(), &asked(2000, StatusAnswer::Paid { amount_seen: true }).1, at(2000), Jitter::NONE)
            .is_err()
    );
}

#[test]
fn m7_a_check_does_not_close_a_mismatch_without_having_seen_the_amount() {
    let inconsistent = after(&unconfirmed(), &[checked(40, StatusAnswer::Inconsistent)]);
    let unseen = after(&inconsistent, &[asked(50, StatusAnswer::Paid { amount_seen: false })]);
    assert_eq!(unseen.state, State::Dead { reason: DeadReason::InconsistentAnswer });
    assert_eq!(name(&after(&inconsistent, &[asked(50, StatusAnswer::Paid { amount_seen: true })])), "succeeded");
}

#[test]
fn c13_an_operators_answer_is_taken_of_a_dead_letter_only() {
    let open = [fresh(), sending(), unconfirmed(), after(&sending(), &[(10, Event::TopUp(Answer::Paid))])];
    for job in open {
        let (_, event) = asked(1000, StatusAnswer::Paid { amount_seen: true });
        assert!(apply(&job, &policy(), &event, at(1000), Jitter::NONE).is_err(), "{job:?}");
    }
    let mut dead = unconfirmed();
    dead.state = State::Dead { reason: DeadReason::Unresolved };
    let (_, event) = checked(1000, StatusAnswer::NotFound);
    assert!(apply(&dead, &policy(), &event, at(1000), Jitter::NONE).is_err(), "the worker asks about no dead letter");
}

/// A provider whose replicas disagree: twice "not found", and then an operator's answer that came late.
#[test]
fn m2_what_a_late_answer_shows_to_be_known_is_never_sent_again() {
    let proven = after(&unconfirmed(), &[checked(40, StatusAnswer::NotFound), checked(610, StatusAnswer::NotFound)]);
    assert_eq!(name(&proven), "ready");
    let pending = LateAnswer { said: Late::Status(StatusAnswer::Pending), later: false, same_number: false };
    let known = after(&proven, &[(620, Event::Late(pending))]);
    assert_eq!((name(&known), known.evidence.accepted), ("unconfirmed", true));
    let denied = after(&known, &[checked(1300, StatusAnswer::NotFound), checked(2600, StatusAnswer::NotFound)]);
    assert_eq!(denied.state, State::Dead { reason: DeadReason::Unresolved });
    assert_eq!(name(&after(&known, &[checked(1300, StatusAnswer::Paid { amount_seen: true })])), "succeeded");
}

#[test]
fn m12_a_dead_letter_of_a_restored_store_is_asked_about_before_a_replay_sends_it() {
    let never_sent = after(&fresh(), &[(1, Event::InquiryWrong)]);
    let proven = after(&sending(), &[(10, Event::TopUp(Answer::Wrong))]);
    for dead in [never_sent, proven] {
        assert_eq!(name(&after(&dead, &[(3000, Event::Replayed)])), "ready");
        let replayed = after(&dead, &[(2000, Event::StoreRestored), (3000, Event::Replayed)]);
        assert_eq!((name(&replayed), replayed.evidence.money), ("unconfirmed", MoneyState::MaybeSent));
    }
    let discarded = after(&fresh(), &[(1, Event::InquiryWrong), (2, Event::Discarded), (2000, Event::StoreRestored)]);
    let replayed = after(&discarded, &[(3000, Event::Restored), (3000, Event::Replayed)]);
    assert_eq!(name(&replayed), "unconfirmed");
    // What nobody knows the age of is never proven unpaid by "not found".
    let forgotten = after(&fresh(), &[(1, Event::InquiryWrong), (2000, Event::StoreRestored), (3000, Event::Replayed)]);
    let asked = after(&forgotten, &[checked(3000, StatusAnswer::NotFound), checked(4000, StatusAnswer::NotFound)]);
    assert_eq!(asked.state, State::Dead { reason: DeadReason::Unresolved });
}

#[test]
fn m12_a_dead_letter_replayed_after_a_restore_is_not_proven_unpaid_by_not_found() {
    // Found by the model: died unsent, copied, replayed and paid, the copy put back, replayed long after. Asked first, but
    // the provider has forgotten the reference by then, and the age of what the store has forgotten is not known.
    let died = after(&fresh(), &[(1, Event::InquiryWrong)]);
    let replayed = after(&died, &[(200_000, Event::Replayed), (200_001, Event::StoreRestored)]);
    assert_eq!(name(&replayed), "unconfirmed");
    let asked = after(&replayed, &[checked(200_100, StatusAnswer::NotFound), checked(200_700, StatusAnswer::NotFound)]);
    assert_eq!(asked.state, dead(DeadReason::Unresolved));
    assert_eq!(asked.evidence.money, MoneyState::MaybeSent);
    // Without a restore in between, a replay of what was never sent is an ordinary job.
    let ordinary = after(&died, &[(200_000, Event::Replayed), (200_000, inquired()), (200_000, Event::SendStarted)]);
    let lost = after(&ordinary, &[(200_010, Event::TopUp(Answer::Unknown))]);
    let asked = after(&lost, &[checked(200_100, StatusAnswer::NotFound), checked(200_700, StatusAnswer::NotFound)]);
    assert_eq!(name(&asked), "ready");
}

#[test]
fn m5_only_what_never_took_effect_is_amended_and_amount_and_evidence_stay() {
    let amended = Event::Amended { not_after: Some(at(9_000)), has_customer_name: true };
    let apply_to = |job: &Job| apply(job, &policy(), &amended, at(100), Jitter::NONE);
    let never_sent = after(&fresh(), &[(1, Event::InquiryWrong)]);
    let proven_unpaid = after(&sending(), &[(10, Event::TopUp(Answer::Wrong))]);
    for dead in [never_sent, proven_unpaid] {
        let next = apply_to(&dead).unwrap();
        assert_eq!((next.not_after, next.has_customer_name), (Some(at(9_000)), true));
        assert_eq!((&next.state, next.amount, &next.evidence), (&dead.state, dead.amount, &dead.evidence));
    }
    let mut maybe_sent = unconfirmed();
    maybe_sent.state = dead(DeadReason::Unresolved);
    let mut forgotten = after(&fresh(), &[(1, Event::InquiryWrong)]);
    forgotten = apply(&forgotten, &policy(), &Event::StoreRestored, at(50), Jitter::NONE).unwrap();
    for locked in [maybe_sent, forgotten, fresh(), sending(), unconfirmed()] {
        apply_to(&locked).unwrap_err();
    }
}
