//! What is told follows from the state before and the state after.

use engine::{Answer, MoneyState, StatusAnswer};
use snap_core::{PartnerReferenceNo, Timestamp};

use super::*;
use crate::ops::fixture::{self, NOW};

const OPERATOR: Operator<'_> = Operator { by: "sari", why: "INC-7" };

/// A job of the fixture, its provider's rules, and its dead letter where it has one.
async fn job(reference: &str) -> (StoredJob, Policy, Option<DeadLetter>) {
    let filled = fixture::filled().await;
    let key = PartnerReferenceNo::parse(reference).unwrap();
    let timeline = filled.store.timeline(&key).await.unwrap().unwrap();
    let letter = timeline.dead_letters.into_iter().find(|letter| letter.closed.is_none());
    let job = timeline.job.whole().unwrap();
    let policy = fixture::config().providers[&job.request.provider].policy();
    (job, policy, letter)
}

fn kinds(record: &Record) -> Vec<&str> {
    record.outcomes.iter().map(|outcome| outcome.event_type.as_str()).collect()
}

/// An answer that came late: the provider has it.
const KNOWN: Event = Event::Late(engine::LateAnswer {
    said: engine::Late::Status(StatusAnswer::Pending),
    later: false,
    same_number: false,
});
const DEAD: &str = "78912343452347893";
const READY: &str = "78912343452347890";
const SUCCEEDED: &str = "78912343452347891";

#[tokio::test]
async fn an_event_is_told_where_the_state_changed_and_by_where_it_led() {
    let (dead, policy, letter) = job(DEAD).await;
    let told = [
        (Event::AskedByOperator { answer: StatusAnswer::Paid { amount_seen: true } }, &["topup.succeeded"][..]),
        (Event::AskedByOperator { answer: StatusAnswer::Failed }, &["topup.rejected"]),
        (Event::AskedByOperator { answer: StatusAnswer::Refunded }, &["topup.dead_lettered"]),
        (Event::AskedByOperator { answer: StatusAnswer::NotFound }, &[]),
        (Event::AskedByOperator { answer: StatusAnswer::Pending }, &[]),
        (Event::AskedByOperator { answer: StatusAnswer::Nothing(engine::Retry::Free) }, &[]),
        (Event::Replayed, &["topup.replayed"]),
        (Event::Discarded, &["topup.discarded"]),
        (Event::StoreRestored, &[]),
    ];
    let act = Transition { letter: letter.as_ref(), operator: Some(OPERATOR), ..Transition::of(&dead, &policy, NOW) };
    for (event, expected) in told {
        let record = act.record(&event, &Clock::start()).unwrap();
        assert_eq!(kinds(&record), expected, "{event:?}");
        assert_eq!((record.version, record.history.len()), (dead.version, 1), "{event:?}");
        let stays = matches!(record.job.state, State::Dead { .. });
        let id = record.dead_letter.map(|renewed| renewed.id);
        assert_eq!(id.is_some(), stays, "{event:?}");
        assert!(id.is_none_or(|id| id == letter.as_ref().unwrap().id), "a dead letter keeps its id: {event:?}");
    }
}

#[tokio::test]
async fn what_stays_open_is_told_to_nobody_and_what_dies_has_a_new_dead_letter() {
    let (ready, policy, _) = job(READY).await;
    let of = |event: &Event| Transition::of(&ready, &policy, NOW).record(event, &Clock::start()).unwrap();
    for event in [KNOWN, Event::StoreRestored, Event::Restarted] {
        let record = of(&event);
        assert!(record.outcomes.is_empty() && record.dead_letter.is_none(), "{event:?}");
        assert!(record.due_at.is_some(), "{event:?}");
    }
    let record = of(&Event::InquiryWrong);
    assert_eq!(kinds(&record), ["topup.dead_lettered"]);
    assert!(record.dead_letter.is_some());
    assert_eq!(kinds(&of(&Event::InquiryRefused)), ["topup.rejected"]);
}

/// The engine's part of C13: an operator's answer about a job that has moved on is refused, whatever it says.
#[tokio::test]
async fn c13_an_operators_answer_about_a_job_that_is_not_dead_is_refused() {
    for reference in [READY, SUCCEEDED, "78912343452347892", "ORDER-2026-11-22-000000000042"] {
        let (job, policy, _) = job(reference).await;
        for answer in [StatusAnswer::Paid { amount_seen: true }, StatusAnswer::NotFound, StatusAnswer::Pending] {
            let late = Transition { operator: Some(OPERATOR), ..Transition::of(&job, &policy, NOW) };
            assert!(
                late.record(&Event::AskedByOperator { answer }, &Clock::start()).is_err(),
                "{reference} {answer:?}"
            );
        }
        assert!(Transition::of(&job, &policy, NOW).record(&Event::TopUp(Answer::Paid), &Clock::start()).is_err());
    }
}

#[tokio::test]
async fn m2_what_a_late_answer_shows_keeps_a_job_from_being_sent() {
    let (ready, policy, _) = job(READY).await;
    let record = Transition::of(&ready, &policy, NOW).record(&KNOWN, &Clock::start()).unwrap();
    let (state, evidence) = (&record.job.state, record.job.evidence);
    assert!(matches!(state, State::Unconfirmed { .. }), "{state:?}");
    assert_eq!((evidence.accepted, evidence.money), (true, MoneyState::MaybeSent));
    assert!(evidence.first_sent_at.is_some_and(|at| at > Timestamp::from_millis(0)));
}
