//! What came back to a driver that was fenced off meanwhile (M16): evidence like any other. It is recorded on the job as it is
//! now, however often that changes and however long there is no room.

use engine::{DeadReason, Event, Late, LateAnswer, State, apply};
use outbox::{Attempt, KnownJob, Record, StoreError, StoredJob, Timeline};
use snap_core::PartnerReferenceNo;
use tracing::{error, warn};

use crate::drive::{Driver, count_end};
use crate::full::wait_for_room;
use crate::lane::Lane;
use crate::notes::Notes;
use crate::provider::Called;

/// Records what a call told of a job that somebody else has changed meanwhile.
///
/// # Errors
/// Any failure of the store but want of room.
pub(crate) async fn record(
    driver: &Driver,
    lane: &Lane,
    reference: &PartnerReferenceNo,
    called: &Called,
) -> Result<(), StoreError> {
    loop {
        let Some(timeline) = driver.store.timeline(reference).await? else {
            error!(%reference, external_id = %called.external_id, event = called.reading.event.name(), "an answer came late, and its job is not in the store");
            return Ok(());
        };
        let KnownJob::Whole(job) = &timeline.job else {
            error!(%reference, external_id = %called.external_id, event = called.reading.event.name(), "an answer came late, and its job has shrunk");
            return Ok(());
        };
        let Some(record) = prepare(driver, lane, &timeline, job, called) else { return Ok(()) };
        let (next, due, ended) = (record.job.clone(), record.due_at, !record.outcomes.is_empty());
        match driver.store.record(record).await {
            Ok(_) => {
                warn!(%reference, event = called.reading.event.name(), was = job.job.state.name(), now = next.state.name(), "an answer came late; it is recorded");
                if ended {
                    driver.published.notify_one();
                    count_end(driver, &lane.name, &StoredJob { job: next, ..(**job).clone() });
                }
                if let Some(at) = due {
                    lane.due(at);
                }
                return Ok(());
            }
            Err(StoreError::Fenced { .. }) => {}
            Err(StoreError::Full | StoreError::Busy) => wait_for_room(&driver.store).await,
            Err(error) => return Err(error),
        }
    }
}

/// One transaction of it, on the job as `timeline` has it; none where it says nothing about the money, or is recorded already.
pub(crate) fn prepare(
    driver: &Driver,
    lane: &Lane,
    timeline: &Timeline,
    job: &StoredJob,
    called: &Called,
) -> Option<Record> {
    let own = timeline.attempts.iter().position(|attempt| attempt.external_id == called.external_id);
    if own.is_some_and(|own| timeline.attempts[own].end.is_some()) {
        return None;
    }
    let event = Event::Late(late(timeline, own, job, called)?);
    let now = driver.clock.now();
    let next = apply(&job.job, &lane.policy, &event, now, driver.clock.jitter()).ok()?;
    if next == job.job && own.is_none() && matches!(called.reading.event, Event::Checked { .. }) {
        // It says nothing new: recorded, it would only fence off who asks now, and so on for ever.
        return None;
    }
    let changed = next.state != job.job.state;
    let mut notes = Notes::late(&job.job.state, own.is_some());
    notes.answered(called);
    notes.event(&event, now);
    if let State::Dead { reason } = next.state {
        notes.dies_of(why(reason, job, called));
    }
    let double = next.state == State::Dead { reason: DeadReason::DoubleCreditSuspected };
    if !changed || double {
        // What is told of the job stays what it was.
        notes.forget_answer();
    }
    let due = if matches!(next.state, State::Sending { .. }) { None } else { next.due_at() };
    let after = StoredJob { job: next, ..job.clone() };
    // A dead letter says what is known of the money.
    let letter = timeline.dead_letters.iter().find(|letter| letter.closed.is_none());
    Some(notes.record_by(&after, due, now, &driver.clock, (letter, None)))
}

fn late(timeline: &Timeline, own: Option<usize>, job: &StoredJob, called: &Called) -> Option<LateAnswer> {
    let begun =
        |attempt: &Attempt| attempt.started_at >= called.started_at && attempt.external_id != called.external_id;
    let moves_money = |attempt: &&Attempt| attempt.service.moves_money();
    let (said, later) = match (&called.reading.event, own) {
        (Event::TopUp(answer), Some(own)) => {
            (Late::TopUp(*answer), timeline.attempts.iter().skip(own + 1).any(|attempt| moves_money(&attempt)))
        }
        (Event::TopUp(answer), None) => (Late::TopUp(*answer), timeline.attempts.iter().filter(moves_money).any(begun)),
        (Event::Checked { answer, .. }, _) => {
            (Late::Status(*answer), timeline.attempts.iter().filter(moves_money).any(begun))
        }
        _ => return None,
    };
    let number = called.reading.fields.as_ref().and_then(|fields| fields.reference_no.as_ref());
    let same_number = number.is_some() && number == job.reference_no.as_ref();
    Some(LateAnswer { said, later, same_number })
}

/// What stands in the dead letter, where it is not what its reason says by itself.
fn why(reason: DeadReason, job: &StoredJob, called: &Called) -> Option<String> {
    let number = |number: Option<&String>| number.map_or_else(|| "none".to_owned(), ToString::to_string);
    let late = called.reading.fields.as_ref().and_then(|fields| fields.reference_no.as_ref());
    match reason {
        DeadReason::DoubleCreditSuspected => Some(format!(
            "two attempts look paid: the answer to X-EXTERNAL-ID {} came late (provider's number {}), and another attempt of the job \
             was sent (provider's number {})",
            called.external_id,
            number(late),
            number(job.reference_no.as_ref()),
        )),
        DeadReason::InconsistentAnswer if matches!(job.job.state, State::Rejected { .. } | State::Discarded { .. }) => {
            Some(format!(
                "it was {} already, and an answer to X-EXTERNAL-ID {} that came late says that the provider has it",
                job.job.state.name(),
                called.external_id
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
