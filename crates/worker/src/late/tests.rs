//! A drive that is fenced off while its request is under way, and what becomes of its answer.

use std::sync::Arc;
use std::time::Duration;

use engine::{Answer, StatusAnswer};
use outbox::{JobId, NewAttempt};
use serde_json::json;
use snap_core::{Service, Timestamp};
use tokio_util::task::TaskTracker;

use super::*;
use crate::drive::Purpose;
use crate::stage::{Stage, answered, refused};
use crate::transition::Transition;

const REFERENCE: &str = "PART-1";
/// Within the way to the provider and back.
const HALF_WAY: Duration = Duration::from_millis(10);

/// A worker that took the job over: these events happen to it, each as a record of its own.
struct Other<'a> {
    stage: &'a Stage,
    id: JobId,
    at: Timestamp,
    sent: u64,
}

impl Other<'_> {
    async fn sees(&mut self, event: Event) {
        self.at = self.at.plus(self.stage.lane().policy.quiet_period);
        let Driver { store, clock, .. } = &*self.stage.driver;
        let job = store.job(self.id).await.unwrap().unwrap();
        let event = match event {
            Event::Checked { answer, .. } => Event::Checked { asked_at: self.at, answer },
            other => other,
        };
        let mut record = Transition::of(&job, &self.stage.lane().policy, self.at).record(&event, clock).unwrap();
        record.due_at = record.due_at.filter(|_| event != Event::SendStarted);
        if event == Event::SendStarted {
            self.sent += 1;
            record.attempts.push(NewAttempt {
                service: Service::TopUp,
                external_id: snap_core::ExternalId::new(self.at, self.sent),
                started_at: self.at,
                body_sha256: None,
                end: None,
            });
        }
        store.record(record).await.unwrap();
    }

    async fn takes_over(&mut self, events: impl IntoIterator<Item = Event>) {
        self.sees(Event::Restarted).await;
        for event in events {
            self.sees(event).await;
        }
    }
}

fn checked(answer: StatusAnswer) -> Event {
    Event::Checked { asked_at: Timestamp::from_millis(0), answer }
}

/// Proven unpaid, and about to be sent again.
fn proven() -> Vec<Event> {
    vec![checked(StatusAnswer::NotFound), checked(StatusAnswer::NotFound)]
}

fn sent_again() -> Vec<Event> {
    let inquired = Event::Inquired { customer_name: None, fee: None, min: None, max: None };
    [proven(), vec![inquired, Event::SendStarted]].concat()
}

/// The job after `events` of another worker, while this one's top-up was under way; it says yes.
async fn fenced(events: Vec<Event>) -> (Stage, StoredJob) {
    let stage = Stage::new(1);
    let job = fenced_on(&stage, events).await;
    (stage, job)
}

async fn fenced_on(stage: &Stage, events: Vec<Event>) -> StoredJob {
    let (job, slot) = (stage.accepted(REFERENCE).await, stage.lane().try_slot().unwrap());
    let (id, tracker) = (job.id, TaskTracker::new());
    let mut other = Other { stage, id, at: stage.now(), sent: 0 };
    stage.driver.start(&tracker, slot, job, Purpose::Work);
    tracker.close();
    while stage.provider.times(Service::TopUp) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(HALF_WAY).await;
    other.takes_over(events).await;
    tracker.wait().await;
    stage.driver.store.job(id).await.unwrap().unwrap()
}

fn stands(job: &StoredJob) -> String {
    match job.job.state {
        State::Dead { reason } => format!("dead {}", reason.as_str()),
        ref state => state.name().to_owned(),
    }
}

async fn history(stage: &Stage) -> Vec<String> {
    let key = PartnerReferenceNo::parse(REFERENCE).unwrap();
    let timeline = stage.driver.store.timeline(&key).await.unwrap().unwrap();
    let first = timeline.attempts.iter().find(|attempt| attempt.service == Service::TopUp).unwrap();
    assert!(first.end.is_some(), "the attempt has its end");
    timeline.history.iter().map(|entry| entry.event.to_string()).collect()
}

async fn told(stage: &Stage) -> Vec<String> {
    let key = PartnerReferenceNo::parse(REFERENCE).unwrap();
    let timeline = stage.driver.store.timeline(&key).await.unwrap().unwrap();
    timeline.outcomes.iter().map(|outcome| outcome.event_type.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn m16_paid_to_a_job_that_was_taken_over_closes_it_and_nothing_is_sent_again() {
    for events in [vec![], proven()] {
        let (stage, job) = fenced(events).await;
        assert_eq!((stands(&job).as_str(), job.due_at), ("succeeded", None));
        assert_eq!(history(&stage).await.last().map(String::as_str), Some("late_top_up_paid"));
        assert_eq!(told(&stage).await, ["topup.succeeded"]);
        assert_eq!(job.reference_no.as_deref(), Some("38000000000000000001"));
    }
}

#[tokio::test(start_paused = true)]
async fn m16_paid_beside_an_attempt_that_was_paid_is_a_dead_letter_and_an_alarm() {
    let events = [sent_again(), vec![Event::TopUp(Answer::Paid)]].concat();
    let (stage, job) = fenced(events).await;
    assert_eq!(stands(&job), "dead double_credit_suspected");
    assert_eq!(told(&stage).await, ["topup.succeeded", "topup.dead_lettered"]);
    let letter = stage.letters().await.remove(0);
    assert_eq!(letter.money_state, engine::MoneyState::ProvenPaid);
    assert!(letter.detail.contains("(provider's number 38000000000000000001)"), "{}", letter.detail);
    let counted = stage.counted("topup_double_credit_suspected_total{provider=\"finpay\"}");
    assert_eq!(counted.as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn m16_paid_beside_an_attempt_that_is_out_waits_for_that_one_s_end() {
    let (stage, job) = fenced(sent_again()).await;
    assert_eq!((stands(&job).as_str(), job.due_at), ("sending", None), "whoever sent it is waited for");
    let mut other = Other { stage: &stage, id: job.id, at: stage.now(), sent: 9 };
    other.sees(Event::TopUp(Answer::Paid)).await;
    let job = stage.driver.store.job(job.id).await.unwrap().unwrap();
    assert_eq!(stands(&job), "dead double_credit_suspected");
    assert_eq!(told(&stage).await, ["topup.dead_lettered"], "nobody was told of a success");
}

#[tokio::test(start_paused = true)]
async fn m16_paid_to_a_job_that_an_inquiry_found_paid_is_the_same_credit() {
    let (stage, job) = fenced(vec![checked(StatusAnswer::Paid { amount_seen: true })]).await;
    assert_eq!(stands(&job), "succeeded");
    assert_eq!(told(&stage).await, ["topup.succeeded"], "it is told once");
    assert_eq!(history(&stage).await.last().map(String::as_str), Some("late_top_up_paid"), "and kept all the same");
}

#[tokio::test(start_paused = true)]
async fn m16_paid_to_a_job_that_was_told_as_unpaid_stands_before_a_person() {
    let (stage, job) = fenced(vec![checked(StatusAnswer::Failed)]).await;
    assert_eq!((stands(&job).as_str(), job.job.evidence.money.as_str()), ("dead inconsistent_answer", "maybe_sent"));
    assert_eq!(told(&stage).await, ["topup.rejected", "topup.dead_lettered"]);
    assert!(stage.letters().await[0].detail.starts_with("it was rejected already"));
}

#[tokio::test(start_paused = true)]
async fn m16_what_is_refused_late_changes_nothing_but_is_kept() {
    let stage = Stage::new(1);
    stage.provider.says(Service::TopUp, refused(404, Service::TopUp, 11));
    let job = fenced_on(&stage, proven()).await;
    assert_eq!((stands(&job).as_str(), job.response_code.as_deref()), ("ready", None));
    assert!(job.due_at.is_some(), "somebody will come for it");
    assert_eq!(history(&stage).await.last().map(String::as_str), Some("late_top_up_refused"));
}

#[tokio::test(start_paused = true)]
async fn m16_accepted_late_is_never_sent_again() {
    let stage = Stage::new(1);
    let accepted = json!({ "responseCode": "2023800", "responseMessage": "In progress", "referenceNo": "1" });
    stage.provider.says(Service::TopUp, answered(202, &accepted));
    let job = fenced_on(&stage, proven()).await;
    assert_eq!((stands(&job).as_str(), job.job.evidence.accepted), ("unconfirmed", true));
    assert!(job.due_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn m16_a_dead_letter_says_what_came_late_of_it() {
    // Dead without a doubt, and its attempt turns out to have been taken.
    let stage = Stage::new(1);
    let accepted = json!({ "responseCode": "2023800", "responseMessage": "In progress", "referenceNo": "1" });
    stage.provider.says(Service::TopUp, answered(202, &accepted));
    let events =
        [proven(), vec![Event::InquiryWrong, checked(StatusAnswer::NotFound), checked(StatusAnswer::NotFound)]];
    let job = fenced_on(&stage, events.concat()).await;
    assert_eq!((stands(&job).as_str(), job.job.evidence.money.as_str()), ("dead request_refused", "maybe_sent"));
    let letters = stage.letters().await;
    assert_eq!(letters.len(), 1, "it is the same one");
    assert_eq!(letters[0].money_state, engine::MoneyState::MaybeSent, "a replay asks first");
    assert_eq!(told(&stage).await, ["topup.dead_lettered"]);
}

#[tokio::test(start_paused = true)]
async fn m16_what_came_late_is_recorded_through_fences_and_a_busy_store() {
    let stage = Arc::new(Stage::new(1));
    // The result of the drive itself is fenced; then these.
    let job = {
        let (job, slot) = (stage.accepted(REFERENCE).await, stage.lane().try_slot().unwrap());
        let (id, tracker) = (job.id, TaskTracker::new());
        stage.driver.start(&tracker, slot, job, Purpose::Work);
        tracker.close();
        while stage.provider.times(Service::TopUp) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(HALF_WAY).await;
        let mut other = Other { stage: &stage, id, at: stage.now(), sent: 0 };
        other.takes_over([]).await;
        let fenced = || StoreError::Fenced { id, expected: 1, found: 2 };
        for error in [fenced(), StoreError::Busy, fenced(), StoreError::Busy, fenced()] {
            stage.disk.fails("record::Prepared", error);
        }
        tracker.wait().await;
        stage.driver.store.job(id).await.unwrap().unwrap()
    };
    assert_eq!(stands(&job), "succeeded");
    assert!(!stage.driver.fatal.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn m16_a_status_inquiry_that_comes_late_is_evidence_as_well() {
    let stage = Stage::new(1);
    let silent = snap_client::Reply::Silent {
        why: snap_client::Silence::Timeout,
        detail: "nothing came".to_owned(),
        http_status: None,
        elapsed: Duration::from_secs(5),
    };
    stage.provider.says(Service::TopUp, silent);
    let job = stage.one().await;
    tokio::time::advance(job.due_at.unwrap().since(stage.now())).await;
    let (id, slot, tracker) = (job.id, stage.lane().try_slot().unwrap(), TaskTracker::new());
    stage.driver.start(&tracker, slot, job, Purpose::Work);
    tracker.close();
    while stage.provider.times(Service::TopUpStatus) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut other = Other { stage: &stage, id, at: stage.now(), sent: 0 };
    for event in proven() {
        other.sees(event).await;
    }
    tracker.wait().await;
    let job = stage.driver.store.job(id).await.unwrap().unwrap();
    assert_eq!(stands(&job), "succeeded", "it was about to be sent again");
    assert_eq!(history(&stage).await.last().map(String::as_str), Some("late_status_paid"));
}
