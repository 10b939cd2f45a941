//! A drive by itself: what it does with an answer, and when it lets go.

use std::sync::Arc;
use std::time::Duration;

use outbox::{Carried, StoredJob};
use serde_json::json;
use snap_client::Reply;
use snap_core::{LaneFault, Service};
use tokio_util::task::TaskTracker;

use super::held_back;
use crate::drive::Purpose;
use crate::lane::Signal;
use crate::restored::Restored;
use crate::stage::{Stage, idr, not_found, not_sent, refused};
use crate::wake::Wake;

const INITIAL: Duration = Duration::from_millis(700);

fn state(job: &StoredJob) -> &'static str {
    job.job.state.name()
}

#[tokio::test(start_paused = true)]
async fn a_job_is_inquired_sent_and_told_in_one_drive() {
    let stage = Stage::new(1);
    assert_eq!(state(&stage.one().await), "succeeded");
    let asked: Vec<_> = stage.provider.asked().into_iter().map(|(service, _)| service).collect();
    assert_eq!(asked, [Service::AccessToken, Service::AccountInquiry, Service::TopUp]);
    assert_eq!(
        stage.counted("topup_jobs_finished_total{provider=\"finpay\",outcome=\"succeeded\"}").as_deref(),
        Some("1")
    );
    // The relay is told at once, and need not look by itself.
    tokio::time::timeout(Duration::ZERO, stage.driver.published.notified()).await.unwrap();
}

/// What the inquiry told goes into the top-up.
#[tokio::test(start_paused = true)]
async fn the_name_and_the_fee_of_the_inquiry_go_into_the_top_up() {
    let stage = Stage::new(1);
    stage.one().await;
    let (service, body) = stage.provider.asked().pop().unwrap();
    assert_eq!(service, Service::TopUp);
    assert_eq!((&body["customerName"], &body["feeAmount"]), (&json!("bu** sa****o"), &idr("250.00")));
}

/// Nobody was there: the job goes back to the store for one initial pause, and costs nothing.
#[tokio::test(start_paused = true)]
async fn m9_a_call_that_did_not_leave_gives_the_job_back_for_one_pause() {
    for service in [Service::AccountInquiry, Service::TopUp] {
        let stage = Stage::new(1);
        stage.provider.says(service, not_sent());
        let job = stage.one().await;
        assert_eq!((state(&job), job.due_at), ("ready", Some(stage.now().plus(INITIAL))), "{service:?}");
        assert_eq!(stage.provider.times(service), 1);
        assert_eq!(stage.driven(vec![job]).await.first().map(state), Some("succeeded"), "{service:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn m9_a_question_that_did_not_leave_gives_the_job_back_for_one_pause() {
    let stage = Stage::new(1);
    let job = in_doubt(&stage).await;
    stage.provider.says(Service::TopUpStatus, not_sent());
    let job = stage.driven(vec![job]).await.remove(0);
    assert_eq!((state(&job), job.due_at), ("unconfirmed", Some(stage.now().plus(INITIAL))));
    assert_eq!(stage.provider.times(Service::TopUpStatus), 1);
}

/// A token that is not taken any more is had anew, and what it was for is done again at once.
#[tokio::test(start_paused = true)]
async fn m8_a_token_that_is_refused_is_refreshed_once_and_used_at_once() {
    for service in [Service::AccountInquiry, Service::TopUp] {
        let stage = Stage::new(1);
        stage.provider.says(service, refused(401, service, 1));
        assert_eq!(state(&stage.one().await), "succeeded", "{service:?}");
        assert_eq!((stage.provider.times(Service::AccessToken), stage.provider.times(service)), (2, 2));
    }
    let stage = Stage::new(1);
    let job = in_doubt(&stage).await;
    stage.provider.says(Service::TopUpStatus, refused(401, Service::TopUpStatus, 1));
    assert_eq!(stage.driven(vec![job]).await.first().map(state), Some("succeeded"));
    assert_eq!(stage.provider.times(Service::TopUpStatus), 2);
}

#[tokio::test(start_paused = true)]
async fn m9_a_token_that_is_refused_twice_stops_the_lane() {
    let stage = Stage::new(1);
    for _ in 0..2 {
        stage.provider.says(Service::AccountInquiry, refused(401, Service::AccountInquiry, 1));
    }
    let job = stage.one().await;
    assert_eq!((state(&job), job.due_at), ("ready", Some(stage.now().plus(INITIAL))));
    assert!(stage.lane().is_paused());
    let told = |class: &str| {
        stage.counted(&format!("topup_provider_requests_total{{provider=\"finpay\",service=\"37\",class=\"{class}\"}}"))
    };
    assert_eq!(told("auth_refresh").as_deref(), Some("2"));
}

/// M9: a standing lane asks nobody; its jobs are due at once, for whoever moves it again.
#[tokio::test(start_paused = true)]
async fn m9_a_standing_lane_calls_nobody_and_gives_its_jobs_back() {
    let stage = Stage::new(1);
    let (job, slot) = (stage.accepted("PART-1").await, stage.lane().try_slot().unwrap());
    stage.lane().observe(Signal::Fault(LaneFault::InsufficientFunds), Service::TopUp, stage.now());
    let tracker = TaskTracker::new();
    let id = job.id;
    stage.driver.start(&tracker, slot, job, Purpose::Work);
    tracker.close();
    tracker.wait().await;
    let job = stage.driver.store.job(id).await.unwrap().unwrap();
    assert_eq!((state(&job), job.due_at), ("ready", Some(stage.now())));
    assert!(stage.provider.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_or_a_failure_no_call_begins() {
    for failed in [false, true] {
        let stage = Stage::new(1);
        if failed { &stage.driver.fatal } else { &stage.driver.shutdown }.cancel();
        let job = stage.one().await;
        assert_eq!((state(&job), job.due_at), ("ready", None), "it is left as it was");
        assert!(stage.provider.asked().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_jobs_call_at_a_time_than_the_lane_has_callers() {
    let stage = Stage::new(2);
    let mut jobs = Vec::new();
    for number in 1..=5 {
        jobs.push(stage.accepted(&format!("PART-{number}")).await);
    }
    let ended = stage.driven(jobs).await;
    assert!(ended.iter().all(|job| state(job) == "succeeded"), "{ended:?}");
    assert_eq!(stage.provider.most_at_a_time(), 2);
}

/// Accepted, sending, ended: whatever the end is, and also where the job has to wait.
#[tokio::test(start_paused = true)]
async fn what_came_of_a_call_costs_one_commit() {
    let stage = Stage::new(1);
    stage.one().await;
    assert_eq!(stage.disk.times("record::Prepared"), 2);
    let stage = Stage::new(1);
    in_doubt(&stage).await;
    assert_eq!(stage.disk.times("record::Prepared"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_is_not_asked_for_nor_sent() {
    let stage = Stage::new(1);
    let job = stage.accepted_until("PART-1", Carried::default(), Some(stage.now())).await;
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(stage.driven(vec![job]).await.first().map(state), Some("rejected"));
    assert!(stage.provider.asked().is_empty());
}

/// It expires between its inquiry and its top-up.
#[tokio::test(start_paused = true)]
async fn what_expires_while_it_is_driven_is_not_sent() {
    let stage = Stage::new(1);
    let soon = stage.now().plus(Duration::from_millis(30));
    let job = stage.accepted_until("PART-1", Carried::default(), Some(soon)).await;
    assert_eq!(stage.driven(vec![job]).await.first().map(state), Some("rejected"));
    assert_eq!((stage.provider.times(Service::AccountInquiry), stage.provider.times(Service::TopUp)), (1, 0));
}

/// Asked until it is proven that nothing was paid, and then sent again in the drive that proved it.
#[tokio::test(start_paused = true)]
async fn m4_what_is_proven_unpaid_is_sent_again_at_once() {
    let stage = Stage::new(1);
    let mut job = in_doubt(&stage).await;
    for _ in 0..20 {
        stage.provider.says(Service::TopUpStatus, not_found());
    }
    while state(&job) == "unconfirmed" {
        tokio::time::advance(job.due_at.unwrap().since(stage.now())).await;
        job = stage.driven(vec![job]).await.remove(0);
    }
    assert_eq!((state(&job), stage.provider.times(Service::TopUp)), ("succeeded", 2));
    assert!(stage.provider.times(Service::TopUpStatus) >= 2);
}

/// A lane without a token tries with one job, then with one job again after twice the pause, until it has one.
#[tokio::test(start_paused = true)]
async fn m9_a_probe_that_fails_is_followed_by_another() {
    let stage = Stage::new(1);
    for _ in 0..3 {
        stage.provider.says(Service::AccessToken, refused(401, Service::AccessToken, 0));
    }
    let job = stage.one().await;
    assert!(stage.lane().is_paused());
    let stood = stage.now();
    let wake = Wake {
        lane: Arc::clone(stage.lane()),
        driver: Arc::clone(&stage.driver),
        tracker: TaskTracker::new(),
        restored: Restored::since_start(None),
    };
    let kept = wake.prepare().await.unwrap();
    drop(tokio::time::timeout(Duration::from_secs(60), wake.run(kept)).await);
    let job = stage.driver.store.job(job.id).await.unwrap().unwrap();
    assert_eq!(state(&job), "succeeded");
    let took = job.finished_at.unwrap().since(stood);
    // After 2, 4 and 8 seconds.
    assert!((14..16).contains(&took.as_secs()), "{took:?}");
    assert!(!stage.lane().is_paused());
}

/// Each request for a token is counted once, by what came of it.
#[tokio::test(start_paused = true)]
async fn requests_for_tokens_are_counted_by_what_came_of_them() {
    let counted = |stage: &Stage, class: &str| {
        stage.counted(&format!("topup_provider_requests_total{{provider=\"finpay\",service=\"73\",class=\"{class}\"}}"))
    };
    let stage = Stage::new(1);
    stage.one().await;
    assert_eq!(counted(&stage, "success").as_deref(), Some("1"));
    for (reply, class) in [(refused(401, Service::AccessToken, 0), "config_error"), (not_sent(), "retry_safe")] {
        let stage = Stage::new(1);
        stage.provider.says(Service::AccessToken, reply);
        stage.one().await;
        assert_eq!(counted(&stage, class).as_deref(), Some("1"), "{class}");
    }
}

/// A job that sits in doubt, due now.
async fn in_doubt(stage: &Stage) -> StoredJob {
    let silent = Reply::Silent {
        why: snap_client::Silence::Timeout,
        detail: "nothing came".to_owned(),
        http_status: None,
        elapsed: Duration::from_secs(5),
    };
    stage.provider.says(Service::TopUp, silent);
    let job = stage.one().await;
    assert_eq!(state(&job), "unconfirmed");
    let due = job.due_at.unwrap();
    assert!(due > stage.now());
    tokio::time::advance(due.since(stage.now())).await;
    job
}

/// Held back: no byte of it left, it costs nothing, and the job is as it was.
#[tokio::test(start_paused = true)]
async fn m16_an_intent_that_waited_is_not_sent_and_recorded_as_such() {
    let stage = Stage::new(1);
    let why = "its intent is 12000 ms old, and is good for 5000 ms";
    let held = Reply::NotSent {
        why: snap_client::NotSentReason::Stale,
        detail: why.to_owned(),
        elapsed: Duration::from_secs(12),
    };
    stage.provider.says(Service::TopUp, held);
    let job = stage.one().await;
    assert_eq!((state(&job), job.due_at), ("ready", Some(stage.now().plus(INITIAL))));
    assert_eq!(job.job.evidence.money, engine::MoneyState::NeverSent);
    assert_eq!(job.job.budget.attempts, stage.lane().policy.attempts);
    let key = snap_core::PartnerReferenceNo::parse("PART-1").unwrap();
    let timeline = stage.driver.store.timeline(&key).await.unwrap().unwrap();
    let last = timeline.history.last().unwrap();
    assert_eq!((last.event.as_ref(), &last.detail), ("not_sent", &json!({ "detail": why })));
    assert!(!stage.lane().is_paused(), "it says nothing about the provider");
    assert_eq!(stage.driven(vec![job]).await.first().map(state), Some("succeeded"));
}

#[tokio::test(start_paused = true)]
async fn m16_an_intent_is_good_for_moments_until_its_not_after_and_while_the_store_is_there() {
    let stage = Stage::new(1);
    let (driver, lane) = (&stage.driver, stage.lane());
    let mut job = stage.accepted("PART-1").await;
    let now = driver.clock.boottime();
    let ago = |by: Duration| now.checked_sub(by).unwrap();
    assert_eq!(held_back(driver, lane, &job, now), None);
    let old = held_back(driver, lane, &job, ago(lane.send_within + Duration::from_millis(1))).unwrap();
    assert!(old.contains("and is good for 5000 ms"), "{old}");
    job.job.not_after = Some(driver.clock.wall().plus(Duration::from_secs(60)));
    assert_eq!(held_back(driver, lane, &job, now), None);
    job.job.not_after = Some(driver.clock.wall().minus(Duration::from_millis(1)));
    assert_eq!(held_back(driver, lane, &job, now).as_deref(), Some("its notAfter has passed"));
    job.job.not_after = None;
    driver.fatal.cancel();
    assert!(held_back(driver, lane, &job, now).is_some());
}

/// M14: it goes before a person at once, and nobody is asked.
#[tokio::test(start_paused = true)]
async fn m14_a_doubt_at_another_account_is_not_asked_about() {
    let stage = Stage::new(1);
    let mut job = in_doubt(&stage).await;
    let ours = stage.lane().policy.account;
    assert!(ours.is_some() && job.job.evidence.account == ours, "the attempt is recorded with its account");
    job.job.evidence.account = Some(engine::Account::from_bytes(*b"anotherA"));
    let mut moved = outbox::Record::new(job.id, job.version, job.job.clone(), stage.now());
    moved.due_at = None;
    let version = stage.driver.store.record(moved).await.unwrap().version;
    let checks = job.job.budget.checks;
    let job = stage.driven(vec![StoredJob { version, ..job }]).await.remove(0);
    assert_eq!(job.job.state, engine::State::Dead { reason: engine::DeadReason::OtherAccount });
    assert_eq!((job.job.evidence.money, job.job.budget.checks), (engine::MoneyState::MaybeSent, checks));
    assert_eq!(stage.provider.times(Service::TopUpStatus), 0);
    let letter = stage.letters().await.remove(0);
    assert!(letter.detail.contains("by account 616e6f7468657241"), "{}", letter.detail);
    assert!(letter.detail.contains("section finpay names "), "{}", letter.detail);
}
