//! `kill -9` at each point of a job's way, placed exactly: a gate in front of the provider holds the request meanwhile.

use std::time::Duration;

use snap_sim::Fault;
use testbed::matrix::{self, Point, Technique, executed};

use crate::harness::{Gate, Hold, Job, Stage, eventually, http};

const LIMIT: Duration = Duration::from_secs(90);

/// What becomes of the held request after the worker is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is lost.
    Vanishes,
    /// It goes on, and the provider does it: a late original.
    GoesOn,
}

/// A stage with one provider behind a gate.
async fn gated(name: &str) -> (Stage, Gate) {
    let mut stage = Stage::prepare(name).await;
    let gate = stage.gated().await;
    (stage, gate)
}

/// Kills the worker while the request to this path is held, twice in a row if the point comes again, and sees the job to its end.
async fn killed_while(name: &str, path: &str, hold: Hold, fate: Fate, top_up_lost: bool) -> (Stage, Job) {
    let (mut stage, gate) = gated(name).await;
    let job = stage.job(name);
    if top_up_lost {
        stage.sim.fault(&job.reference, 38, Fault::Fin, Some(true), Some(1));
    }
    // The token request names no job.
    let about = if path.ends_with("b2b") { "" } else { job.reference.as_str() };
    let mut held = gate.hold(path, about, hold);
    stage.start();
    stage.publish(std::slice::from_ref(&job)).await;
    held.reached().await;

    stage.worker.kill();
    executed(point(path, hold), matrix::Fault::Kill, Technique::Proxy, 1);
    match fate {
        Fate::Vanishes => held.vanish(),
        Fate::GoesOn => held.go_on(),
    }
    stage.worker.start();

    stage.settled(LIMIT).await;
    let verdict = stage.verdict();
    verdict.assert_all_succeeded();
    assert_eq!(verdict.credits(&job.reference), 1);
    (stage, job)
}

/// Where a job is whose request is held.
fn point(path: &str, hold: Hold) -> Point {
    match (path, hold) {
        ("/account-inquiry", Hold::BeforeTheProvider) => Point::InquirySent,
        ("/account-inquiry", Hold::BeforeTheAnswer) => Point::InquiryAnswered,
        ("/topup", Hold::BeforeTheProvider) => Point::TopUpSent,
        ("/topup", Hold::BeforeTheAnswer) => Point::TopUpAnswered,
        ("/topup-status", Hold::BeforeTheProvider) => Point::StatusSent,
        ("/topup-status", Hold::BeforeTheAnswer) => Point::StatusAnswered,
        // It waits for its token.
        _ => Point::Waiting,
    }
}

macro_rules! killed {
    ($($test:ident: $path:literal, $hold:ident, $fate:ident, top_up_lost: $lost:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            killed_while(stringify!($test), $path, Hold::$hold, Fate::$fate, $lost).await;
        }
    )*};
}

killed! {
    killed_before_the_token_request_arrives: "/access-token/b2b", BeforeTheProvider, Vanishes, top_up_lost: false;
    killed_before_the_token_comes_back: "/access-token/b2b", BeforeTheAnswer, Vanishes, top_up_lost: false;
    killed_before_the_inquiry_arrives: "/account-inquiry", BeforeTheProvider, Vanishes, top_up_lost: false;
    killed_before_the_inquiry_comes_back: "/account-inquiry", BeforeTheAnswer, Vanishes, top_up_lost: false;
    killed_before_the_status_inquiry_arrives: "/topup-status", BeforeTheProvider, Vanishes, top_up_lost: true;
    killed_before_the_status_comes_back: "/topup-status", BeforeTheAnswer, Vanishes, top_up_lost: true;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_a_top_up_that_never_arrives_it_is_sent_again_after_proof() {
    let (stage, job) = killed_while("toplost", "/topup", Hold::BeforeTheProvider, Fate::Vanishes, false).await;
    let [report] = &stage.sim.running().reference(&job.reference)[..] else { panic!("one provider knows it") };
    assert_eq!(report.top_ups, 1);
    assert!(report.status_inquiries >= 2, "two not-founds are the proof: {report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_a_top_up_that_arrives_late_it_is_found_and_not_sent_again() {
    let (stage, job) = killed_while("toplate", "/topup", Hold::BeforeTheProvider, Fate::GoesOn, false).await;
    assert_eq!(stage.sim.running().reference(&job.reference)[0].top_ups, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_the_credit_and_before_its_answer_it_asks_and_does_not_send() {
    let (stage, job) = killed_while("topdone", "/topup", Hold::BeforeTheAnswer, Fate::Vanishes, false).await;
    let [report] = &stage.sim.running().reference(&job.reference)[..] else { panic!("one provider knows it") };
    assert_eq!(report.top_ups, 1);
    assert!(report.status_inquiries >= 1, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_while_it_recovers_it_asks_again_and_does_not_send() {
    let (mut stage, gate) = gated("twice").await;
    let job = stage.job("twice");
    let mut top_up = gate.hold("/topup", &job.reference, Hold::BeforeTheAnswer);
    stage.start();
    stage.publish(std::slice::from_ref(&job)).await;
    top_up.reached().await;
    stage.worker.kill();
    top_up.vanish();

    for hold in [Hold::BeforeTheProvider, Hold::BeforeTheAnswer] {
        let mut status = gate.hold("/topup-status", &job.reference, hold);
        stage.worker.start();
        status.reached().await;
        stage.worker.kill();
        status.vanish();
    }
    stage.worker.start();

    stage.settled(LIMIT).await;
    let verdict = stage.verdict();
    verdict.assert_all_succeeded();
    assert_eq!(verdict.top_ups(&job.reference), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_the_finish_and_before_the_publish_the_outcome_is_told_after_the_restart() {
    let mut stage = Stage::prepare_with_own_broker("untold").await;
    let gate = stage.gated().await;
    let job = stage.job("untold");
    let mut held = gate.hold("/topup", &job.reference, Hold::BeforeTheAnswer);
    stage.start();
    stage.broker.settle_new_queues().await;
    stage.publish(std::slice::from_ref(&job)).await;
    held.reached().await;
    stage.broker.kill();
    held.go_on();
    eventually(LIMIT, "the job is finished in the store, and cannot be told", async || {
        (stage.worker.state_of(&job.reference).as_deref() == Some("succeeded")).then_some(())
    })
    .await;
    assert!(stage.outcomes.about(&job.reference).is_empty());

    stage.worker.kill();
    executed(Point::Ended, matrix::Fault::Kill, Technique::Broker, 1);
    stage.broker.boot();
    stage.worker.start();

    stage.settled(LIMIT).await;
    let verdict = stage.verdict();
    verdict.assert_all_succeeded();
    assert_eq!(verdict.top_ups(&job.reference), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_as_soon_as_a_job_is_recorded_it_goes_on_after_the_restart() {
    let (mut stage, gate) = gated("recorded").await;
    let jobs = stage.jobs("recorded", 20);
    // Nothing gets past the token while the jobs are taken.
    let mut token = gate.hold("b2b", "", Hold::BeforeTheProvider);
    stage.start();
    stage.publish(&jobs).await;
    token.reached().await;
    eventually(LIMIT, "the jobs are recorded", async || {
        (http::total(&stage.worker.metrics(), "topup_jobs_accepted_total", &[]) >= 1.0).then_some(())
    })
    .await;
    stage.worker.kill();
    token.vanish();
    stage.worker.start();
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}
