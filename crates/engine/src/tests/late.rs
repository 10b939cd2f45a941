//! M16: what came back to a driver that was fenced off meanwhile.

use proptest::prelude::*;

use super::table::states;
use super::*;
use crate::{Beside, DeadReason, Late, LateAnswer, MoneyState, RejectReason, Step, Taken, next_step};

const TOP_UP: [Answer; 9] = [
    Answer::Paid,
    Answer::Accepted,
    Answer::Refused,
    Answer::Wrong,
    Answer::NotExecuted { sent: true, retry: COUNTED },
    Answer::NotSent,
    Answer::Unknown,
    Answer::Duplicate,
    Answer::Inconsistent,
];
/// One of each kind of answer to a status inquiry; one that says nothing costs one of the budget.
pub(super) const STATUS: [StatusAnswer; 8] = [
    StatusAnswer::Paid { amount_seen: true },
    StatusAnswer::Pending,
    StatusAnswer::Refunded,
    StatusAnswer::Cancelled,
    StatusAnswer::Failed,
    StatusAnswer::NotFound,
    StatusAnswer::Inconsistent,
    StatusAnswer::Nothing(COUNTED),
];

fn late(said: Late, later: bool) -> Event {
    Event::Late(LateAnswer { said, later, same_number: false })
}

fn late_top_up(answer: Answer, later: bool) -> Event {
    late(Late::TopUp(answer), later)
}

fn every() -> impl Iterator<Item = Late> {
    TOP_UP.into_iter().map(Late::TopUp).chain(STATUS.into_iter().map(Late::Status))
}

fn suspected(job: &Job) -> bool {
    job.state == State::Dead { reason: DeadReason::DoubleCreditSuspected }
}

fn proven() -> Job {
    after(&unconfirmed(), &[checked(40, StatusAnswer::NotFound), checked(610, StatusAnswer::NotFound)])
}

fn resent() -> Job {
    after(&proven(), &[(611, inquired()), (612, Event::SendStarted)])
}

#[test]
fn m16_the_table_of_what_came_late() {
    let mut text = String::new();
    for (title, job) in states() {
        text.push_str(&format!("{title} ({})\n", job.evidence.money.as_str()));
        for said in every() {
            for later in [false, true] {
                let event = late(said, later);
                let next = apply(&job, &policy(), &event, at(1000), Jitter::NONE).expect("whatever came late is taken");
                if next == job {
                    continue;
                }
                let word = match &next.state {
                    State::Dead { reason } => format!("dead {}", reason.as_str()),
                    state => state.name().to_owned(),
                };
                let beside =
                    next.evidence.beside.map_or(String::new(), |beside| format!(", beside {:?}", beside.taken));
                let when = if later { "an attempt later" } else { "" };
                let (money, accepted) =
                    (next.evidence.money.as_str(), if next.evidence.accepted { ", accepted" } else { "" });
                text.push_str(&format!("  {:<26}{when:<17} -> {word} ({money}{accepted}{beside})\n", event.name()));
            }
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn m16_paid_to_a_job_in_doubt_or_about_to_be_sent_again_is_its_only_credit() {
    for job in [unconfirmed(), proven(), after(&proven(), &[(611, inquired())])] {
        let paid = after(&job, &[(700, late_top_up(Answer::Paid, false))]);
        assert_eq!((name(&paid), paid.evidence.money), ("succeeded", MoneyState::ProvenPaid));
        assert_eq!(next_step(&paid, &policy(), at(700)), Step::Rest);
    }
}

#[test]
fn m16_what_may_have_taken_effect_puts_a_job_that_was_about_to_be_sent_again_back_in_doubt() {
    for answer in [Answer::Accepted, Answer::Unknown, Answer::Duplicate, Answer::Inconsistent] {
        let job = after(&proven(), &[(700, late_top_up(answer, false))]);
        assert_eq!((name(&job), job.evidence.money), ("unconfirmed", MoneyState::MaybeSent), "{answer:?}");
        assert_eq!(job.evidence.accepted, answer != Answer::Unknown, "{answer:?}");
        assert_eq!(job.evidence.last_ended_at, Some(at(700)), "the quiet period counts from here");
    }
    for answer in [Answer::Refused, Answer::Wrong, Answer::NotSent, Answer::NotExecuted { sent: true, retry: COUNTED }]
    {
        assert_eq!(after(&proven(), &[(700, late_top_up(answer, false))]), proven(), "{answer:?}");
    }
}

#[test]
fn m16_a_late_timeout_begins_the_quiet_period_anew() {
    let asked = after(&unconfirmed(), &[checked(600, StatusAnswer::NotFound)]);
    let ended = after(&asked, &[(605, late_top_up(Answer::Unknown, false))]);
    let twice = after(&ended, &[checked(700, StatusAnswer::NotFound), checked(1204, StatusAnswer::NotFound)]);
    assert_eq!(name(&twice), "unconfirmed");
    assert_eq!(name(&after(&twice, &[checked(1205, StatusAnswer::NotFound)])), "ready");
}

#[test]
fn m16_paid_beside_an_attempt_that_is_out_waits_for_its_end() {
    let both = after(&resent(), &[(613, late_top_up(Answer::Paid, true))]);
    assert_eq!(name(&both), "sending");
    assert_eq!(both.evidence.beside, Some(Beside { taken: Taken::Paid, account: None }));
    for answer in [Answer::Paid, Answer::Accepted, Answer::Unknown, Answer::Duplicate, Answer::Inconsistent] {
        assert!(suspected(&after(&both, &[(620, Event::TopUp(answer))])), "{answer:?}");
    }
    assert!(suspected(&after(&both, &[(620, Event::Restarted)])));
    for answer in [Answer::Refused, Answer::Wrong, Answer::NotSent, Answer::NotExecuted { sent: true, retry: COUNTED }]
    {
        let once = after(&both, &[(620, Event::TopUp(answer))]);
        assert_eq!((name(&once), once.evidence.beside), ("succeeded", None), "{answer:?}");
    }
    // The end itself may come late too: it was the last attempt, and it is still out as far as the store knows.
    assert!(suspected(&after(&both, &[(620, late_top_up(Answer::Paid, false))])));
    assert_eq!(name(&after(&both, &[(620, late_top_up(Answer::Refused, false))])), "succeeded");
}

#[test]
fn m16_accepted_beside_an_attempt_that_is_out_is_never_sent_again_and_paid_is_one_too_many() {
    let both = after(&resent(), &[(613, late_top_up(Answer::Accepted, true))]);
    assert!(suspected(&after(&both, &[(620, Event::TopUp(Answer::Paid))])));
    let asked = after(&both, &[(620, Event::TopUp(Answer::Unknown))]);
    assert_eq!(name(&asked), "unconfirmed");
    assert!(suspected(&after(&asked, &[checked(700, StatusAnswer::Paid { amount_seen: true })])));
    for answer in [Answer::Refused, Answer::NotSent, Answer::NotExecuted { sent: false, retry: COUNTED }] {
        let only = after(&both, &[(620, Event::TopUp(answer))]);
        assert_eq!((name(&only), only.evidence.accepted), ("unconfirmed", true), "{answer:?}");
        assert_eq!(name(&after(&only, &[checked(700, StatusAnswer::Paid { amount_seen: true })])), "succeeded");
        let never = after(&only, &[checked(1300, StatusAnswer::NotFound), checked(1400, StatusAnswer::NotFound)]);
        assert_eq!(name(&never), "dead", "{answer:?}");
    }
}

#[test]
fn m16_paid_to_a_job_that_succeeded_is_the_same_credit_unless_another_attempt_was_paid() {
    let found = after(&unconfirmed(), &[checked(40, StatusAnswer::Paid { amount_seen: true })]);
    assert_eq!(after(&found, &[(50, late_top_up(Answer::Paid, false))]), found, "the inquiry found this very attempt");
    let other = after(&resent(), &[(620, Event::TopUp(Answer::Paid))]);
    let said = Late::TopUp(Answer::Paid);
    assert!(suspected(&after(&other, &[(630, late(said, true))])));
    let same = Event::Late(LateAnswer { said, later: true, same_number: true });
    assert_eq!(after(&other, &[(630, same)]), other, "the provider's number is the same");
    for answer in [Answer::Refused, Answer::Unknown, Answer::Duplicate, Answer::NotSent] {
        assert_eq!(after(&other, &[(630, late_top_up(answer, true))]), other, "{answer:?}");
    }
}

#[test]
fn m16_paid_after_it_was_rejected_or_closed_stands_before_a_person_and_is_asked_about() {
    let mut rejected = unconfirmed();
    rejected.evidence.money = MoneyState::ProvenUnpaid;
    rejected.state = State::Rejected { reason: RejectReason::Expired };
    let mut discarded = unconfirmed();
    discarded.state = State::Discarded { reason: DeadReason::Unresolved };
    for job in [rejected, discarded] {
        let dead = after(&job, &[(700, late_top_up(Answer::Paid, false))]);
        assert_eq!(dead.state, State::Dead { reason: DeadReason::InconsistentAnswer });
        assert_eq!((dead.evidence.money, dead.evidence.accepted), (MoneyState::MaybeSent, true));
        let asked = after(&dead, &[(800, Event::Replayed), checked(801, StatusAnswer::Paid { amount_seen: true })]);
        assert_eq!(name(&asked), "succeeded");
        assert_eq!(after(&job, &[(700, late_top_up(Answer::Unknown, false))]), job);
    }
}

#[test]
fn m16_a_suspected_double_credit_is_neither_replayed_nor_closed_by_an_answer() {
    let job = after(&resent(), &[(620, Event::TopUp(Answer::Paid)), (630, late_top_up(Answer::Paid, true))]);
    assert!(suspected(&job));
    assert_eq!(job.evidence.money, MoneyState::ProvenPaid);
    let refused = |event: &Event| apply(&job, &policy(), event, at(700), Jitter::NONE).is_err();
    assert!(refused(&Event::Replayed));
    assert!(refused(&Event::StoreRestored));
    assert!(refused(&Event::Amended { not_after: None, has_customer_name: true }));
    for answer in STATUS {
        assert_eq!(after(&job, &[asked(700, answer)]), job, "{answer:?}");
    }
    for said in every() {
        assert_eq!(after(&job, &[(700, late(said, true))]), job, "{said:?}");
    }
    assert_eq!(name(&after(&job, &[(700, Event::Discarded)])), "discarded");
}

#[test]
fn m16_an_intent_that_was_too_old_to_leave_leaves_the_job_as_it_was() {
    for (before, sent) in [(after(&fresh(), &[(1, inquired())]), sending()), (proven(), resent())] {
        let job = after(&sent, &[(620, Event::TopUp(Answer::NotSent))]);
        assert_eq!((name(&job), job.evidence.money), ("ready", before.evidence.money));
        assert_eq!(job.budget.attempts, before.budget.attempts, "it costs nothing");
        assert_eq!(job.evidence.doubted, before.evidence.doubted);
        assert_eq!(job.evidence.first_sent_at, before.evidence.first_sent_at);
    }
    let mut expiring = sending();
    expiring.not_after = Some(at(5));
    let job = after(&expiring, &[(9, Event::TopUp(Answer::NotSent)), (9, Event::Expired)]);
    assert_eq!(job.state, State::Rejected { reason: RejectReason::Expired });
    assert_eq!(job.evidence.money, MoneyState::NeverSent);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// Whatever comes late and whatever happens besides: two attempts that were paid are told, and what may have been paid
    /// is sent again at most once it was proven unpaid.
    #[test]
    fn m16_two_paid_attempts_are_never_one_success(
        events in prop::collection::vec((0_usize..4, prop::sample::select(TOP_UP.to_vec())), 1..12)
    ) {
        let (mut job, mut secs) = (sending(), 1);
        // What each attempt was answered, the first first; the first one's driver was fenced off.
        job = after(&job, &[(2, Event::Restarted)]);
        let (mut fenced_paid, mut second_paid, mut told, mut later) = (false, false, false, false);
        for (turn, answer) in events {
            secs += 700;
            let event = match turn {
                0 if !told => {
                    told = true;
                    fenced_paid = answer == Answer::Paid;
                    late_top_up(answer, later)
                }
                1 => checked(secs, StatusAnswer::NotFound).1,
                2 if matches!(job.state, State::Sending { .. }) => {
                    second_paid |= answer == Answer::Paid;
                    Event::TopUp(answer)
                }
                _ => match next_step(&job, &policy(), at(secs)) {
                    Step::Inquire => inquired(),
                    Step::Send => Event::SendStarted,
                    _ => continue,
                },
            };
            let Ok(next) = apply(&job, &policy(), &event, at(secs), Jitter::NONE) else { continue };
            if event == Event::SendStarted {
                prop_assert!(!fenced_paid, "it was paid and is sent again: {job:?}");
                later = true;
            }
            job = next;
            if fenced_paid && second_paid {
                prop_assert!(suspected(&job), "{job:?}");
            }
        }
    }
}
