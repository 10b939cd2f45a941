//! A drive by itself: what it does with an answer, and when it lets go.

mod earlier;

use std::sync::Arc;
use std::time::Duration;

use outbox::{Carried, StoredJob};
use serde_json::json;
use snap_client::Reply;
use snap_core::{LaneFault, Service};
use tokio_util::task::TaskTracker;

use super::held_back;
use crate::custody::CustodyError;
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
    let asked: Vec<_> = stage.provider.asked().into_iter().map(|(service, _)| service).collect();
    assert_eq!(asked, [Service::AccessToken], "its clock is heard once");
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

const THREE_DAYS: Duration = Duration::from_secs(3 * 86_400);

/// The clock of decisions is three days ahead of the wall clock, which was put right while the worker runs; and behind it.
#[tokio::test(start_paused = true)]
async fn m17_not_after_goes_by_the_wall_clock_as_it_is_now() {
    for (ahead, ends) in [(false, "succeeded"), (true, "rejected")] {
        let stage = Stage::new(1);
        stage.clocks.set(THREE_DAYS, ahead);
        let in_a_day = stage.driver.clock.wall().plus(THREE_DAYS / 3);
        let by_now = if ahead { stage.now().plus(THREE_DAYS / 3) } else { in_a_day };
        let job = stage.accepted_until("PART-1", Carried::default(), Some(by_now)).await;
        assert_eq!(stage.driven(vec![job]).await.first().map(state), Some(ends));
    }
}

/// A wall clock that is two minutes off, ahead and behind: jobs with `notAfter` wait, others go on, until it is right.
#[tokio::test(start_paused = true)]
async fn m17_what_has_a_not_after_waits_while_the_provider_says_that_our_clock_is_wrong() {
    let two_minutes = Duration::from_secs(120);
    for ahead in [true, false] {
        let stage = Stage::new(1);
        stage.provider.dates_its_answers(stage.clocks);
        stage.clocks.set(two_minutes, ahead);
        for number in 1..=2 {
            let job = stage.accepted(&format!("PART-{number}")).await;
            assert_eq!(stage.driven(vec![job]).await.first().map(state), Some("succeeded"));
        }
        let offset = stage.counted("topup_clock_offset_seconds{provider=\"finpay\"}");
        assert!(["120", "119", "118"].contains(&offset.as_deref().unwrap().trim_start_matches('-')), "{offset:?}");
        // By our clock it is too late already, or is not: neither is believed.
        let soon = stage.driver.clock.wall().plus(Duration::from_secs(60));
        let late = stage.driver.clock.wall().minus(Duration::from_secs(60));
        for (key, not_after) in [("PART-3", soon), ("PART-4", late)] {
            let job = stage.accepted_until(key, Carried::default(), Some(not_after)).await;
            let job = stage.driven(vec![job]).await.remove(0);
            assert_eq!(state(&job), "ready");
            assert!(job.due_at.is_some_and(|due| due > stage.now()), "it waits");
        }
        assert_eq!(stage.provider.times(Service::TopUp), 2);
        let fine = stage.accepted("PART-5").await;
        assert_eq!(stage.driven(vec![fine]).await.first().map(state), Some("succeeded"), "others go on");
        // Put right.
        stage.clocks.set(two_minutes, !ahead);
        let heard = stage.accepted("PART-6").await;
        stage.driven(vec![heard]).await;
        assert!(!stage.lane().witness.is_doubted());
        let not_after = stage.driver.clock.wall().plus(Duration::from_secs(60));
        let job = stage.accepted_until("PART-7", Carried::default(), Some(not_after)).await;
        assert_eq!(stage.driven(vec![job]).await.first().map(state), Some("succeeded"));
    }
}

/// A lane waits for a due time while the machine sleeps past it.
#[tokio::test(start_paused = true)]
async fn m17_what_came_due_while_the_machine_slept_is_due_when_it_wakes() {
    let stage = Stage::new(1);
    let silent = Reply::Silent {
        why: snap_client::Silence::Timeout,
        detail: "nothing came".to_owned(),
        http_status: None,
        elapsed: Duration::from_secs(5),
    };
    stage.provider.says(Service::TopUp, silent);
    let job = stage.one().await;
    let due = job.due_at.expect("it is asked about later");
    stage.clocks.sleep(due.since(stage.now()));
    let claimed = stage.driver.store.claim_due("finpay", stage.now(), 9).await.unwrap();
    assert_eq!(claimed.len(), 1);
}

/// A clock that is three days ahead from the start on: what it would reject cannot be taken back, so the provider's is heard first.
#[tokio::test(start_paused = true)]
async fn m17_the_first_decision_of_a_start_is_not_made_by_a_clock_that_the_provider_contradicts() {
    let stage = Stage::new(2);
    stage.provider.dates_its_answers(stage.clocks);
    let in_an_hour = stage.driver.clock.wall().plus(Duration::from_secs(3600));
    stage.clocks.set(THREE_DAYS, true);
    let mut jobs = Vec::new();
    for number in 1..=3 {
        jobs.push(stage.accepted_until(&format!("PART-{number}"), Carried::default(), Some(in_an_hour)).await);
    }
    let waiting = stage.driven(jobs).await;
    assert!(waiting.iter().all(|job| state(job) == "ready"), "{waiting:?}");
    assert_eq!(stage.provider.times(Service::AccessToken), 1, "it is asked once");
    stage.clocks.set(THREE_DAYS, false);
    let fine = stage.accepted("PART-4").await;
    stage.driven(vec![fine]).await;
    assert_eq!(stage.driven(waiting).await.iter().filter(|job| state(job) == "succeeded").count(), 3);
}

/// Nothing else is asked of the provider: what waits finds out by itself that the clocks agree, and asks no more often than it must.
#[tokio::test(start_paused = true)]
async fn m17_jobs_that_wait_for_the_clocks_to_agree_find_out_by_themselves() {
    let stage = Stage::new(4);
    stage.provider.dates_its_answers(stage.clocks);
    stage.clocks.set(THREE_DAYS, true);
    let in_an_hour = stage.driver.clock.wall().minus(THREE_DAYS - Duration::from_secs(3600));
    let mut waiting = Vec::new();
    for number in 1..=4 {
        waiting.push(stage.accepted_until(&format!("PART-{number}"), Carried::default(), Some(in_an_hour)).await);
    }
    waiting = stage.driven(waiting).await;
    for look in 1..=3 {
        tokio::time::advance(Duration::from_secs(10)).await;
        waiting = stage.driven(waiting).await;
        assert!(waiting.iter().all(|job| state(job) == "ready"), "{waiting:?}");
        assert!(stage.provider.times(Service::AccessToken) <= 2 + look, "one question for all of them");
    }
    stage.clocks.set(THREE_DAYS, false);
    tokio::time::advance(Duration::from_secs(10)).await;
    for job in stage.driven(waiting).await {
        assert!(["succeeded", "ready"].contains(&state(&job)), "{job:?}");
    }
    assert!(!stage.lane().witness.is_doubted());
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

/// The namespace is another's, or was not seen for too long: to a drive both are the same.
fn custody_is_gone(stage: &Stage) {
    stage.driver.custody.lose(&CustodyError::Unknown { namespace: "topup".to_owned(), found: String::new() });
}

#[tokio::test(start_paused = true)]
async fn m13_without_custody_nothing_begins_and_no_budget_is_used() {
    let stage = Stage::new(1);
    custody_is_gone(&stage);
    let (fresh, held) = (stage.accepted("PART-2").await, stage.one().await);
    assert_eq!((state(&held), stage.provider.asked()), ("ready", Vec::new()), "nobody was called");
    assert_eq!(held.job.budget, fresh.job.budget);
    assert!(held.due_at.is_some_and(|due| due > stage.now()), "it is tried again");
}

#[tokio::test(start_paused = true)]
async fn m13_custody_that_goes_between_the_inquiry_and_the_top_up_lets_nothing_be_sent() {
    let stage = Stage::new(1);
    let job = stage.accepted("PART-1").await;
    let (driven, ()) = tokio::join!(stage.driven(vec![job]), async {
        // The account is being asked for.
        tokio::time::sleep(Duration::from_millis(30)).await;
        custody_is_gone(&stage);
    });
    assert_eq!(stage.provider.times(Service::AccountInquiry), 1);
    assert_eq!((state(&driven[0]), stage.provider.times(Service::TopUp)), ("inquired", 0));
}

#[tokio::test(start_paused = true)]
async fn m13_without_custody_doubt_is_settled_all_the_same() {
    let stage = Stage::new(1);
    stage.provider.says(Service::TopUp, refused(504, Service::TopUp, 0));
    let doubt = stage.one().await;
    assert_eq!(state(&doubt), "unconfirmed");
    custody_is_gone(&stage);
    tokio::time::sleep(doubt.job.due_at().unwrap().since(stage.now())).await;
    assert_eq!(state(&stage.driven(vec![doubt]).await[0]), "succeeded");
}
